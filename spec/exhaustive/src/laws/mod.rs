//! Laws that hold between decisions, whatever each of them is: no specification is needed to see one broken.
//!
//! A [`Server`] makes a [`Judge`] of a configuration. That of the gate has the real layers; those of the tests have faults, by which
//! each law is shown to notice.

mod checks;
mod echo;
mod run;
#[cfg(test)]
mod tests;

use std::{cell::OnceCell, fmt};

use bytes::Bytes;
use scopegate_spec::Request;
use scopegate_spec_compare::{outcome::Outcome, request::Plan};

pub use self::run::{Count, Failure, Report, run};
use crate::{
    gate::{Gate, outcome},
    setup::Setup,
};

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// What is refused is never let in by a stricter requirement.
    Stricter,
    /// A token is accepted during one span of time: what has expired stays so, and what is not valid yet was never before.
    Time,
    /// What is remembered of a request does not change how it is decided about.
    Remembered,
    /// The order of claims, keys, issuers and field lines means nothing.
    Order,
    /// With exactly the scopes that a 403 names, the request passes.
    Scope,
    /// One more issuer, key or profile changes nothing for the others.
    Unrelated,
    /// No answer has a text of the request.
    Echo,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Stricter, Self::Time, Self::Remembered, Self::Order, Self::Scope, Self::Unrelated, Self::Echo];
}

/// Makes servers.
pub trait Server: Sync {
    /// That of a configuration; `None` where the builder refuses it.
    fn serve(&self, setup: &Setup) -> Option<Box<dyn Judge>>;
}

/// Answers requests.
pub trait Judge {
    /// The response to a request at a time.
    fn respond(&mut self, request: &Request, now: i64) -> http::Response<Bytes>;

    /// What that response says of the decision.
    fn decide(&mut self, request: &Request, now: i64) -> Outcome {
        outcome(&self.respond(request, now))
    }
}

/// The gate behind its real layers.
#[derive(Clone, Copy, Debug)]
pub struct RealLayers;

impl Server for RealLayers {
    fn serve(&self, setup: &Setup) -> Option<Box<dyn Judge>> {
        Gate::build(setup).ok().map(|gate| Box::new(gate) as Box<dyn Judge>)
    }
}

impl Judge for Gate {
    fn respond(&mut self, request: &Request, now: i64) -> http::Response<Bytes> {
        Self::respond(self, request, now)
    }
}

/// A configuration, requests to it in their order, and what else a law chooses by.
#[derive(Clone, Debug)]
pub struct Case {
    /// The configuration.
    pub setup: Setup,
    /// The requests.
    pub plans: Vec<Plan>,
    /// For a law's own choices.
    pub seed: u64,
    /// The requests as they are sent, signed once for all laws.
    sent: OnceCell<Vec<(Request, i64)>>,
}

/// A law that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// The request, its time, and what was decided in place of what.
    pub text: String,
}

impl Violation {
    fn new(law: Law, request: &Request, now: i64, between: [&dyn fmt::Debug; 2]) -> Box<Self> {
        let [one, other] = between;
        let headers = request.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.escape_ascii()));
        let headers = headers.collect::<String>();
        let text = format!("at {now}: {} {}\n{headers}{one:?}\n{other:?}", request.method, request.uri);
        Box::new(Self { law, text })
    }
}

/// What came of a law with a request that it holds for: whether the request could have broken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It could have.
    Telling,
    /// It could not: the law says nothing about such a request.
    Vacuously,
}

impl Holds {
    fn told_by(is_telling: bool) -> Self {
        if is_telling { Self::Telling } else { Self::Vacuously }
    }
}
