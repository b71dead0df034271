//! What is known to differ: tokens that the gate accepts, and a library refuses.
//!
//! A difference is not believed for a library's message. The library is asked once more, without what makes the difference, and
//! has to accept then.

use std::sync::LazyLock;

use scopegate_spec::jws;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A known difference, from `differences.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The library.
    pub library: String,
    /// By which a verdict names it.
    pub name: String,
    /// The requirement by which the gate accepts.
    pub requirement: String,
    /// Why the two differ.
    pub reason: String,
}

/// All of them.
pub static DIFFERENCES: LazyLock<Vec<Difference>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../differences.json")).expect("differences.json has the form of a difference")
});

/// A library's verdict that a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The name of the error.
    pub error: String,
    /// What it says.
    pub message: String,
    /// The name of the difference without which the token is accepted.
    pub accepted_without: Option<String>,
}

/// Changes of a key, given the algorithm of the token.
type Change = fn(&mut Map<String, Value>, &str);

/// In the order in which they are made.
const CHANGES: [(&str, Change); 3] =
    [("null member", remove_null), ("name of Ed25519", rename_ed25519), ("other key operation", remove_operations)];

/// A key set after each of the changes, for those that change something.
pub fn retries(jwks: &str, token: &str) -> Vec<(String, String)> {
    let (Ok(mut set), Ok(jws)) = (serde_json::from_str::<Value>(jwks), jws::parse(token)) else { return Vec::new() };
    let mut retries = Vec::new();
    for (name, change) in CHANGES {
        let before = set.clone();
        let keys = set.get_mut("keys").and_then(Value::as_array_mut).into_iter().flatten();
        keys.filter_map(Value::as_object_mut).for_each(|key| change(key, &jws.alg));
        if set != before {
            retries.push((name.to_owned(), set.to_string()));
        }
    }
    retries
}

fn remove_null(key: &mut Map<String, Value>, _: &str) {
    key.retain(|_, value| !value.is_null());
}

fn rename_ed25519(key: &mut Map<String, Value>, algorithm: &str) {
    let names = ["Ed25519", "EdDSA"];
    if let Some(Value::String(own)) = key.get_mut("alg")
        && names.contains(&own.as_str())
        && names.contains(&algorithm)
    {
        algorithm.clone_into(own);
    }
}

fn remove_operations(key: &mut Map<String, Value>, _: &str) {
    if let Some(Value::Array(operations)) = key.get_mut("key_ops") {
        operations.retain(|operation| operation == "verify");
    }
}

#[cfg(test)]
mod tests {
    use scopegate_spec_compare::text::base64url;

    use super::*;

    fn retried(key: &str, algorithm: &str) -> Vec<(String, String)> {
        let header = base64url(format!("{{\"alg\":\"{algorithm}\"}}"));
        retries(&format!("{{\"keys\":[{key}]}}"), &format!("{header}.{}.AA", base64url("{}")))
    }

    #[test]
    fn each_change_comes_after_those_before_it() {
        let key = r#"{"alg":"EdDSA","d":null,"key_ops":["sign","verify"]}"#;
        let sets: Vec<String> = retried(key, "Ed25519").into_iter().map(|(_, set)| set).collect();
        let after = [
            r#"{"keys":[{"alg":"EdDSA","key_ops":["sign","verify"]}]}"#,
            r#"{"keys":[{"alg":"Ed25519","key_ops":["sign","verify"]}]}"#,
            r#"{"keys":[{"alg":"Ed25519","key_ops":["verify"]}]}"#,
        ];
        assert_eq!(sets, after);
    }

    #[test]
    fn what_makes_no_difference_is_not_tried() {
        assert!(retried(r#"{"alg":"ES256","key_ops":["verify"]}"#, "ES256").is_empty());
        assert!(retried(r#"{"alg":"EdDSA"}"#, "ES256").is_empty());
        assert!(retried(r#"{"alg":"ES256"}"#, "Ed25519").is_empty());
    }
}
