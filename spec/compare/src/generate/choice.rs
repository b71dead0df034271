//! Choices. Those of proptest keep what makes every alternative that was not chosen, with a generator of random numbers for each, to
//! make a value smaller by another choice. That takes a fifth of the time of a comparison.

use std::fmt::Debug;

use proptest::{
    bool,
    prelude::Strategy,
    strategy::{BoxedStrategy, NewTree, ValueTree},
    test_runner::TestRunner,
};

/// `true` once in so many times; made smaller, `false`.
pub(super) fn rarely(times: u32) -> bool::Weighted {
    bool::weighted(1.0 / f64::from(times))
}

/// One of these values, each as often as its weight says; made smaller, one that is further ahead.
pub(super) fn weighted<T: Clone + Debug + 'static>(values: Vec<(u32, T)>) -> impl Strategy<Value = T> {
    let total: u32 = values.iter().map(|(weight, _)| weight).sum();
    (0..total).prop_map(move |mut place| {
        let mut values = values.iter();
        loop {
            let (weight, value) = values.next().expect("a place below the total");
            match place.checked_sub(*weight) {
                Some(rest) => place = rest,
                None => break value.clone(),
            }
        }
    })
}

/// A value of one of these strategies, each as often as its weight says; made smaller, another value of the same one.
macro_rules! one_of {
    ($($weight:expr => $strategy:expr),+ $(,)?) => {
        $crate::generate::choice::OneOf::new(vec![
            $(($weight, proptest::prelude::Strategy::boxed($strategy))),+
        ])
    };
}
pub(super) use one_of;

/// See [`one_of`].
#[derive(Clone, Debug)]
pub(super) struct OneOf<T> {
    total: u32,
    alternatives: Vec<(u32, BoxedStrategy<T>)>,
}

impl<T> OneOf<T> {
    pub(super) fn new(alternatives: Vec<(u32, BoxedStrategy<T>)>) -> Self {
        Self { total: alternatives.iter().map(|(weight, _)| weight).sum(), alternatives }
    }
}

impl<T: Debug> Strategy for OneOf<T> {
    type Tree = Box<dyn ValueTree<Value = T>>;
    type Value = T;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let mut place = (0..self.total).new_tree(runner)?.current();
        let chosen = self.alternatives.iter().find(|(weight, _)| match place.checked_sub(*weight) {
            Some(rest) => {
                place = rest;
                false
            }
            None => true,
        });
        chosen.expect("a place below the total").1.new_tree(runner)
    }
}

/// A value of a strategy with this probability, or else none; made smaller, none.
pub(super) fn maybe<S: Strategy>(probability: f64, strategy: S) -> Maybe<S> {
    Maybe { probability, strategy }
}

/// See [`maybe`].
#[derive(Clone, Debug)]
pub(super) struct Maybe<S> {
    probability: f64,
    strategy: S,
}

impl<S: Strategy> Strategy for Maybe<S> {
    type Tree = MaybeTree<S::Tree>;
    type Value = Option<S::Value>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let is_there = bool::weighted(self.probability).new_tree(runner)?.current();
        Ok(match is_there {
            true => MaybeTree { value: Some(self.strategy.new_tree(runner)?), absence: Absence::NotTried },
            false => MaybeTree { value: None, absence: Absence::Chosen },
        })
    }
}

/// See [`maybe`].
#[derive(Debug)]
pub(super) struct MaybeTree<T> {
    value: Option<T>,
    absence: Absence,
}

/// Whether there is no value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Absence {
    NotTried,
    Chosen,
    Rejected,
}

impl<T: ValueTree> ValueTree for MaybeTree<T> {
    type Value = Option<T::Value>;

    fn current(&self) -> Self::Value {
        self.value.as_ref().filter(|_| self.absence != Absence::Chosen).map(ValueTree::current)
    }

    fn simplify(&mut self) -> bool {
        match (self.absence, &mut self.value) {
            (Absence::NotTried, _) => {
                self.absence = Absence::Chosen;
                true
            }
            (Absence::Rejected, Some(value)) => value.simplify(),
            _ => false,
        }
    }

    fn complicate(&mut self) -> bool {
        match (self.absence, &mut self.value) {
            (Absence::Chosen, Some(_)) => {
                self.absence = Absence::Rejected;
                true
            }
            (Absence::Rejected, Some(value)) => value.complicate(),
            _ => false,
        }
    }
}
