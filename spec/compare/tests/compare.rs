//! A small comparison, of the same cases each time.

use scopegate_spec_compare::{run, tally::Tally};

#[test]
fn the_specification_and_the_gate_decide_alike() {
    let cases = 500; // With 30 000 requests and more.
    let (tally, failures) = run::compare(0..cases, |_: &Tally| {});
    let failures: Vec<String> = failures.values().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(tally.pairs() >= 30_000, "{tally}");
    assert!(tally.is_thorough(), "not reached: {:?}\n{tally}", tally.unreached());
}
