//! Test data: the project's own, and where to find third parties'.

use std::{env, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The keys and issuers of the ready-made hostile tokens.
#[derive(Debug, Deserialize)]
pub struct Rig {
    /// What the API is called.
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
    /// Its private keys, from which more tokens can be minted.
    pub private: Value,
}

impl Rig {
    /// Reads the committed file.
    pub fn load() -> Self {
        serde_json::from_str(include_str!("../../crates/core/testdata/hostile/rig.json")).expect("rig.json")
    }
}

/// A ready-made token and the decision that it has to get.
#[derive(Debug, Deserialize)]
pub struct HostileToken {
    /// Its ID in the list of attacks.
    pub id: String,
    /// What is wrong with it.
    pub desc: String,
    /// Where it is sent.
    pub route: String,
    /// `accept`, `reject` or `either`.
    pub expect: String,
    /// The status, or several where more than one reading can be argued.
    pub status: Value,
    /// The error code of the challenge, where there is one.
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

/// The folder of third parties' vectors. Without `VECTORS_DIR`, says that the test is skipped.
pub fn directory() -> Option<PathBuf> {
    let directory = env::var_os("VECTORS_DIR").map(PathBuf::from);
    if directory.is_none() {
        println!("skipped, no vectors: set VECTORS_DIR");
    }
    directory
}
