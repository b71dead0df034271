//! A small sample, of the same combinations each time.

use std::sync::atomic::AtomicU64;

use scopegate_spec_exhaustive::{gate::Gate, products, run};

#[test]
fn the_specification_and_the_gate_decide_alike() {
    let report = run::run(&products::all(), 300, 1, &AtomicU64::new(0));
    let differences: Vec<String> = report.differences.values().map(|(_, difference)| difference.to_string()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(report.requests >= 4000, "{}", report.requests);
    assert!(report.classes.0.len() >= 80, "{}", report.classes);
}

#[test]
fn what_is_ordinary_is_accepted() {
    for product in products::all() {
        let facts = product.requested(&product.configured(0), 0);
        let mut gate = Gate::build(&facts.setup).expect("a configuration that can be built");
        let (request, now) = facts.request(gate.nonce().as_deref(), 0);
        if let Some(answer) = facts.answers(&request).values().next() {
            gate.set_answer(answer);
        }
        let outcome = gate.decide(&request, now);
        assert_eq!(outcome.status, 200, "{}: {outcome:?}", product.name);
    }
}
