//! `docs/conformance/requirements.toml`.

use std::collections::BTreeSet;

use serde::Deserialize;

const FILE: &str = include_str!("../../docs/conformance/requirements.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirements {
    #[serde(rename = "section")]
    pub(crate) sections: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) number: u8,
    pub(crate) title: String,
    /// Why no requirement of this section is met in full, unless it says so itself.
    not_built: Option<String>,
    #[serde(rename = "requirement")]
    pub(crate) requirements: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    pub(crate) id: String,
    pub(crate) level: String,
    pub(crate) text: String,
    pub(crate) source: String,
    not_built: Option<String>,
    /// Where the code does otherwise than the text says.
    pub(crate) note: Option<String>,
}

impl Requirements {
    pub(crate) fn read() -> Self {
        Self::parse(FILE)
    }

    pub(crate) fn parse(text: &str) -> Self {
        toml::from_str(text).expect("requirements")
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.sections.iter().flat_map(|section| &section.requirements).map(|row| row.id.as_str()).collect()
    }

    /// What comes before the number of an ID.
    pub(crate) fn prefixes(&self) -> BTreeSet<&str> {
        self.ids().into_iter().filter_map(|id| Some(id.split_once('-')?.0)).collect()
    }
}

impl Section {
    /// Why a requirement is not met in full, if it is not.
    pub(crate) fn not_built<'s>(&'s self, requirement: &'s Requirement) -> Option<&'s str> {
        requirement.not_built.as_deref().or(self.not_built.as_deref())
    }
}
