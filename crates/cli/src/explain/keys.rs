//! The file of `--jwks`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use scopegate_core::{
    CryptoBackend,
    jose::{Algorithm, JwkSet},
};

use crate::{Failure, failure::shown};

const REMEDY: &str = "save what the issuer answers at its `jwks_uri`, and name that file with `--jwks`";

/// The absolute path of a file with a public key that can be used.
pub(super) fn public(file: &Path) -> Result<PathBuf, Failure> {
    let fault = |what: String| Failure::usage(format!("{} {what}; {REMEDY}", shown(file)));
    let text = fs::read(file).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let set = JwkSet::from_json(&text).map_err(|error| fault(format!("has no keys: {error}")))?;
    let keys = CryptoBackend::compiled_in().map(|backend| set.prepare(Algorithm::ALL, backend));
    let Some(keys) = keys.filter(|keys| keys.is_empty()) else {
        return Ok(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    };
    let skipped = keys.skipped();
    let why: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    Err(fault(match skipped.iter().any(|key| key.is_secret()) {
        true => format!("has private keys, and a service has the public ones alone: {}", why.join("; ")),
        false if why.is_empty() => "has no keys".to_owned(),
        false => format!("has no key that can be used: {}", why.join("; ")),
    }))
}
