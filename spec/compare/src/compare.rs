//! Both sides of a case.

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    iter::once,
};

use scopegate_spec::{Request, Rule, State, decide};

use crate::{
    introspection::Asked,
    judge::Gate,
    outcome::{Caller, Outcome},
    request::{Plan, Sent},
    world::{Route, Source, TOKEN_HEADER, World},
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
    /// For each request the rule of a refusal, and what both say. A request that is no other than one before is not among them.
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
    /// Asks both sides about every request: the gate until its caches answer, and perhaps a fresh gate.
    pub fn compare(&self) -> Result<Agreement, Box<Difference>> {
        let Some(gate) = Gate::build(&self.world) else { return Ok(Agreement::NotBuilt) };
        let mut config = self.world.specified();
        let routes = once(self.world.route()).chain(self.routes.iter().cloned());
        let mut routes: Vec<_> = routes.map(|route| (gate.at(&route), route)).collect();
        let names: Vec<String> = routes.iter().map(|(_, route)| format!("{route:?}")).collect();
        let mut sent: Vec<Sent> = self.plans.iter().flat_map(|plan| plan.requests(&self.world)).collect();
        let replaces_keys = self.world.issuers.iter().any(|issuer| issuer.source == Source::Supplied);
        if self.world.proofs.is_some() || replaces_keys {
            // Requests with all tokens come before and after their keys are replaced. And what remembers used proofs does not admit that
            // it knows them once the clock was set back.
            sent.sort_by_key(|sent| sent.now);
        }
        let new_state = || State {
            is_unavailable: self.world.proofs.is_some_and(|proofs| proofs.store_is_down),
            ..State::default()
        };
        let mut state = new_state();
        // Without proofs a decision depends on nothing that came before.
        let has_state = self.world.proofs.is_some();
        let mut decided: Vec<(Rule, Outcome)> = Vec::new();
        let mut known: HashMap<(u64, Rule), usize> = HashMap::new();
        let count = sent.len();
        for (number, sent) in sent.iter().enumerate() {
            let has_replaced_keys = replaces_keys && number >= count / 2;
            if replaces_keys && number == count / 2 {
                gate.replace_keys(&self.world);
                self.world.replace_keys(&mut config);
            }
            let index = sent.route % routes.len();
            let (gate, route) = &mut routes[index];
            route.specify(&mut config);
            if let Some(nonces) = config.dpop.as_mut().and_then(|dpop| dpop.nonces.as_mut()) {
                *nonces = sent.good_nonce.iter().cloned().collect();
            }
            gate.set_reply(sent.reply.as_ref());
            let answers = sent.reply.as_ref().map(|reply| reply.answers(&sent.request)).unwrap_or_default();
            let decide = |state: &mut State| {
                let decision = decide(&config, &answers, sent.now, &sent.request, state);
                (decision.rule, Outcome::from(decision))
            };
            let compare = |gate: &mut Gate, attempt, (rule, specified): &(Rule, Outcome)| {
                let implemented = gate.decide(&sent.request, sent.now);
                if implemented == *specified || self.is_open(sent, rule, specified, &implemented) {
                    return Ok(());
                }
                let (request, specified) = (sent.request.clone(), specified.clone());
                Err(Box::new(Difference {
                    request,
                    now: sent.now,
                    route: index,
                    attempt,
                    rule,
                    specified,
                    implemented,
                }))
            };
            let digest = sent.digest(&names[index], has_replaced_keys);
            let used = state.used_proofs.len();
            let first = match known.get(&(digest, "")) {
                Some(place) if !has_state => decided[*place].clone(),
                _ => decide(&mut state),
            };
            compare(gate, "first", &first)?;
            let mut count = |decision: (Rule, Outcome)| {
                known.entry((digest, if has_state { decision.0 } else { "" })).or_insert_with(|| {
                    decided.push(decision);
                    decided.len() - 1
                });
            };
            count(first.clone());
            // Each of the two caches of tokens answers from its second time on, and from then on in the visits, too.
            if sent.index == 0 {
                let again = if state.used_proofs.len() > used { decide(&mut state) } else { first };
                compare(gate, "second", &again)?;
                compare(gate, "third", &again)?;
                count(again);
            }
            if self.fresh
                && sent.index == 0
                && let Some(mut fresh) = Gate::build(&self.world.at(route))
            {
                fresh.set_reply(sent.reply.as_ref());
                if has_replaced_keys {
                    fresh.replace_keys(&self.world);
                }
                compare(&mut fresh, "fresh", &decide(&mut new_state()))?;
            }
        }
        Ok(Agreement::Decided(decided))
    }

    /// Whether the documents allow both.
    fn is_open(&self, sent: &Sent, rule: Rule, specified: &Outcome, implemented: &Outcome) -> bool {
        let request = &sent.request;
        let mut codes = implemented.challenges.iter().filter_map(|challenge| challenge.error.as_deref());
        let is_invalid = codes.next() == Some("invalid_token") && codes.next().is_none();
        match (rule, specified.status, implemented.status) {
            // JOSE-16: claims that are not verified may refuse while the keys are unavailable.
            ("KEY-12", 503, 401) => is_invalid,
            // BEARER-14: whether a named header has a grammar of its own.
            ("BEARER-3", 400, 401) => is_invalid && self.world.token_header && !request.lines(TOKEN_HEADER).is_empty(),
            // KEY-14: whether a set without a usable key is one. Where it is given, the builder refuses it.
            ("KEY-3", 401, 503) => Gate::build(&self.world.with_given_keys()).is_none(),
            // Of a token that it does not know the endpoint says so without a signature, which is no answer to who demands one. The
            // specification is not told that.
            ("INTRO-3", 401, 503) => {
                sent.reply.as_ref().is_some_and(|reply| reply.token.is_some())
                    && self.world.issuers.iter().any(|issuer| issuer.asked.is_some_and(Asked::is_signed))
            }
            // INTRO-15: whether a JWT with such a `cnf` is refused before or after it is asked about.
            (_, 503, 401) => is_invalid && sent.is_refused_unasked,
            // Whether a JWT that is asked about as well ends when the answer says so.
            (_, 200, 200) => {
                let without_expiry =
                    |outcome: &Outcome| outcome.caller.clone().map(|caller| Caller { expiry: None, ..caller });
                self.world.issuers.iter().any(|issuer| issuer.asked.is_some_and(Asked::asks_also))
                    && without_expiry(specified) == without_expiry(implemented)
            }
            // DPOP-14, MTLS-1: whether a token that is not bound to a key, or is bound to another certificate, is refused before
            // its proof is. DPOP-17: whether a nonce that is not good is told before another fault of the proof.
            (_, 401, 401) => {
                let of_token = Some("invalid_token").filter(|_| sent.fails_without_a_proof);
                let of_nonce = Some("use_dpop_nonce").filter(|_| !sent.has_good_nonce);
                let mut others = [of_token, of_nonce].into_iter().flatten();
                others.any(|code| specified.with_code_of_proof(code) == *implemented)
            }
            _ => false,
        }
    }
}

impl Sent {
    /// All that a decision about it depends on, at a route of this name, but for the proofs that were used before.
    fn digest(&self, route: &str, has_replaced_keys: bool) -> u64 {
        let Request { method, uri, headers, certificate } = &self.request;
        let mut hasher = DefaultHasher::new();
        (route, has_replaced_keys, self.now, &self.good_nonce, &self.reply).hash(&mut hasher);
        (method, uri, headers, certificate).hash(&mut hasher);
        hasher.finish()
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
