//! What was compared, by the rule that refused.

use std::{collections::BTreeMap, fmt};

use scopegate_spec::Rule;

use crate::compare::Agreement;

/// The rules that a request with a JWT can reach here. One that none reaches is a fault of the generator.
pub const REACHABLE: &[Rule] = &[
    "ALG-1",
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
    "MTLS-5",
    "SCOPE-1",
    "SCOPE-6",
];

/// Counts of pairs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    refused: BTreeMap<Rule, u64>,
    accepted: u64,
    not_built: u64,
    differences: u64,
}

impl Tally {
    /// Counts what came of a case.
    pub fn count(&mut self, agreement: Agreement) {
        match agreement {
            Agreement::Decided(decided) => {
                for (status, rule) in decided {
                    match status {
                        200 => self.accepted += 1,
                        _ => *self.refused.entry(rule).or_default() += 1,
                    }
                }
            }
            Agreement::NotBuilt => self.not_built += 1,
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
        self.accepted += other.accepted;
        self.not_built += other.not_built;
        self.differences += other.differences;
        for (rule, count) in other.refused {
            *self.refused.entry(rule).or_default() += count;
        }
    }

    /// How many pairs were compared.
    pub fn pairs(&self) -> u64 {
        self.accepted + self.refused.values().sum::<u64>()
    }

    /// How many were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The rules that were not reached.
    pub fn unreached(&self) -> Vec<Rule> {
        REACHABLE.iter().copied().filter(|rule| !self.refused.contains_key(rule)).collect()
    }

    /// Whether the pairs are worth comparing: a twentieth is accepted, and every rule refuses.
    pub fn is_thorough(&self) -> bool {
        self.accepted * 20 >= self.pairs() && self.unreached().is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, count) in &self.refused {
            writeln!(f, "{rule:>10} {count:>9}")?;
        }
        writeln!(f, "{:>10} {:>9}", "accepted", self.accepted)?;
        writeln!(f, "{:>10} {:>9} configurations without a key that can be used", "not built", self.not_built)
    }
}
