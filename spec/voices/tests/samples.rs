//! The tokens that are written down.

use std::collections::HashSet;

use scopegate_spec_voices::sample::{Sample, Wanted, samples};

#[test]
fn samples_are_as_many_as_wanted_each_once_and_can_be_read_again() {
    let mut all = Vec::new();
    samples(0.., Wanted { accepted: 300, refused: 100 }, |sample| all.push(sample.clone()));
    let accepted = all.iter().filter(|sample| sample.refused_by.is_none()).count();
    assert_eq!((accepted, all.len()), (300, 400));
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 400);
    for sample in &all {
        let text = serde_json::to_string(sample).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), *sample);
        assert!(!text.contains('\n'));
    }
}
