//! What is read from and written to a document of either library.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A security requirement object: the scopes by the name of the scheme. Empty, it permits requests without credentials.
pub(super) type Requirement = BTreeMap<String, BTreeSet<String>>;

/// An OpenAPI document that [`OpenApiSecurity`](super::OpenApiSecurity) writes to: `utoipa::openapi::OpenApi` with the feature
/// `utoipa`, `aide::openapi::OpenApi` with the feature `aide`.
pub trait OpenApiDocument: Document {}

/// The document is read as JSON, which is the same in either library. It is written part by part, so that what is not written
/// does not go through JSON, which could lose some of it.
#[expect(unnameable_types, reason = "`OpenApiDocument` is sealed by it")]
pub trait Document: Clone {
    fn to_json(&self) -> serde_json::Result<Value>;

    fn set_scheme(&mut self, name: &str, scheme: Value) -> serde_json::Result<()>;

    fn set_response(&mut self, name: &str, response: Value) -> serde_json::Result<()>;

    /// Sets the security of an operation, and adds or replaces these responses. `false` where there is no such operation.
    fn set_operation(&mut self, path: &str, method: &str, change: OperationChange) -> serde_json::Result<bool>;
}

/// What is written to an operation.
#[derive(Debug)]
#[expect(unnameable_types, reason = "it is an argument of `Document`, which seals")]
pub struct OperationChange {
    pub(super) security: Vec<Requirement>,
    /// By the status code.
    pub(super) responses: BTreeMap<u16, Value>,
}
