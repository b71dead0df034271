//! Both sides of a case.

use std::{fmt, iter::once};

use scopegate_spec::{Answers, Request, Rule, State, decide};

use crate::{
    judge::Gate,
    outcome::{Challenge, Outcome},
    request::Plan,
    world::{Route, TOKEN_HEADER, World},
};

/// A configuration and requests to it, in their order.
#[derive(Clone, Debug)]
pub struct Case {
    /// The configuration.
    pub world: World,
    /// Further routes of its server.
    pub routes: Vec<Route>,
    /// The tokens, and the requests with each.
    pub plans: Vec<Plan>,
    /// Whether the first request with each is sent to a server of its own as well.
    pub fresh: bool,
}

/// What came of a case without a difference.
#[derive(Debug)]
pub enum Agreement {
    /// For each request the rule of a refusal, and what both say.
    Decided(Vec<(Rule, Outcome)>),
    /// The gate's builder refuses the configuration.
    NotBuilt,
}

/// A request about which the two sides do not agree.
#[derive(Debug)]
pub struct Difference {
    request: Request,
    now: i64,
    route: usize,
    /// Which of the attempts.
    attempt: &'static str,
    rule: Rule,
    specified: Outcome,
    implemented: Outcome,
}

impl Case {
    /// The configuration at each of its routes.
    pub fn worlds(&self) -> impl Iterator<Item = World> {
        once(self.world.clone()).chain(self.routes.iter().map(|route| self.world.at(route)))
    }

    /// Asks both sides about every request: the gate until its caches answer, and perhaps a fresh gate.
    pub fn compare(&self) -> Result<Agreement, Box<Difference>> {
        let Some(gate) = Gate::build(&self.world) else { return Ok(Agreement::NotBuilt) };
        let config = self.world.specified();
        let mut routes: Vec<_> = self.worlds().map(|world| (world.route_of(&config), gate.at(&world), world)).collect();
        let mut decided = Vec::new();
        for plan in &self.plans {
            for (index, (route, request, now)) in plan.requests(&self.world).enumerate() {
                let route = route % routes.len();
                let (config, gate, world) = &mut routes[route];
                let decision = decide(config, &Answers::new(), now, &request, &mut State::default());
                let rule = decision.rule;
                let specified = Outcome::from(decision);
                let compare = |gate: &mut Gate, attempt| {
                    let implemented = gate.decide(&request, now);
                    if implemented == specified || self.is_open(&request, rule, &specified, &implemented) {
                        return Ok(());
                    }
                    let (request, specified) = (request.clone(), specified.clone());
                    Err(Box::new(Difference { request, now, route, attempt, rule, specified, implemented }))
                };
                compare(gate, "first")?;
                // Each of the two caches of tokens answers from its second time on, and from then on in the visits, too.
                if index == 0 {
                    compare(gate, "second")?;
                    compare(gate, "third")?;
                }
                if let (true, 0, Some(mut fresh)) = (self.fresh, index, Gate::build(world)) {
                    compare(&mut fresh, "fresh")?;
                }
                decided.push((rule, specified));
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
        writeln!(f, "at {}, route {}: {} {}", self.now, self.route, self.request.method, self.request.uri)?;
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
