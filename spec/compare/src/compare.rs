//! Both sides of a case.

use std::fmt;

use scopegate_spec::{Answers, Request, Rule, State, decide};

use crate::{
    judge::Gate,
    outcome::{Challenge, Outcome},
    request::Plan,
    world::{TOKEN_HEADER, World},
};

/// A configuration and requests to it, in their order.
#[derive(Clone, Debug)]
pub struct Case {
    /// The configuration.
    pub world: World,
    /// The requests.
    pub plans: Vec<Plan>,
    /// Whether each is sent to a server of its own as well.
    pub fresh: bool,
}

/// What came of a case without a difference.
#[derive(Debug)]
pub enum Agreement {
    /// For each request the status, and the rule of a refusal.
    Decided(Vec<(u16, Rule)>),
    /// The gate's builder refuses the configuration.
    NotBuilt,
}

/// A request about which the two sides do not agree.
#[derive(Debug)]
pub struct Difference {
    request: Request,
    now: i64,
    /// Which of the attempts.
    attempt: &'static str,
    rule: Rule,
    specified: Outcome,
    implemented: Outcome,
}

impl Case {
    /// Asks both sides about every request: the gate until its caches answer, and perhaps a fresh gate.
    pub fn compare(&self) -> Result<Agreement, Box<Difference>> {
        let config = self.world.specified();
        let Some(mut gate) = Gate::build(&self.world) else { return Ok(Agreement::NotBuilt) };
        let mut decided = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            let (request, now) = plan.request(&self.world);
            for now in [now].into_iter().chain(plan.again.map(|seconds| now + seconds)) {
                let decision = decide(&config, &Answers::new(), now, &request, &mut State::default());
                let (status, rule) = (decision.status, decision.rule);
                let specified = Outcome::from(decision);
                let compare = |gate: &mut Gate, attempt| {
                    let implemented = gate.decide(&request, now);
                    if implemented == specified || self.is_open(&request, rule, &specified, &implemented) {
                        return Ok(());
                    }
                    let (request, specified) = (request.clone(), specified.clone());
                    Err(Box::new(Difference { request, now, attempt, rule, specified, implemented }))
                };
                // Each of the two caches of tokens answers from its second time on.
                for attempt in ["first", "second", "third"] {
                    compare(&mut gate, attempt)?;
                }
                if let (true, Some(mut fresh)) = (self.fresh, Gate::build(&self.world)) {
                    compare(&mut fresh, "fresh")?;
                }
                decided.push((status, rule));
            }
        }
        Ok(Agreement::Decided(decided))
    }

    /// Whether the documents allow both.
    fn is_open(&self, request: &Request, rule: Rule, specified: &Outcome, implemented: &Outcome) -> bool {
        let is_invalid = |challenge: &Challenge| challenge.error.as_deref() == Some("invalid_token");
        let is_invalid = !implemented.challenges.is_empty() && implemented.challenges.iter().all(is_invalid);
        match (rule, specified.status, implemented.status) {
            // JOSE-16: claims that are not verified may refuse while the keys are unavailable.
            ("KEY-12", 503, 401) => is_invalid,
            // BEARER-14: whether a named header has a grammar of its own.
            ("BEARER-3", 400, 401) => is_invalid && self.world.token_header && !request.lines(TOKEN_HEADER).is_empty(),
            // KEY-14: whether a set without a usable key is one. Where it is given, the builder refuses it.
            ("KEY-3", 401, 503) => Gate::build(&self.world.with_given_keys()).is_none(),
            _ => false,
        }
    }
}

/// Failures that are likely to have one cause: the rule of the specification, and both statuses.
pub type Kind = (Rule, u16, u16);

impl Difference {
    /// What it looks like.
    pub fn kind(&self) -> Kind {
        (self.rule, self.specified.status, self.implemented.status)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {}: {} {}", self.now, self.request.method, self.request.uri)?;
        for (name, value) in &self.request.headers {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
            for part in String::from_utf8_lossy(value).split([' ', '.']) {
                if let Some(text) = crate::text::decoded(part) {
                    writeln!(f, "    {text}")?;
                }
            }
        }
        let rule = if self.rule.is_empty() { "accepted" } else { self.rule };
        writeln!(f, "specification ({rule}): {:?}", self.specified)?;
        write!(f, "gate ({} attempt): {:?}", self.attempt, self.implemented)
    }
}
