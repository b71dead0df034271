//! Tokens bound to a key or certificate (`cnf`, RFC 7800 §3.1).
//!
//! The client that presents such a token must prove possession of the key. A binding that cannot be checked refuses the token,
//! whichever member it is in: accepting it as a bearer token would undo its issuer's protection.

pub mod dpop;

use crate::{
    jose::json::Value,
    refusal::{FailedCheck, Reason},
};

/// Checks the `cnf` claim of a bearer token.
///
/// No binding is supported yet, so every `cnf` refuses, also an empty or malformed one.
pub(crate) fn check(cnf: Option<&Value<'_>>) -> Result<(), FailedCheck> {
    let Some(cnf) = cnf else { return Ok(()) };
    let found = match cnf {
        Value::Object(members) => {
            let names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
            format!("the methods [{}]", names.join(", "))
        }
        other => other.type_name().to_owned(),
    };
    Err(FailedCheck::new(
        Reason::UnverifiableConfirmation,
        "cnf",
        "no confirmation, since none can be checked here",
        found,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_confirmation_refuses() {
        assert!(check(None).is_ok());
        for cnf in [
            Value::Null,
            Value::String("x".into()),
            Value::Object(vec![]),
            Value::Object(vec![("jkt".into(), Value::String("x".into()))]),
            Value::Array(vec![]),
        ] {
            assert_eq!(check(Some(&cnf)).unwrap_err().reason(), Reason::UnverifiableConfirmation, "{cnf:?}");
        }
    }
}
