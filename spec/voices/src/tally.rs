//! What the libraries say of the tokens, beside what the gate says.

use std::{collections::BTreeMap, fmt};

use crate::{
    difference::{DIFFERENCES, Difference, Refused},
    sample::Sample,
};

/// Requirements that every library has. A token that one of them refused is accepted by none that was asked at all.
const OF_EVERY_LIBRARY: [&str; 4] = ["ALG-1", "JWT-1", "JWT-4", "JWT-7"];

/// The verdicts of one library.
#[derive(Debug)]
pub struct Tally {
    library: String,
    agreed: u64,
    /// By the place of the difference in [`DIFFERENCES`].
    explained: Vec<u64>,
    /// The first token of each verdict, and how many there are.
    unexplained: BTreeMap<Refused, (u64, Sample)>,
    /// What the gate refuses, by its rule: how many there are, and how many of them the library accepts.
    refused: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(library: &str) -> Self {
        Self {
            library: library.to_owned(),
            agreed: 0,
            explained: vec![0; DIFFERENCES.len()],
            unexplained: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Counts a verdict, which is `None` if the library accepts.
    pub fn count(&mut self, sample: Sample, verdict: Option<Refused>) {
        match (&sample.refused_by, verdict) {
            (Some(rule), verdict) => {
                let (all, accepted) = self.refused.entry(rule.clone()).or_default();
                *all += 1;
                *accepted += u64::from(verdict.is_none());
            }
            (None, None) => self.agreed += 1,
            (None, Some(verdict)) => {
                let is_known = |difference: &Difference| {
                    difference.library == self.library && verdict.accepted_without.as_ref() == Some(&difference.name)
                };
                match DIFFERENCES.iter().position(is_known) {
                    Some(place) => self.explained[place] += 1,
                    None => self.unexplained.entry(verdict).or_insert((0, sample)).0 += 1,
                }
            }
        }
    }

    /// How many tokens the gate and the library accept.
    pub fn agreed(&self) -> u64 {
        self.agreed
    }

    /// How many the gate accepts and the library refuses for no known reason.
    pub fn unexplained(&self) -> u64 {
        self.unexplained.values().map(|(count, _)| count).sum()
    }

    /// How many tokens the library accepts although a requirement refused them that every library has.
    pub fn accepted_bad(&self) -> u64 {
        OF_EVERY_LIBRARY.iter().filter_map(|rule| self.refused.get(*rule)).map(|(_, accepted)| accepted).sum()
    }

    /// Whether there were tokens that each of these requirements refused.
    pub fn has_bad(&self) -> bool {
        OF_EVERY_LIBRARY.iter().all(|rule| self.refused.contains_key(*rule))
    }

    /// The differences of this library that no token shows: they are known no more, or were never seen.
    pub fn unseen(&self) -> impl Iterator<Item = &str> {
        let counts = DIFFERENCES.iter().zip(&self.explained);
        let unseen = counts.filter(|(difference, count)| difference.library == self.library && **count == 0);
        unseen.map(|(difference, _)| difference.name.as_str())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = &self.library;
        writeln!(f, "{library}: of what the gate accepts")?;
        writeln!(f, "{:>9} accepted by it too", self.agreed)?;
        for (difference, count) in DIFFERENCES.iter().zip(&self.explained).filter(|(_, count)| **count > 0) {
            writeln!(f, "{count:>9} {} ({}): {}", difference.name, difference.requirement, difference.reason)?;
        }
        for (verdict, (count, sample)) in &self.unexplained {
            writeln!(f, "{count:>9} UNEXPLAINED {}: {}", verdict.error, verdict.message)?;
            writeln!(f, "          {}", serde_json::to_string(sample).map_err(|_| fmt::Error)?)?;
        }
        writeln!(f, "{library}: of what the gate refuses, by the requirement: all, and accepted by it")?;
        for (rule, (all, accepted)) in &self.refused {
            writeln!(f, "{rule:>9} {all:>6} {accepted:>6}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(refused_by: Option<&str>) -> Sample {
        Sample {
            token: "a.b.c".to_owned(),
            now: 0,
            issuer: "https://a.example".to_owned(),
            audiences: None,
            algorithms: Vec::new(),
            types: Vec::new(),
            leeway: 0,
            max_token_age: None,
            required_claims: Vec::new(),
            client: None,
            jwks: "{}".to_owned(),
            retries: Vec::new(),
            refused_by: refused_by.map(str::to_owned),
        }
    }

    fn refused(accepted_without: Option<&str>) -> Option<Refused> {
        let (error, message) = ("E".to_owned(), "no".to_owned());
        Some(Refused { error, message, accepted_without: accepted_without.map(str::to_owned) })
    }

    #[test]
    fn a_refusal_is_explained_by_a_difference_of_this_library_alone() {
        let mut tally = Tally::new("jose");
        tally.count(sample(None), refused(Some("null member")));
        assert_eq!((tally.agreed(), tally.unexplained()), (0, 0));
        tally.count(sample(None), refused(Some("unused header parameter")));
        tally.count(sample(None), refused(None));
        tally.count(sample(None), None);
        assert_eq!((tally.agreed(), tally.unexplained()), (1, 2));
        assert_eq!(tally.to_string().matches("UNEXPLAINED E: no").count(), 2, "{tally}");
    }

    #[test]
    fn a_difference_that_no_token_shows_is_told() {
        let mut tally = Tally::new("jose");
        let all = tally.unseen().count();
        tally.count(sample(None), refused(Some("null member")));
        assert_eq!(tally.unseen().count(), all - 1);
        assert!(tally.unseen().all(|name| name != "null member"));
    }

    #[test]
    fn a_library_that_accepts_an_expired_token_is_told() {
        let mut tally = Tally::new("jose");
        for rule in ["ALG-1", "JWT-1", "JWT-4", "JWT-7"] {
            assert!(!tally.has_bad());
            tally.count(sample(Some(rule)), refused(None));
        }
        assert!(tally.has_bad());
        tally.count(sample(Some("AT-2")), None);
        assert_eq!(tally.accepted_bad(), 0);
        tally.count(sample(Some("JWT-4")), None);
        assert_eq!(tally.accepted_bad(), 1);
    }
}
