//! Holds a server to every law with case after case, and makes one that breaks a law smaller.

use std::{cell::OnceCell, collections::BTreeMap, fmt};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use scopegate_spec_compare::{generate, world::World};

use super::{Case, Holds, Law, Server, Violation};
use crate::setup::Setup;

/// How many smaller cases are tried.
const SHRINK_STEPS: usize = 1000;

/// How often a law was looked at with a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// How often it held.
    pub checked: u64,
    /// How often of these the request could have broken it.
    pub telling: u64,
}

/// A case that breaks a law, as small as it could be made.
#[derive(Clone, Debug)]
pub struct Failure {
    /// By which the case is generated again.
    pub seed: u64,
    case: Case,
    violation: Violation,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// For each law.
    pub counts: BTreeMap<Law, Count>,
    /// The first failure of each law.
    pub failures: BTreeMap<Law, Failure>,
}

/// Holds a server to these laws with the cases of these seeds. A law that was broken is not looked at again.
pub fn run(
    server: &dyn Server,
    laws: &[Law],
    seeds: impl IntoIterator<Item = u64>,
    mut progress: impl FnMut(&Report),
) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        let tree = case(seed);
        let current = tree.current();
        for law in laws {
            if report.failures.contains_key(law) {
                continue;
            }
            match law.check(server, &current) {
                Ok(holds) => {
                    let count = report.counts.entry(*law).or_default();
                    count.checked += holds.len() as u64;
                    count.telling += holds.iter().filter(|holds| **holds == Holds::Telling).count() as u64;
                }
                Err(violation) => {
                    let (case, violation) = shrink(*law, server, case(seed), violation);
                    report.failures.insert(*law, Failure { seed, case, violation: *violation });
                }
            }
        }
        progress(&report);
    }
    report
}

/// The same where tokens are bound to nothing, and nobody is asked about them.
fn of_bearer_jwts(mut world: World) -> World {
    world.issuers.iter_mut().for_each(|issuer| issuer.asked = None);
    World { proofs: None, certificates: false, require_binding: false, ..world }
}

/// A case of the comparison.
fn case(seed: u64) -> impl ValueTree<Value = Case> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategy = generate::case().prop_map(move |case| {
        let setup = Setup { world: of_bearer_jwts(case.world), ..Setup::default() };
        Case { setup, plans: case.plans, seed, sent: OnceCell::new() }
    });
    strategy.new_tree(&mut runner).expect("no strategy rejects a value")
}

/// The smallest case that was found to break the law.
fn shrink(
    law: Law,
    server: &dyn Server,
    mut tree: impl ValueTree<Value = Case>,
    mut violation: Box<Violation>,
) -> (Case, Box<Violation>) {
    let mut smallest = tree.current();
    let mut can_go_on = tree.simplify();
    for _ in 0..SHRINK_STEPS {
        if !can_go_on {
            break;
        }
        let case = tree.current();
        can_go_on = match law.check(server, &case) {
            Err(found) => {
                (smallest, violation) = (case, found);
                tree.simplify()
            }
            Ok(_) => tree.complicate(),
        };
    }
    (smallest, violation)
}

impl Report {
    /// Adds what another has found.
    pub fn add(&mut self, other: Self) {
        for (law, count) in other.counts {
            let known = self.counts.entry(law).or_default();
            known.checked += count.checked;
            known.telling += count.telling;
        }
        self.failures.extend(other.failures);
    }

    /// How often all laws were looked at with a request.
    pub fn checked(&self) -> u64 {
        self.counts.values().map(|count| count.checked).sum()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} does not hold, seed {}", self.violation.law, self.seed)?;
        writeln!(f, "{:#?}", self.case)?;
        f.write_str(&self.violation.text)
    }
}
