//! Writes the corpus of decisions, and holds the specification and the gate to it.
//!
//! [`cases`] says what is decided about which request, in one word each; the specification adds the rest of the decision. What is
//! written to `corpus/` is read again, as a reader in another language would, and [`check`] asks both sides: [`specified`] and
//! [`gate`].

pub mod cases;
pub mod check;
pub mod draft;
pub mod format;
pub mod gate;
pub mod keys;
pub mod network;
pub mod requirements;
pub mod specified;
pub mod token;

use std::path::PathBuf;

use cases::SUBJECTS;
use format::File;

/// The folder of the corpus.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus"))
}

/// The files as they should be: the name and the text of each.
///
/// # Panics
///
/// When the specification decides otherwise than the cases say.
pub fn files() -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let files = SUBJECTS.into_iter().map(|(subject, groups)| {
        let file = File {
            schema: "../schema.json".to_owned(),
            subject: subject.to_owned(),
            groups: groups().into_iter().map(|draft| draft.finish(&mut wrong)).collect(),
        };
        let text = serde_json::to_string_pretty(&file).expect("text and numbers");
        (format!("cases/{subject}.json"), text + "\n")
    });
    let files = files.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    files
}
