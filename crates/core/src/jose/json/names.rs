use std::{borrow::Cow, collections::HashSet};

use super::{Malformed, PRIVATE};

/// Up to this many member names of one object are compared one by one; beyond it they are hashed, so that reading stays
/// linear in the length of the text.
const FEW: usize = 16;

/// The member names of one object, each of them once.
pub(super) struct Names<'a> {
    /// The first of them, so that most objects need no memory for this, each with a mark that equal names have in common.
    few: [&'a str; FEW],
    marks: [u64; FEW],
    length: usize,
    /// Those that come later, or are not in the text as they are.
    many: HashSet<Cow<'a, str>>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { few: [""; FEW], marks: [0; FEW], length: 0, many: HashSet::new() }
    }
}

impl<'a> Names<'a> {
    /// Notes a name, and refuses it when it is there already or is one that a later reader would not take for a name.
    #[inline]
    pub(super) fn note(&mut self, name: Cow<'a, str>) -> Result<(), Malformed> {
        if name.starts_with('$') && name.starts_with(PRIVATE) {
            return Err(Malformed::PrivateName);
        }
        let mark = mark(&name);
        let mut alike = self.marks[..self.length].iter().zip(&self.few).filter(|(other, _)| **other == mark);
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

/// What equal names have in common.
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
