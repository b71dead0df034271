//! Where a setting stands, and the faults of the settings there.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{
    spelling::{home, nearest},
    value::{List, Quantity, Secret},
};

/// A table of settings: any of them may be left out, and `unknown` has those that are not known. What stands `besides` is not read.
macro_rules! table {
    (
        $(#[$about:meta])*
        $vis:vis struct $table:ident { $($(#[$attribute:meta])* $setting:ident: $type:ty,)* }
        $(besides { $($(#[$doc:meta])* $other:ident: $other_type:ty,)* })?
    ) => {
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default)]
        $(#[$about])*
        $vis struct $table {
            $($(#[$attribute])* pub(in crate::config) $setting: $type,)*
            $($($(#[$doc])* #[serde(skip)] pub(in crate::config) $other: $other_type,)*)?
            #[serde(flatten)]
            pub(in crate::config) unknown: $crate::config::place::Unknown,
        }

        impl $table {
            /// The names of the settings.
            pub(in crate::config) const NAMES: &'static [&'static str] = &[$(stringify!($setting)),*];
        }
    };
}
pub(super) use table;

/// A table and its faults.
pub(super) struct Place<'f> {
    /// The prefix of a setting's name.
    pub(super) prefix: String,
    /// What the names of the variables begin with that have the settings, if no file has them.
    pub(super) variables: Option<String>,
    pub(super) faults: &'f mut Vec<String>,
}

impl Place<'_> {
    pub(super) fn fault(&mut self, setting: &str, fault: impl fmt::Display) {
        let name = match &self.variables {
            Some(prefix) => variable(prefix, setting),
            None => setting.to_owned(),
        };
        self.faults.push(format!("{}{name}: {fault}", self.prefix));
    }

    pub(super) fn ok<T>(&mut self, setting: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|fault| self.fault(setting, fault)).ok()
    }

    /// A secret that is this setting, or in the file that the setting with `_file` at its end names.
    pub(super) fn secret(&mut self, setting: &str, value: Option<Secret>, file: Option<PathBuf>) -> Option<String> {
        let of_file = value.is_none() && file.is_some();
        let name = format!("{setting}{}", if of_file { "_file" } else { "" });
        self.ok(&name, Secret::from_either(value, file))
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

    /// Reports the settings that a table does not have, whose own are `known`.
    pub(super) fn unknown(&mut self, table: &str, unknown: Unknown, known: &[&str]) {
        for name in unknown.into_keys() {
            let hint = match (home(&name), nearest(&name, known.iter().copied())) {
                (Some(home), _) => format!("`{name}` belongs {home}"),
                (None, Some(meant)) => format!("did you mean `{table}{meant}`?"),
                (None, None) => "check its spelling and its table".to_owned(),
            };
            self.fault(&format!("{table}{}", name.escape_debug()), format_args!("is not a setting; {hint}"));
        }
    }
}

/// The variable that has this setting.
pub(crate) fn variable(prefix: &str, setting: &str) -> String {
    format!("{prefix}{}", setting.to_uppercase().replace('.', "_"))
}

/// Unknown settings of a table, kept to report them all. `deny_unknown_fields` reports only the first, in an error in which a
/// TOML reader quotes the line, value and all.
pub(in crate::config) type Unknown = BTreeMap<String, IgnoredAny>;

/// An explicit `null` is an error: taken for an absent list or check, it would allow everything.
pub(super) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
