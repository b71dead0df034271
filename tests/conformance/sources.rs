//! Where the sources cite requirements, and which tests are named after them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};

/// A place that cites a requirement: a comment in code, or the name of a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From the root of the repository.
    pub(crate) file: String,
    /// The function or type with the comment, or the test.
    pub(crate) item: String,
}

/// Each citation of a requirement with one of these prefixes, by its ID.
pub(crate) type Citations = BTreeSet<(String, Place)>;

/// What comments in the code of these folders cite. Tests are left out.
pub(crate) fn in_comments(folders: &[PathBuf], prefixes: &BTreeSet<&str>) -> Citations {
    let mut found = Citations::new();
    for (file, text) in sources(folders) {
        if ["tests.rs", "vectors.rs"].iter().any(|tests| file.ends_with(tests)) {
            continue;
        }
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        let lines: Vec<&str> = code.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            for id in ids_in(comment, prefixes) {
                found.insert((id, Place { file: file.clone(), item: item_at(&lines, number).unwrap_or_default() }));
            }
        }
    }
    found
}

/// Which tests in these folders are named after requirements. A row of a table becomes a test by a macro, so any identifier
/// counts; comments and strings do not.
pub(crate) fn in_test_names(folders: &[PathBuf], prefixes: &BTreeSet<&str>) -> Citations {
    let mut found = Citations::new();
    for (file, text) in sources(folders) {
        let mut words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        if !words.any(|word| !ids_of(word, prefixes).is_empty()) {
            continue;
        }
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        for name in identifiers(tokens) {
            for id in ids_of(&name, prefixes) {
                found.insert((id, Place { file: file.clone(), item: name.clone() }));
            }
        }
    }
    found
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders `src` of the crates.
pub(crate) fn code() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).expect("the crates");
    crates.map(|entry| entry.expect("an entry").path().join("src")).collect()
}

/// The Rust sources below these folders: their names from the root, and their text.
fn sources(folders: &[PathBuf]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        collect(folder, &mut found);
    }
    assert!(!found.is_empty(), "no sources in {folders:?}");
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !["target", "node_modules"].iter().any(|name| path.ends_with(name)) {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").replace('\\', "/");
            found.push((name, fs::read_to_string(&path).expect("a source")));
        }
    }
}

/// The IDs in a comment, such as `BEARER-6`.
fn ids_in(comment: &str, prefixes: &BTreeSet<&str>) -> Vec<String> {
    let words = comment.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(prefix, number)| prefixes.contains(prefix) && number.parse::<u8>().is_ok())
    };
    words.filter(is_id).map(str::to_owned).collect()
}

/// The IDs that a name begins with: `mtls_2_d_20_mtls_4_the_header_counts` is about MTLS-2 and MTLS-4. D-20 is of another list.
fn ids_of(name: &str, prefixes: &BTreeSet<&str>) -> Vec<String> {
    let mut words = name.strip_prefix("not_built_").unwrap_or(name).split('_').filter(|word| *word != "and");
    let mut ids = Vec::new();
    while let (Some(prefix), Some(number)) = (words.next().map(str::to_ascii_uppercase), words.next()) {
        match number.parse::<u8>() {
            Ok(number) if prefixes.contains(prefix.as_str()) => ids.push(format!("{prefix}-{number}")),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    ids
}

fn identifiers(tokens: TokenStream) -> BTreeSet<String> {
    let of_one = |token| match token {
        TokenTree::Ident(name) => BTreeSet::from([name.to_string()]),
        TokenTree::Group(group) => identifiers(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => BTreeSet::new(),
    };
    tokens.into_iter().flat_map(of_one).collect()
}

/// The item that the comment in a line is about: what is declared below it, or else what it is in.
fn item_at(lines: &[&str], number: usize) -> Option<String> {
    let below = lines[number..].iter().map(|line| line.trim()).find(|line| !line.starts_with(['#', '/']));
    if lines[number].trim().starts_with("//")
        && let Some(name) = below.and_then(declared)
    {
        return Some(name);
    }
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut depth = indentation(lines[number]) + 1;
    // The last lines of a signature are not around its body.
    let ends_signature = |line: &str| line.is_empty() || line.starts_with([')', '{']) || line.starts_with("where");
    let mut around = lines[..=number].iter().rev().filter(|line| {
        let is_outer = !ends_signature(line.trim()) && indentation(line) < depth;
        depth = if is_outer { indentation(line) } else { depth };
        is_outer
    });
    around.find_map(|line| declared(line.trim()))
}

/// The name of what a line declares.
fn declared(line: &str) -> Option<String> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub") || ["async", "crate)", "super)"].contains(word));
    let name = match (words.next()?, words.next()?) {
        ("const", "fn") => words.next()?,
        ("fn" | "struct" | "enum" | "trait" | "const" | "static" | "type", name) => name,
        _ => return None,
    };
    Some(name.split(|character: char| !character.is_alphanumeric() && character != '_').next()?.to_owned())
}

#[test]
fn ids_are_found_in_comments_and_names() {
    let prefixes = BTreeSet::from(["KEY", "MTLS"]);
    assert_eq!(ids_in(" KEY-3, and T-KEY-04 (MTLS-4); SHA-256 KEY-x.", &prefixes), ["KEY-3", "MTLS-4"]);
    assert_eq!(ids_of("not_built_d_20_mtls_2_and_key_03_is_x_key_4", &prefixes), ["MTLS-2", "KEY-3"]);
    assert!(ids_of("sha_256_key_3", &prefixes).is_empty() && ids_of("key_of_2", &prefixes).is_empty());
}

#[test]
fn the_item_of_a_comment_is_below_or_around_it() {
    let lines = [
        "// A",
        "pub(crate) const fn f() {",
        "    if x {",
        "        // B",
        "        y();",
        "    }",
        "    z(); // C",
        "}",
    ];
    for comment in [0, 3, 6] {
        assert_eq!(item_at(&lines, comment).as_deref(), Some("f"), "{comment}");
    }
    assert_eq!(declared("pub const LIMIT: usize = 1;").as_deref(), Some("LIMIT"));
}
