//! The operations of a document, and what they say of their security.

use std::{collections::BTreeSet, fmt};

use http::Method;
use serde_json::Value;

use super::document::Requirement;

/// The extension in which a handler's extractors leave the scopes that they require, for aide. The value is an array.
pub(super) const HANDLER_SCOPES: &str = "x-access-token-scopes";

/// The members of a path item that are operations (OpenAPI 3.2 §4.10; 3.1 does not have `query`).
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// An operation of a document.
pub(super) struct Operation<'d> {
    pub(super) path: &'d str,
    /// As the document writes it.
    pub(super) key: &'d str,
    pub(super) method: Method,
    pub(super) json: &'d Value,
    /// The security of the whole document, which applies where the operation has none.
    default_security: &'d Value,
}

/// The operations of a document.
pub(super) fn all<'d>(document: &'d Value, faults: &mut Vec<String>) -> Vec<Operation<'d>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten().filter(|(path, _)| path.starts_with('/')) {
        if item.get("$ref").is_some() {
            faults.push(format!(
                "{path} is a reference to a path item, which may have operations of any kind; write it in place"
            ));
        }
        let ordinary = METHODS.iter().filter_map(|key| Some((*key, item.get(*key)?)));
        let additional = item["additionalOperations"].as_object().into_iter().flatten();
        for (key, json) in ordinary.chain(additional.map(|(key, json)| (key.as_str(), json))) {
            let is_ordinary = METHODS.contains(&key);
            let name = if is_ordinary { key.to_ascii_uppercase() } else { key.to_owned() };
            match Method::from_bytes(name.as_bytes()) {
                Ok(method) => {
                    operations.push(Operation { path, key, method, json, default_security: &document["security"] });
                }
                Err(_) => faults.push(format!("{path}: {key:?} is not the name of a method")),
            }
        }
    }
    operations
}

impl Operation<'_> {
    /// The security that the document has for the operation already; `None` where it has none.
    pub(super) fn stated(&self) -> Option<BTreeSet<Requirement>> {
        let own = self.json.get("security");
        let alternatives = own.unwrap_or(self.default_security).as_array()?;
        if alternatives.is_empty() {
            // No requirement (OpenAPI 3.1 §4.8.10).
            return own.map(|_| BTreeSet::from([Requirement::new()]));
        }
        Some(alternatives.iter().map(requirement).collect())
    }

    /// The scopes that the handler's extractors require; `None` where no extractor takes a token, as far as is known.
    pub(super) fn handler_scopes(&self) -> Option<BTreeSet<String>> {
        Some(texts(self.json.get(HANDLER_SCOPES)?))
    }
}

fn requirement(json: &Value) -> Requirement {
    let schemes = json.as_object().into_iter().flatten();
    schemes.map(|(name, scopes)| (name.clone(), texts(scopes))).collect()
}

fn texts(json: &Value) -> BTreeSet<String> {
    json.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
