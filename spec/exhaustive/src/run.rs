//! Sends every combination to both sides.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use scopegate_spec::{Config, Mode, Request, Rule, State, decide};
use scopegate_spec_compare::{
    mutation::{LineEdit, Mutation},
    outcome::{Caller, Outcome},
    text::decoded,
    world::TOKEN_HEADER,
};

use crate::{
    classes::{Class, Classes},
    facts::{Facts, Product},
    gate::Gate,
};

/// How many requests one gate gets at most, so that no thread waits long for another at the end.
const CHUNK: usize = 4096;

/// The rule of the specification, and both statuses.
pub type Kind = (Rule, u16, u16);

/// What was compared.
#[derive(Debug, Default)]
pub struct Report {
    /// How many combinations of facts.
    pub combinations: u64,
    /// How many requests were sent through the layers.
    pub requests: u64,
    /// How many combinations were left out, since no server can be built with their configuration.
    pub impossible: u64,
    /// The decisions that are alike.
    pub classes: Classes,
    /// By rule and statuses: how many decisions are not, and need not be.
    pub open: BTreeMap<Kind, u64>,
    /// By rule and statuses: how many differences, and the one with the least that is odd.
    pub differences: BTreeMap<Kind, (u64, Difference)>,
}

/// A request about which the two sides do not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    facts: (&'static str, Vec<String>),
    request: Request,
    answer: String,
    now: i64,
    attempt: usize,
    rule: Rule,
    specified: Outcome,
    implemented: Outcome,
}

/// A configuration of a product, and some of the requests to it.
struct Unit<'a> {
    product: &'a Product,
    configuration: usize,
    requests: Range<usize>,
    /// The number of its first request among those of all products.
    first: u64,
}

/// Compares one of so many combinations, on several threads. `sent` counts requests while it runs.
pub fn run(products: &[Product], sample: u64, threads: usize, sent: &AtomicU64) -> Report {
    let (mut units, mut first) = (Vec::new(), 0);
    for product in products {
        for configuration in 0..product.configurations() {
            for start in (0..product.requests()).step_by(CHUNK) {
                let requests = start..(start + CHUNK).min(product.requests());
                let length = requests.len() as u64;
                units.push(Unit { product, configuration, requests, first });
                first += length;
            }
        }
    }
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut report = Report::default();
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let before = report.requests;
                    unit.compare(sample, &mut report);
                    sent.fetch_add(report.requests - before, Ordering::Relaxed);
                }
                total.lock().expect("no thread panics").add(report);
            });
        }
    });
    total.into_inner().expect("no thread panics")
}

impl Unit<'_> {
    fn compare(&self, sample: u64, report: &mut Report) {
        let numbered = self.requests.clone().zip(self.first..);
        let requests = numbered.filter(|(_, number)| is_sampled(*number, sample)).map(|(request, _)| request);
        let configured = self.product.configured(self.configuration);
        if !configured.setup.is_possible() {
            report.impossible += requests.count() as u64;
            return;
        }
        let mut requests = requests.peekable();
        if requests.peek().is_none() {
            return;
        }
        let mut gate = match Gate::build(&configured.setup) {
            Ok(gate) => gate,
            // As in the comparison: where the keys are given, the builder says that none of them can be used.
            Err(error) if error.contains("none of the given keys can be used") => {
                report.impossible += requests.count() as u64;
                return;
            }
            Err(error) => panic!("{error}\n{:?}", self.product.description(self.configuration, 0)),
        };
        let nonce = gate.nonce();
        let config = configured.setup.specified(nonce.clone());
        for request in requests {
            let facts = self.product.requested(&configured, request);
            self.ask(&mut gate, &config, nonce.as_deref(), &facts, request, report);
        }
    }

    /// Asks both sides about a request, as often as it is sent.
    fn ask(
        &self,
        gate: &mut Gate,
        config: &Config,
        nonce: Option<&str>,
        facts: &Facts,
        number: usize,
        report: &mut Report,
    ) {
        let (request, now) = facts.request(nonce, number as u64);
        let answers = facts.answers(&request);
        let describe = || (self.product.name, self.product.description(self.configuration, number));
        if let Some(answer) = answers.values().next() {
            gate.set_answer(answer);
        }
        let mut state = State::default();
        report.combinations += 1;
        for attempt in 0..facts.times {
            let decision = decide(config, &answers, now, &request, &mut state);
            let rule = decision.rule;
            let specified = Outcome::from(decision);
            let implemented = gate.decide(&request, now);
            report.requests += 1;
            if implemented == specified {
                report.classes.count(Class::of(rule, &implemented), describe());
                continue;
            }
            let kind = (rule, specified.status, implemented.status);
            if is_open(facts, (config, nonce), &request, rule, &specified, &implemented) {
                *report.open.entry(kind).or_default() += 1;
                continue;
            }
            let answer = format!("{:?}", answers.values().next());
            let (facts, request) = (describe(), request.clone());
            let difference = Difference { facts, request, answer, now, attempt, rule, specified, implemented };
            report.add_difference(kind, 1, difference);
        }
    }
}

/// Whether a combination is one of the sample. The samples are spread evenly over the values of every fact.
fn is_sampled(number: u64, sample: u64) -> bool {
    // The finalizer of SplitMix64.
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).is_multiple_of(sample)
}

/// Whether the documents allow both: `DIFFERENCES.md` says why.
fn is_open(
    facts: &Facts,
    (config, nonce): (&Config, Option<&str>),
    request: &Request,
    rule: Rule,
    specified: &Outcome,
    implemented: &Outcome,
) -> bool {
    let is_invalid = !implemented.challenges.is_empty()
        && implemented
            .challenges
            .iter()
            .all(|challenge| challenge.error.as_deref().is_none_or(|error| error == "invalid_token"));
    let is_asked_too = facts.setup.asked.is_some_and(|asked| asked.has_keys && asked.mode == Mode::Also);
    let is_asked_instead = facts.setup.asked.is_some_and(|asked| !asked.has_keys || asked.mode == Mode::Instead);
    let answered =
        |wanted: &str| facts.answer.members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let audience = answered("aud");
    let names_no_key = answered("token_type") == Some("\"DPoP\"")
        && answered("cnf").is_some_and(|confirmation| !confirmation.contains("jkt"));
    match (rule, specified.status, implemented.status) {
        // JOSE-16: claims that are not verified may refuse while the keys are unavailable.
        ("KEY-12", 503, 401) => is_invalid,
        // BEARER-14: whether a named header has a grammar of its own.
        ("BEARER-3", 400, 401) => {
            is_invalid && facts.setup.world.token_header && !request.lines(TOKEN_HEADER).is_empty()
        }
        // INTRO-5: whether an answer about a verified JWT has to repeat its audience.
        ("INTRO-5", 401, 200) => is_asked_too && audience.is_none(),
        // INTRO-15: whether an answer about a verified JWT may name more audiences.
        ("INTRO-15", 401, 200) if is_asked_too => audience.is_some_and(|audience| audience.starts_with('[')),
        // INTRO-15: whether `iat` and `nbf` of a JWT that is not verified can refuse it as its `exp` can.
        ("", 200, 401) if is_asked_instead => {
            let is_time = |change: &Mutation| {
                matches!(change, Mutation::Time("iat" | "nbf", ..) | Mutation::Claim("iat" | "nbf", _))
            };
            is_invalid && facts.plan.mutations.iter().any(is_time)
        }
        // INTRO-15, JWT-11: whether marks are read beside a `typ` of `at+jwt`, where a JWT is not verified.
        ("INTRO-15", 401, 200) => {
            let is_mark = |change: &Mutation| matches!(change, Mutation::Claim("typ" | "token_use", _));
            is_asked_instead && facts.plan.mutations.iter().any(is_mark)
        }
        // INTRO-12: whether an answer with a `token_type` of `DPoP` has to name the key itself.
        ("", 200, 401) | (_, 401, 401) if is_asked_too && names_no_key => is_invalid,
        // Which expiry counts of a JWT that was also asked about.
        ("", 200, 200) => {
            let without = |outcome: &Outcome| outcome.caller.clone().map(|caller| Caller { expiry: None, ..caller });
            is_asked_too && without(specified) == without(implemented)
        }
        // JWT-8: whether an answer about a verified JWT has to repeat when that was issued.
        ("JWT-8", 401, 200) => is_asked_too && facts.answer.members.iter().all(|(name, _)| name != "iat"),
        // DPOP-20, DPOP-14, MTLS-1: which is told first of a bad proof, and of a token that is refused whatever the proof is.
        // DPOP-17: which is told first of a missing nonce, and of another fault of the proof.
        (_, 401, 401) if facts.setup.dpop.is_some() => {
            let with_good_proof = |has_nonce| {
                let mut good = facts.clone();
                good.plan.mutations.retain(|change| !matches!(change, Mutation::Line(LineEdit::Extra("dpop", _))));
                good.proof = Some(|_| {});
                good.has_nonce = has_nonce;
                let (request, now) = good.request(nonce, 0);
                decide(config, &good.answers(&request), now, &request, &mut State::default())
            };
            let (bound, known) = (with_good_proof(true), with_good_proof(facts.has_nonce));
            // A JWT and the answer about it can name two keys, of which no proof can be by both.
            let is_lost =
                matches!(bound.rule, "DPOP-14" | "MTLS-1") || facts.setup.asked.is_some() && bound.rule == "DPOP-13";
            is_lost && Outcome::from(bound) == *implemented
                || known.rule == "DPOP-17" && Outcome::from(known) == *implemented
        }
        _ => false,
    }
}

impl Report {
    /// How many requests have a difference.
    pub fn differences(&self) -> u64 {
        self.differences.values().map(|(count, _)| count).sum()
    }

    fn add(&mut self, other: Self) {
        self.combinations += other.combinations;
        self.requests += other.requests;
        self.impossible += other.impossible;
        self.classes.add(other.classes);
        for (kind, count) in other.open {
            *self.open.entry(kind).or_default() += count;
        }
        for (kind, (count, difference)) in other.differences {
            self.add_difference(kind, count, difference);
        }
    }

    fn add_difference(&mut self, kind: Kind, count: u64, difference: Difference) {
        let (known, smallest) = self.differences.entry(kind).or_insert_with(|| (0, difference.clone()));
        *known += count;
        if difference.facts.1.len() < smallest.facts.1.len() {
            *smallest = difference;
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.facts.0, self.facts.1.join("; "))?;
        writeln!(f, "at {}, time {}: {} {}", self.now, self.attempt + 1, self.request.method, self.request.uri)?;
        for (name, value) in &self.request.headers {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
            for part in String::from_utf8_lossy(value).split([' ', '.']).filter_map(decoded) {
                writeln!(f, "    {part}")?;
            }
        }
        writeln!(f, "answer: {}", self.answer)?;
        let rule = if self.rule.is_empty() { "accepted" } else { self.rule };
        writeln!(f, "specification ({rule}): {:?}", self.specified)?;
        write!(f, "gate: {:?}", self.implemented)
    }
}
