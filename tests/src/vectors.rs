//! Test data: the project's own, and where third-party data is.

use std::{env, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The keys and issuers of the ready-made hostile tokens.
#[derive(Debug, Deserialize)]
pub struct Rig {
    /// The audience of the API.
    pub audience: String,
    /// The issuers that it trusts.
    pub issuers: Vec<RigIssuer>,
}

/// One issuer of the [`Rig`].
#[derive(Debug, Deserialize)]
pub struct RigIssuer {
    /// Its identifier.
    pub iss: String,
    /// Its JWK Set, as published.
    pub jwks: Value,
    /// Its private keys, for minting more tokens.
    pub private: Value,
}

impl Rig {
    /// Reads the committed file.
    pub fn load() -> Self {
        serde_json::from_str(include_str!("../../crates/core/testdata/hostile/rig.json")).expect("rig.json")
    }
}

/// A ready-made token and its expected result.
#[derive(Debug, Deserialize)]
pub struct HostileToken {
    /// Its ID in the list of attacks.
    pub id: String,
    /// The fault of the token.
    pub desc: String,
    /// The route that it is sent to.
    pub route: String,
    /// `accept`, `reject` or `either`.
    pub expect: String,
    /// The status, or several where more than one is defensible.
    pub status: Value,
    /// The error code of the challenge, if there is one.
    pub error: Option<String>,
    /// The token.
    pub token: Option<String>,
    /// The whole header value in base64, where the token cannot be written as text.
    pub authorization_b64: Option<String>,
}

impl HostileToken {
    /// Reads the committed file.
    pub fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../crates/core/testdata/hostile/hostile_tokens.json"))
            .expect("hostile_tokens.json")
    }
}

/// The folder of third-party vectors. Without `VECTORS_DIR`, prints that the test is skipped.
pub fn directory() -> Option<PathBuf> {
    let directory = env::var_os("VECTORS_DIR").map(PathBuf::from);
    if directory.is_none() {
        println!("skipped, no vectors: set VECTORS_DIR");
    }
    directory
}
