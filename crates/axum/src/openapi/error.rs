use std::{error::Error as StdError, fmt};

/// An OpenAPI document and the routes of a router contradict each other. Names every operation, and the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenApiError {
    faults: Vec<String>,
}

impl OpenApiError {
    /// `Ok` where there are no faults.
    pub(super) fn none(faults: Vec<String>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self { faults }) }
    }

    /// The faults, each with the operation or the part of the document that it is in and what to do about it.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(String::as_str)
    }
}

impl fmt::Display for OpenApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the OpenAPI document does not describe the router:")?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n- {fault}"))
    }
}

/// As [`Display`](fmt::Display), since it is what a `main` that returns the error shows.
impl fmt::Debug for OpenApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for OpenApiError {}
