use std::{borrow::Cow, collections::HashSet};

use super::malformed::{Malformed, PRIVATE};

/// Up to this many names are compared one by one; more are hashed, so that parsing stays linear in the length of the text.
const FEW: usize = 16;

/// The member names of one object, for the detection of duplicates.
pub(super) struct Names<'a> {
    /// The first names, each with a fingerprint; most objects need no allocation.
    few: [&'a str; FEW],
    marks: [u64; FEW],
    length: usize,
    /// Further names, and names with escapes.
    many: HashSet<Cow<'a, str>>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { few: [""; FEW], marks: [0; FEW], length: 0, many: HashSet::new() }
    }
}

impl<'a> Names<'a> {
    /// Records a name. Refuses a duplicate, and a name that `serde_json` uses internally.
    #[inline]
    pub(super) fn note(&mut self, name: Cow<'a, str>) -> Result<(), Malformed> {
        if name.starts_with('$') && name.starts_with(PRIVATE) {
            return Err(Malformed::PrivateName);
        }
        let mark = mark(&name);
        let mut alike = self.marks[..self.length].iter().zip(&self.few).filter(|(other, _)| **other == mark);
        // JOSE-5: no name occurs twice.
        if alike.any(|(_, other)| **other == *name) || !self.many.is_empty() && self.many.contains(&name) {
            return Err(Malformed::DuplicateMember);
        }
        match (name, self.few.get_mut(self.length)) {
            (Cow::Borrowed(name), Some(place)) => {
                *place = name;
                self.marks[self.length] = mark;
                self.length += 1;
            }
            (name, _) => {
                self.many.insert(name);
            }
        }
        Ok(())
    }
}

/// A fingerprint: equal names have equal fingerprints.
pub(super) fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let half = |from: usize| bytes[from..from + 4].iter().fold(0, |half, byte| half << 8 | u64::from(*byte));
    match bytes.len() {
        0 => 0,
        length @ 1..=3 => u64::from(bytes[0]) << 16 | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]),
        length @ 4..=7 => half(0) << 32 | half(length - 4),
        _ => half(0) << 32 | half(4),
    }
}
