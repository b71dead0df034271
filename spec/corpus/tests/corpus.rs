//! The committed corpus: it is what the cases make, and both sides decide as it says.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
};

use scopegate_spec_corpus::{
    check::{Decide, differences, gate, specification},
    files, folder,
    format::{Expected, File},
    requirements::REQUIREMENTS,
};

fn committed() -> Vec<File> {
    let folder = fs::read_dir(folder().join("cases")).unwrap();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

#[track_caller]
fn decides_as_the_corpus_says(decide: Decide) {
    let files = committed();
    let different: Vec<String> = files.iter().flat_map(|file| differences(file, decide)).collect();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn specification_decides_as_the_corpus_says() {
    decides_as_the_corpus_says(specification);
}

#[test]
fn gate_decides_as_the_corpus_says() {
    decides_as_the_corpus_says(gate);
}

#[test]
fn a_decision_that_is_not_the_expected_one_is_told() {
    let mut files = committed();
    let case = &mut files[0].groups[0].cases[0];
    case.expected = Expected { status: 418, challenges: Vec::new(), token: None };
    for decide in [specification, gate] as [Decide; 2] {
        let different = differences(&files[0], decide);
        assert_eq!(different.len(), 1);
        assert!(different[0].contains("418"), "{}", different[0]);
    }
}

#[test]
fn corpus_is_what_the_cases_make() {
    let mut names = BTreeSet::new();
    for (name, text) in files() {
        let committed = fs::read_to_string(folder().join(&name)).unwrap();
        assert!(committed == text, "corpus/{name} is not current: cargo run -p scopegate-spec-corpus");
        names.insert(name);
    }
    let present = fs::read_dir(folder().join("cases")).unwrap();
    let present: BTreeSet<String> =
        present.map(|entry| format!("cases/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
    assert_eq!(present, names);
}

#[test]
fn every_requirement_has_a_case_and_every_name_is_used_once() {
    let files = committed();
    let mut shown = HashSet::new();
    let mut count = 0;
    for file in &files {
        let mut names = HashSet::new();
        for case in file.groups.iter().flat_map(|group| &group.cases) {
            assert!(names.insert(&case.name), "{}: {}", file.subject, case.name);
            shown.extend(case.requirements.iter().map(String::as_str));
            count += 1;
        }
    }
    for (id, _) in REQUIREMENTS {
        assert!(shown.contains(id), "no case shows {id}");
    }
    assert!(count >= 800, "only {count} cases");
    println!("corpus: {count} cases, {} requirements", shown.len());
}
