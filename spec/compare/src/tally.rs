//! What was compared, by the rule that refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use scopegate_spec::Rule;

use crate::{
    compare::{Agreement, Case},
    outcome::Outcome,
};

/// The rules that a request can reach here. One that none reaches is a fault of the generator.
pub const REACHABLE: &[Rule] = &[
    "ALG-1",
    "ALG-8",
    "AT-1",
    "AT-2",
    "AT-3",
    "AT-7",
    "BEARER-3",
    "BEARER-4",
    "BEARER-6",
    "BEARER-7",
    "BEARER-12",
    "CHAL-3",
    "DPOP-2",
    "DPOP-3",
    "DPOP-4",
    "DPOP-5",
    "DPOP-6",
    "DPOP-7",
    "DPOP-8",
    "DPOP-10",
    "DPOP-11",
    "DPOP-12",
    "DPOP-13",
    "DPOP-14",
    "DPOP-15",
    "DPOP-17",
    "IJWT-2",
    "IJWT-3",
    "IJWT-4",
    "INTRO-3",
    "INTRO-4",
    "INTRO-5",
    "INTRO-7",
    "INTRO-12",
    "INTRO-15",
    "JOSE-1",
    "JOSE-2",
    "JOSE-4",
    "JOSE-6",
    "JOSE-7",
    "JOSE-8",
    "JOSE-9",
    "JOSE-12",
    "JOSE-15",
    "JWT-1",
    "JWT-2",
    "JWT-3",
    "JWT-4",
    "JWT-5",
    "JWT-7",
    "JWT-8",
    "JWT-10",
    "JWT-11",
    "KEY-3",
    "KEY-12",
    "KEY-7",
    "KEY-8",
    "KEY-9",
    "MTLS-1",
    "MTLS-5",
    "MTLS-6",
    "SCOPE-1",
    "SCOPE-6",
];

/// What the pairs have in common that are alike: the rule, the status, and for each challenge its scheme and its code.
type Class = (Rule, u16, Vec<(String, Option<String>)>);

/// Counts of pairs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    classes: BTreeMap<Class, u64>,
    /// Digests of the configurations.
    worlds: BTreeSet<u64>,
    tokens: u64,
    not_built: u64,
    differences: u64,
}

impl Tally {
    /// Counts what came of a case.
    pub fn count(&mut self, case: &Case, agreement: Agreement) {
        let Agreement::Decided(decided) = agreement else {
            self.not_built += 1;
            return;
        };
        let mut server = DefaultHasher::new();
        format!("{:?}", case.world).hash(&mut server);
        self.worlds.insert(server.finish());
        for route in &case.routes {
            let mut hasher = server.clone();
            format!("{route:?}").hash(&mut hasher);
            self.worlds.insert(hasher.finish());
        }
        self.tokens += case.plans.len() as u64;
        for (rule, Outcome { status, challenges, .. }) in decided {
            let challenges = challenges.into_iter().map(|challenge| (challenge.scheme, challenge.error)).collect();
            *self.classes.entry((rule, status, challenges)).or_default() += 1;
        }
    }

    /// Counts a case with a difference.
    pub fn count_difference(&mut self) {
        self.differences += 1;
    }

    /// How many cases have a difference.
    pub fn differences(&self) -> u64 {
        self.differences
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: Self) {
        self.worlds.extend(other.worlds);
        self.tokens += other.tokens;
        self.not_built += other.not_built;
        self.differences += other.differences;
        for (class, count) in other.classes {
            *self.classes.entry(class).or_default() += count;
        }
    }

    /// How many pairs were compared.
    pub fn pairs(&self) -> u64 {
        self.classes.values().sum()
    }

    /// How many were accepted.
    pub fn accepted(&self) -> u64 {
        self.classes.iter().filter(|((_, status, _), _)| *status == 200).map(|(_, count)| count).sum()
    }

    /// How many were refused by each rule.
    fn refused(&self) -> BTreeMap<Rule, u64> {
        let mut refused = BTreeMap::new();
        for ((rule, status, _), count) in &self.classes {
            if *status != 200 {
                *refused.entry(*rule).or_default() += count;
            }
        }
        refused
    }

    /// The rules that were not reached.
    pub fn unreached(&self) -> Vec<Rule> {
        let refused = self.refused();
        REACHABLE.iter().copied().filter(|rule| !refused.contains_key(rule)).collect()
    }

    /// Whether the pairs are worth comparing: a twentieth is accepted, and every rule refuses.
    pub fn is_thorough(&self) -> bool {
        self.accepted() * 20 >= self.pairs() && self.unreached().is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, count) in self.refused() {
            writeln!(f, "{rule:>10} {count:>9}")?;
        }
        writeln!(f, "{:>10} {:>9}", "accepted", self.accepted())?;
        writeln!(f, "{:>10} {:>9} configurations without a key that can be used", "not built", self.not_built)?;
        let (classes, worlds, tokens) = (self.classes.len(), self.worlds.len(), self.tokens);
        writeln!(f, "{classes} classes by rule, status, schemes and codes; {worlds} configurations, {tokens} tokens")
    }
}
