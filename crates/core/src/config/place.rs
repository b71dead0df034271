//! Where a setting stands, and the faults of the settings there.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::value::{List, Quantity};

/// A table and its faults.
pub(super) struct Place<'f> {
    /// The prefix of a setting's name.
    pub(super) prefix: String,
    pub(super) faults: &'f mut Vec<String>,
}

impl Place<'_> {
    pub(super) fn fault(&mut self, setting: &str, fault: impl fmt::Display) {
        self.faults.push(format!("{}{setting}: {fault}", self.prefix));
    }

    pub(super) fn ok<T>(&mut self, setting: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|fault| self.fault(setting, fault)).ok()
    }

    pub(super) fn read<T>(
        &mut self,
        setting: &str,
        given: Option<Quantity>,
        read: impl FnOnce(&Quantity) -> Result<T, String>,
    ) -> Option<T> {
        self.ok(setting, read(&given?))
    }

    pub(super) fn list(&mut self, setting: &str, given: Option<List>) -> Option<Vec<String>> {
        let List(texts) = given?;
        if texts.is_empty() {
            self.fault(setting, "is an empty list; remove it for the default");
            return None;
        }
        Some(texts)
    }

    pub(super) fn unknown(&mut self, table: &str, unknown: Unknown) {
        for name in unknown.into_keys() {
            self.fault(
                &format!("{table}{}", name.escape_debug()),
                "is not a setting; check its spelling and its table",
            );
        }
    }
}

/// Unknown settings of a table, kept to report them all. `deny_unknown_fields` reports only the first, in an error in which a
/// TOML reader quotes the line, value and all.
pub(super) type Unknown = BTreeMap<String, IgnoredAny>;

/// An explicit `null` is an error: taken for an absent list or check, it would allow everything.
pub(super) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
