//! What happened.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{faults::Fault, memory::Memory, tokens::Kind};

/// Counts of what happened in one world or several.
#[derive(Debug, Default)]
pub(crate) struct Report {
    decisions: BTreeMap<(&'static str, &'static str, u16), u64>,
    events: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    wrong: u64,
    /// Wrong decisions that nobody has seen yet, with their history.
    examples: Vec<String>,
    printed: usize,
    pub(crate) memory: Memory,
    pub(crate) simulated: Duration,
}

/// Wrong decisions that are printed with their history.
const EXAMPLES: usize = 10;

impl Report {
    /// Counts the response to a token of this kind, which was genuine or had this flaw.
    pub(crate) fn decided(&mut self, kind: Kind, flaw: &'static str, status: u16) {
        *self.decisions.entry((kind.name(), flaw, status)).or_default() += 1;
    }

    pub(crate) fn event(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    pub(crate) fn is_wrong(&mut self, example: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Adds what happened since in one of the worlds. The first wrong decisions are printed at once.
    pub(crate) fn add(&mut self, other: Self) {
        fn sum<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            from.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
        }
        sum(&mut self.decisions, other.decisions);
        sum(&mut self.events, other.events);
        sum(&mut self.faults, other.faults);
        self.wrong += other.wrong;
        for example in other.examples.into_iter().take(EXAMPLES - self.printed) {
            println!("WRONG {example}\n");
            self.printed += 1;
        }
        self.simulated += other.simulated;
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.wrong
    }

    pub(crate) fn requests(&self) -> u64 {
        self.decisions.values().sum()
    }

    pub(crate) fn progress(&self) -> String {
        let days = self.simulated.as_secs() / 86_400;
        format!("{} requests, {} wrong, {days} simulated days", self.requests(), self.wrong)
    }

    /// Why the run failed: what was wrong, and what should have happened and did not.
    pub(crate) fn shortcomings(&self, seconds: u64) -> Vec<String> {
        let mut all = Vec::new();
        if self.wrong > 0 {
            all.push(format!("{} wrong decisions", self.wrong));
        }
        if self.memory.has_grown() {
            all.push(format!("memory grew: {:?}", self.memory));
        }
        // A shorter run is for trying the program out.
        if seconds >= 60 {
            let unseen = Fault::ALL.iter().filter(|fault| !self.faults.contains_key(fault.name()));
            all.extend(unseen.map(|fault| format!("no endpoint ever failed by {}", fault.name())));
            let has = |kind: Kind, status: u16| {
                let mut decisions = self.decisions.keys();
                decisions.any(|(name, flaw, found)| *name == kind.name() && flaw.is_empty() && *found == status)
            };
            for (kind, status) in
                Kind::ALL.into_iter().flat_map(|kind| [200, 401, 403, 503].map(|status| (kind, status)))
            {
                if !has(kind, status) {
                    all.push(format!("no genuine token was ever answered with {status}: {}", kind.name()));
                }
            }
        }
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "decisions:")?;
        for ((kind, flaw, status), count) in &self.decisions {
            let flaw = if flaw.is_empty() { "genuine" } else { flaw };
            writeln!(f, "{count:>12}  {status}  {kind}, {flaw}")?;
        }
        writeln!(f, "events:")?;
        for (event, count) in &self.events {
            writeln!(f, "{count:>12}  {event}")?;
        }
        writeln!(f, "outages of an endpoint, by kind:")?;
        for (fault, count) in &self.faults {
            writeln!(f, "{count:>12}  {fault}")?;
        }
        let [first, last, most] = self.memory.samples().map(|bytes| bytes >> 20);
        writeln!(f, "memory: {first} MiB after a quarter of the time, {last} MiB at the end, {most} MiB at most")
    }
}
