//! Shared by the examples with DPoP: a client's key in a file, and the subcommand `proof`, which makes a proof by it.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use scopegate_testing::{DpopClient, SigningAlgorithm, SigningKey};

/// A client with a fresh key, which is written to this file.
pub(crate) fn new_client(file: &Path) -> io::Result<DpopClient> {
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    // One that is there may belong to another user, or be a link.
    if let Err(error) = fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(key.private_jwk().to_string().as_bytes())?;
    Ok(DpopClient::new(key))
}

/// The arguments of `proof METHOD URL --key FILE --token TOKEN [--nonce NONCE]`.
pub(crate) struct Arguments {
    method: String,
    url: String,
    key: String,
    token: String,
    nonce: Option<String>,
}

impl Arguments {
    /// Reads what follows `proof`.
    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        let [method, url, options @ ..] = arguments else { return None };
        let (mut key, mut token, mut nonce) = (None, None, None);
        for option in options.chunks(2) {
            match option {
                ["--key", value] => key = Some(*value),
                ["--token", value] => token = Some(*value),
                ["--nonce", value] => nonce = Some((*value).to_owned()),
                _ => return None,
            }
        }
        Some(Self { method: (*method).into(), url: (*url).into(), key: key?.into(), token: token?.into(), nonce })
    }
}

/// Prints a proof for one request with this token (RFC 9449 §4.2).
pub(crate) fn print(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { method, url, key, token, nonce } = arguments;
    let jwk = fs::read_to_string(key).map_err(|error| format!("cannot read the key {key}: {error}"))?;
    let client = DpopClient::new(SigningKey::from_jwk(&jwk.parse()?)?);
    let proof = client.proof(method, url).for_token(token);
    println!("{}", nonce.iter().fold(proof, |proof, nonce| proof.nonce(nonce)).issue());
    Ok(())
}
