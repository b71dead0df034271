//! `docs/conformance.md`: each requirement with the code that enforces it and the tests that are named after it.

mod page;
mod requirements;
mod sources;

use std::{collections::BTreeSet, sync::LazyLock};

use page::page;
use requirements::Requirements;
use scopegate_tests::assert_page;
use sources::{Citations, Place, code, in_comments, in_test_names, root};

/// What is cited by the code, by the tests and by the independent specification.
struct Evidence {
    code: Citations,
    tests: Citations,
    specification: Citations,
}

impl Evidence {
    fn of(requirements: &Requirements) -> Self {
        let prefixes = requirements.prefixes();
        let folders = |names: &[&str]| names.iter().map(|name| root().join(name)).collect::<Vec<_>>();
        Self {
            code: in_comments(&code(), &prefixes),
            tests: in_test_names(&folders(&["crates", "examples", "tests"]), &prefixes),
            specification: in_test_names(&folders(&["spec"]), &prefixes),
        }
    }
}

static REQUIREMENTS: LazyLock<Requirements> = LazyLock::new(Requirements::read);
static EVIDENCE: LazyLock<Evidence> = LazyLock::new(|| Evidence::of(&REQUIREMENTS));

fn cited(citations: &Citations) -> BTreeSet<&str> {
    citations.iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn conformance_page_is_current() {
    let page = page(&REQUIREMENTS, &EVIDENCE);
    assert_page("conformance.md", &page, "conformance", "conformance_page_is_current");
}

#[test]
fn every_requirement_has_code_and_a_test_or_is_named_as_not_built() {
    assert_eq!(faults(&REQUIREMENTS, &EVIDENCE), Vec::<String>::new());
}

/// What is wrong with the list, the citations, or the names of tests.
fn faults(requirements: &Requirements, evidence: &Evidence) -> Vec<String> {
    let (of_absence, tests): (Citations, Citations) =
        evidence.tests.iter().cloned().partition(|(_, test)| page::is_of_absence(test));
    let (code, tests, of_absence) = (cited(&evidence.code), cited(&tests), cited(&of_absence));
    let mut faults = Vec::new();
    for section in &requirements.sections {
        for row in &section.requirements {
            let id = row.id.as_str();
            faults.extend(match (code.contains(id), tests.contains(id), section.not_built(row)) {
                (true, true, None) if of_absence.contains(id) => Some(format!("{id} has a test `not_built_…`")),
                (true, true, None) | (false, _, Some(_)) | (_, false, Some(_)) => None,
                (true, true, Some(_)) => Some(format!("{id} has code and a test, and is said not to be built")),
                (false, _, None) => Some(format!("{id} is cited by no code")),
                (true, false, None) => Some(format!("{id} has no test")),
            });
        }
    }
    let ids = requirements.ids();
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    if known.len() < ids.len() {
        faults.push("an ID is in the list twice".to_owned());
    }
    let all = evidence.code.iter().chain(&evidence.tests).chain(&evidence.specification);
    let unknown = all.filter(|(id, _)| !known.contains(id.as_str()));
    faults.extend(unknown.map(|(id, place)| format!("{id}, in {} of {}, is not in the list", place.item, place.file)));
    faults
}

#[test]
fn each_fault_is_found() {
    let row = |id: &str, more: &str| {
        format!("[[section.requirement]]\nid = '{id}'\nlevel = 'MUST'\ntext = ''\nsource = ''\n{more}\n")
    };
    let not_built = "not_built = 'Later.'";
    let rows = [row("A-1", ""), row("A-2", ""), row("A-3", ""), row("A-4", not_built), row("A-5", not_built)].concat();
    let section = "[[section]]\nnumber = 1\ntitle = ''\n";
    let requirements = Requirements::parse(&format!("{section}{rows}"));
    let citations = |names: &[(&str, &str)]| {
        let place = |item: &str| Place { file: "f.rs".to_owned(), item: item.to_owned() };
        names.iter().map(|(id, item)| ((*id).to_owned(), place(item))).collect()
    };
    let evidence = Evidence {
        code: citations(&[("A-1", "f"), ("A-2", "f"), ("A-4", "f"), ("A-9", "f")]),
        tests: citations(&[("A-1", "a_1"), ("A-1", "not_built_a_1"), ("A-3", "a_3"), ("A-4", "a_4"), ("A-5", "a_5")]),
        specification: citations(&[("A-8", "a_8")]),
    };
    let expected = [
        "A-1 has a test `not_built_…`",
        "A-2 has no test",
        "A-3 is cited by no code",
        "A-4 has code and a test, and is said not to be built",
        "A-9, in f of f.rs, is not in the list",
        "A-8, in a_8 of f.rs, is not in the list",
    ];
    assert_eq!(faults(&requirements, &evidence), expected);
    let twice = Requirements::parse(&format!("{section}{}", row("A-5", not_built).repeat(2)));
    let none = Evidence { code: citations(&[]), tests: citations(&[]), specification: citations(&[]) };
    assert_eq!(faults(&twice, &none), ["an ID is in the list twice"]);
}
