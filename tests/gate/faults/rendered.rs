use std::fmt::Write as _;

use scopegate_tests::assert_page;

use super::{Phase, Row};

const INTRODUCTION: &str = "# When an issuer fails

A service that verifies tokens depends on the keys of their issuer. This page lists faults of an issuer and the responses to
requests meanwhile:

- **at start**: the service has just started and has never had the keys. The responses to valid tokens.
- **steady**: the keys are cached. The responses to valid tokens during the 12 minutes of the fault.
- **during a rotation**: the keys are cached, and the issuer has begun to sign with a new key, which it publishes beside the old
  one. The responses to valid tokens of the old and of the new key.
- **recovered after**: how long after the end of the fault all valid tokens get 200, without a restart and without a request.

All settings are the defaults, except that a broken socket times out after 150 ms instead of 5 seconds, so that the test is
quick. Faults of names, certificates, connections and redirects are those of real resolvers and sockets; documents are the
responses of a test double. A 503 has a `Retry-After` and says nothing about the token. In no row and at no time does a forged
token, an expired one or one for another audience get anything but 401 or 503, and keys are fetched from the issuer alone, at
most once in 30 seconds and once more for a key id that is named twice.

A valid token gets 401 in one row only: where the issuer responds and its response lacks the key. (Where the issuer works, the
same can happen to tokens of a new key for half a minute, if the issuer published that key just after the last fetch; see the
docs of `scopegate_core::keys`.) Stale keys are used for a day beyond their lifetime, so a clock that jumps by a day in the
middle of an outage ends in 503. Where the metadata is unusable, a new key is still found for as long as the old metadata is
cached.

The table is written by the test `faults` from what happened, and compared with what happens in every run.

";

/// Compares the table with the page.
pub(super) fn compare(rows: &[Row]) {
    assert_page("issuer-outages.md", &page(rows), "gate", "faults");
}

fn page(rows: &[Row]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| fault | at start | steady | during a rotation | recovered after |\n|---|---|---|---|---|\n");
    for row in rows {
        let books = |wanted: Phase| &row.phases.iter().find(|(phase, _)| *phase == wanted).expect("every phase").1;
        let (start, steady, rotation) = (books(Phase::Start), books(Phase::Steady), books(Phase::Rotation));
        let longest = row.phases.iter().filter_map(|(_, books)| books.recovered).max().unwrap_or(u64::MAX);
        let recovered = match longest {
            ..=315 => "5 minutes at most",
            316..=600 => "10 minutes at most",
            _ => "it does not",
        };
        writeln!(
            page,
            "| {} | {} | {} | old key {}, new key {} | {recovered} |",
            row.fault.name,
            statuses(&start.old),
            statuses(&steady.old),
            statuses(&rotation.old),
            statuses(&rotation.new),
        )
        .expect("a string");
    }
    page
}

fn statuses(statuses: &[u16]) -> String {
    let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
    statuses.join(", then ")
}
