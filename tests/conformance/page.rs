//! The page as text.

use std::fmt::Write as _;

use crate::{
    Evidence, cited,
    requirements::{Requirement, Requirements, Section},
    sources::{Citations, Place},
};

const INTRODUCTION: &str = "\
# Conformance

What an OAuth 2.0 resource server has to do, requirement by requirement: the code that enforces it and the tests that are named
after it. The list is our reading of the standards. It names no duty of clients or of authorization servers.

## How to read it

The test `conformance` writes this page from the requirements in [`conformance/requirements.toml`](conformance/requirements.toml),
from comments in the code, such as `// BEARER-6: …`, and from the names of tests, such as `bearer_6_…`. It fails when the page is
not current, when a requirement has no code or no test and is not named as not built, and when an ID is cited that is not in the
list. That a test has a name does not prove that it tests what it says; read it.

- **Level** is what the source demands. **†** marks a level or an outcome that is our own choice, since the source is silent or
  leaves room.
- **(unverified)** marks what was written from memory and not compared with the text of the source.
- **Code** is the function or the type with the comment; search its file for the ID.
- **Specification** is [`spec`](../spec/README.md): the decision about a request written once more, by authors who had not seen the
  crates and without a library in common, and compared with them at random in every full run of the checks.
- **Not built** says why a requirement has no code or no test. A test named `not_built_…` shows what happens instead.
- **Note** says where the code does otherwise than the text, or less.

Sources are RFCs by their numbers. *bis* is draft-ietf-oauth-rfc8725bis, *TSL* is draft-ietf-oauth-status-list, *BCL* is OpenID
Connect Back-Channel Logout 1.0, *MCP* is the authorization chapter of the Model Context Protocol; *FAPI2* is the FAPI 2.0 Security
Profile. A § without a document is a section of this list, and §26 is [what issuers send](providers.md).

| outcome | is |
|---|---|
| `401-bare` | 401 with a challenge for each scheme and no error code |
| `401-tok` | 401 `invalid_token` |
| `400-req` | 400 `invalid_request` |
| `403-scope` | 403 `insufficient_scope` with the scopes that are needed |
| `401-dpop`, `401-nonce` | 401 `invalid_dpop_proof`, `use_dpop_nonce` |
| `503-dep` | 503: no decision, since something that it depends on did not answer |
| `500-cfg` | 500: layers or handlers are put together wrongly |
| `START-ERR` | the configuration is refused before anything is served |

How many requirements have code and tests. The others are features that are not built, such as status lists and step-up, and no
rule that is broken: no part of one is there by which a token could be accepted, and **Not built** says of each what happens without
it.

";

/// A test of what happens in place of something that is not built.
pub(crate) fn is_of_absence(test: &Place) -> bool {
    test.item.starts_with("not_built_")
}

pub(crate) fn page(requirements: &Requirements, evidence: &Evidence) -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "| section | MUST | SHOULD, MAY |\n|---|---|---|\n";
    for section in &requirements.sections {
        let heading = heading(section);
        let anchor = anchor(&heading);
        let counts = counts(std::slice::from_ref(section));
        let _ = writeln!(page, "| [{heading}](#{anchor}) | {counts} |");
    }
    let _ = writeln!(page, "| all | {} |", counts(&requirements.sections));
    for section in &requirements.sections {
        let _ = writeln!(page, "\n## {}", heading(section));
        for row in &section.requirements {
            page += &requirement(row, section.not_built(row), evidence);
        }
    }
    page
}

/// How many requirements of these sections have code and tests: those whose level is MUST, and the others.
fn counts(sections: &[Section]) -> String {
    let of_level = |is_must: bool| {
        let rows = sections.iter().flat_map(|section| section.requirements.iter().map(move |row| (section, row)));
        let rows = rows.filter(|(_, row)| row.level.starts_with("MUST") == is_must);
        match (rows.clone().filter(|(section, row)| section.not_built(row).is_none()).count(), rows.count()) {
            (_, 0) => "none".to_owned(),
            (built, all) => format!("{built} of {all}"),
        }
    };
    format!("{} | {}", of_level(true), of_level(false))
}

fn heading(section: &Section) -> String {
    format!("{}. {}", section.number, section.title)
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character));
    kept.map(|character| if character == ' ' { '-' } else { character.to_ascii_lowercase() }).collect()
}

fn requirement(row: &Requirement, not_built: Option<&str>, evidence: &Evidence) -> String {
    let mut text = format!("\n### {}\n\n**{}**: {} ({})\n\n", row.id, row.level, row.text, row.source);
    for (label, citations) in
        [("Code", &evidence.code), ("Tests", &evidence.tests), ("Specification", &evidence.specification)]
    {
        if cited(citations).contains(row.id.as_str()) {
            let _ = writeln!(text, "- {label}: {}", places(citations, &row.id));
        }
    }
    for (label, sentence) in [("Not built", not_built), ("Note", row.note.as_deref())] {
        if let Some(sentence) = sentence {
            let _ = writeln!(text, "- {label}: {sentence}");
        }
    }
    text
}

/// The places that cite a requirement, file by file.
fn places(citations: &Citations, id: &str) -> String {
    let mut text = String::new();
    let mut last_file = "";
    for (_, place) in citations.iter().filter(|(cited, _)| cited == id) {
        if place.file != last_file {
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}[{0}](../{0})", place.file);
        }
        if !place.item.is_empty() {
            let separator = if text.ends_with('`') { "," } else { "" };
            let _ = write!(text, "{separator} `{}`", place.item);
        }
        last_file = &place.file;
    }
    text
}
