use std::fmt::Write as _;

use scopegate_tests::assert_page;

use super::{Phase, Row};

const INTRODUCTION: &str = "# When an issuer fails

A service that verifies tokens depends on the keys of their issuers. This page lists what was made to go wrong with
an issuer, and what requests got meanwhile:

- **at start**: the service has just started, and has never had the keys. What a good token gets.
- **steady**: the keys are at hand. What a good token gets, for the 12 minutes that the fault lasts.
- **during a rotation**: the keys are at hand, and the issuer has begun to sign with a new key, which it publishes beside
  the old one. What good tokens of the old and of the new key get.
- **recovered after**: how long after the end of the fault good tokens of all published keys are 200, with no restart and no
  request to cause it.

All settings are the defaults, except that a broken socket is given up after 150 ms instead of 5 seconds, so that the test is
quick. Faults of names, certificates, connections and redirects are those of real resolvers and sockets; documents are the
answers of a test double. A 503 has a `Retry-After` and says nothing about the token. In no row and at no time did a
forged token, an expired one or one for another audience get anything but 401 or 503, and no host was asked for keys but the
issuer, at most once in 30 seconds and once more for a key id that is named twice.

A good token is 401 in one row only: where the issuer answers, and its answer does not have the key. (Where nothing is wrong
with the issuer, the same can happen to tokens of a new key for half a minute, if the issuer was asked just before it
published that key; see the docs of `scopegate_core::keys`.) And keys serve for a day
beyond their lifetime, which is why a clock that goes on a day in the middle of an outage ends in 503. Where the metadata is
of no use, a new key is found all the same for as long as the old metadata may be believed.

The table is written by the test `faults` from what happened, and compared with what happens in every run.

";

/// Compares the table with the page.
pub(super) fn compare(rows: &[Row]) {
    assert_page("issuer-outages.md", &page(rows), "faults");
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
