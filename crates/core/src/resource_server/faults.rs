use std::{error::Error as StdError, fmt};

use crate::redact;

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(super) fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    pub(super) fn extend(&mut self, faults: impl IntoIterator<Item = String>) {
        self.0.extend(faults);
    }

    pub(super) fn of<'f>(&'f mut self, issuer: &str) -> IssuerFaults<'f> {
        IssuerFaults { issuer: format!("{:?}", redact::url(issuer)), faults: self }
    }

    pub(super) fn none(self) -> Result<(), BuildError> {
        if self.0.is_empty() { Ok(()) } else { Err(BuildError { faults: self.0 }) }
    }
}

/// The faults of one issuer's settings.
pub(super) struct IssuerFaults<'f> {
    issuer: String,
    faults: &'f mut Faults,
}

impl IssuerFaults<'_> {
    pub(super) fn add(&mut self, fault: impl fmt::Display) {
        self.faults.add(format!("issuer {}: {fault}", self.issuer));
    }
}

/// Settings that no resource server can be built from. Names every faulty setting, and the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildError {
    faults: Vec<String>,
}

impl BuildError {
    /// The faults, each with the setting it is in and what to do about it.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(String::as_str)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the resource server cannot be built:")?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n- {fault}"))
    }
}

/// As [`Display`](fmt::Display), since it is what a `main` that returns the error shows.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for BuildError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_main_shows_every_fault_on_a_line() {
        let mut faults = Faults::default();
        faults.add("no issuer");
        faults.of("https://as.example").add("no audience");
        let error = faults.none().unwrap_err();
        let shown = "the resource server cannot be built:\n- no issuer\n- issuer \"https://as.example\": no audience";
        assert_eq!((format!("{error:?}"), error.to_string()), (shown.to_owned(), shown.to_owned()));
    }
}
