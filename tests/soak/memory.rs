//! The memory of the process.

use std::fs;

/// How much the memory grew, from the first quarter of the run to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    first: u64,
    last: u64,
    most: u64,
}

impl Memory {
    /// Takes a sample. Does nothing where the system does not tell.
    pub(crate) fn sample(&mut self) {
        let Some(bytes) = resident() else { return };
        if self.first == 0 {
            self.first = bytes;
        }
        self.last = bytes;
        self.most = self.most.max(bytes);
    }

    /// Bytes at the first quarter, at the end, and at most.
    pub(crate) fn samples(self) -> [u64; 3] {
        [self.first, self.last, self.most]
    }

    /// Whether it grew by more than a quarter and 64 MiB: caches that fill up to their limits take less.
    pub(crate) fn has_grown(self) -> bool {
        self.last > self.first + self.first / 4 + (64 << 20)
    }
}

/// The resident set in bytes, where there is a `/proc`.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
