//! Compares case after case, and makes one that fails smaller.

use std::{
    collections::btree_map::{BTreeMap, Entry},
    fmt,
};

use proptest::{
    strategy::{Strategy as _, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    compare::{Case, Difference, Kind},
    generate,
    tally::Tally,
};

/// How many smaller cases are tried.
const SHRINK_STEPS: usize = 4000;

/// A case that fails, as small as it could be made.
#[derive(Debug)]
pub struct Failure {
    /// By which the case is generated again.
    pub seed: u64,
    case: Case,
    difference: Box<Difference>,
}

/// The first failure of each kind.
pub type Failures = BTreeMap<Kind, Failure>;

/// Compares the cases of these seeds. Of failures that look alike, the first is kept and made smaller; the rest are counted.
pub fn compare(seeds: impl IntoIterator<Item = u64>, mut progress: impl FnMut(&Tally)) -> (Tally, Failures) {
    let (mut tally, mut failures) = (Tally::default(), Failures::new());
    let strategy = generate::case();
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), random);
        let mut tree = strategy.new_tree(&mut runner).expect("no strategy rejects a value");
        let case = tree.current();
        match case.compare() {
            Ok(agreement) => tally.count(&case, agreement),
            Err(difference) => {
                tally.count_difference();
                if let Entry::Vacant(place) = failures.entry(difference.kind()) {
                    let (case, difference) = shrink(&mut tree, difference);
                    place.insert(Failure { seed, case, difference });
                }
            }
        }
        progress(&tally);
    }
    (tally, failures)
}

/// The smallest case that was found to fail in the same way.
fn shrink(tree: &mut impl ValueTree<Value = Case>, mut difference: Box<Difference>) -> (Case, Box<Difference>) {
    let mut smallest = tree.current();
    let mut can_go_on = tree.simplify();
    for _ in 0..SHRINK_STEPS {
        if !can_go_on {
            break;
        }
        let case = tree.current();
        can_go_on = match case.compare() {
            Err(found) if found.kind() == difference.kind() => {
                (smallest, difference) = (case, found);
                tree.simplify()
            }
            _ => tree.complicate(),
        };
    }
    (smallest, difference)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "{:#?}", self.case)?;
        for (index, issuer) in self.case.world.issuers.iter().enumerate() {
            writeln!(f, "keys of issuer {index}: {}", issuer.set())?;
        }
        write!(f, "{}", self.difference)
    }
}
