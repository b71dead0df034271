//! Where settings come from.

use super::place::variable;

/// Where settings come from, so that a remedy names them as they are written there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Calls of the builder.
    #[default]
    Code,
    /// A file.
    File,
    /// Variables whose names begin like this.
    Variables(String),
}

impl Origin {
    /// That of a table with these variables, or of a file.
    pub(super) fn of(variables: Option<String>) -> Self {
        variables.map_or(Self::File, Self::Variables)
    }

    /// A setting, quoted: the call that sets it, or its name.
    pub(crate) fn names(&self, call: &str, setting: &str) -> String {
        match self {
            Self::Code => format!("`{call}`"),
            Self::File => format!("`{setting}`"),
            Self::Variables(prefix) => format!("`{}`", variable(prefix, setting)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_as_it_is_written() {
        let named = |origin: Origin| origin.names(".dpop(..)", "dpop.public_url");
        assert_eq!(named(Origin::Code), "`.dpop(..)`");
        assert_eq!(named(Origin::of(None)), "`dpop.public_url`");
        assert_eq!(named(Origin::of(Some("X_".into()))), "`X_DPOP_PUBLIC_URL`");
    }
}
