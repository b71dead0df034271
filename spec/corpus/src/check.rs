//! Holds both sides to a file.

use scopegate_spec_compare::outcome::Outcome;

use crate::{
    format::{Case, Expected, File, Group},
    gate, specified,
};

/// Who decides: what a case expects of the side that is asked.
pub type Decide = fn(&Group, &Case) -> Outcome;

/// The specification.
pub fn specification(group: &Group, case: &Case) -> Outcome {
    specified::decision(&group.configuration, group.time, case).0
}

/// The gate.
pub fn gate(group: &Group, case: &Case) -> Outcome {
    gate::decision(&group.configuration, group.time, case)
}

/// The cases about which a side decides otherwise, in words.
pub fn differences(file: &File, decide: Decide) -> Vec<String> {
    let cases = file.groups.iter().flat_map(|group| group.cases.iter().map(move |case| (group, case)));
    let different = cases.filter_map(|(group, case)| {
        let decided = Expected::from(decide(group, case));
        (decided != case.expected).then(|| {
            let (subject, group, case, expected) = (&file.subject, &group.name, &case.name, &case.expected);
            format!("{subject}: {group}: {case}\n  expected {expected:?}\n  decided  {decided:?}")
        })
    });
    different.collect()
}
