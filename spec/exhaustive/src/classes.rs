//! The kinds of decisions that were reached.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use scopegate_spec::Rule;
use scopegate_spec_compare::outcome::Outcome;

/// A kind of decision: the status, the requirement that refuses, and the challenges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// The status.
    pub status: u16,
    /// The requirement; empty if nothing refuses.
    pub rule: Rule,
    /// Each challenge as scheme, error code, and whether it names a scope.
    pub challenges: Vec<(String, Option<String>, bool)>,
    /// Whether somebody is known to have called.
    pub has_caller: bool,
}

impl Class {
    /// That of an outcome.
    pub fn of(rule: Rule, outcome: &Outcome) -> Self {
        let challenges = outcome
            .challenges
            .iter()
            .map(|challenge| (challenge.scheme.clone(), challenge.error.clone(), !challenge.scope.is_empty()));
        Self { status: outcome.status, rule, challenges: challenges.collect(), has_caller: outcome.caller.is_some() }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let challenges: Vec<String> = self
            .challenges
            .iter()
            .map(|(scheme, error, has_scope)| {
                let error = error.as_deref().map(|error| format!(" {error}")).unwrap_or_default();
                format!("{scheme}{error}{}", if *has_scope { " scope" } else { "" })
            })
            .collect();
        let rule = match (self.rule, self.has_caller) {
            ("", true) => "a caller",
            ("", false) => "anonymous",
            (rule, _) => rule,
        };
        write!(f, "{} {rule:<10} {}", self.status, challenges.join(", "))
    }
}

/// The combination with the least that is not ordinary, of those that were counted together.
#[derive(Clone, Debug)]
pub struct Example {
    /// How many were counted.
    pub count: u64,
    /// The product and the facts.
    pub facts: (&'static str, Vec<String>),
}

/// Classes with the count and an example of each.
#[derive(Clone, Debug, Default)]
pub struct Classes(pub BTreeMap<Class, Example>);

impl Classes {
    /// Counts a combination.
    pub fn count(&mut self, class: Class, facts: (&'static str, Vec<String>)) {
        self.add_one(class, Example { count: 1, facts });
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: Self) {
        other.0.into_iter().for_each(|(class, example)| self.add_one(class, example));
    }

    fn add_one(&mut self, class: Class, example: Example) {
        match self.0.entry(class) {
            Entry::Vacant(place) => drop(place.insert(example)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count += example.count;
                // The names and the texts decide between examples that are as short, so that the table is the same each time.
                if is_shorter(&example.facts, &known.facts) {
                    known.facts = example.facts;
                }
            }
        }
    }
}

fn is_shorter(one: &(&str, Vec<String>), other: &(&str, Vec<String>)) -> bool {
    (one.1.len(), &one.1, one.0) < (other.1.len(), &other.1, other.0)
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (class, Example { count, facts: (product, facts) }) in &self.0 {
            let facts = if facts.is_empty() { "nothing odd".to_owned() } else { facts.join("; ") };
            writeln!(f, "{count:>9}  {:<76}  {product} ({facts})", class.to_string())?;
        }
        Ok(())
    }
}
