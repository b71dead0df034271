//! A file that keeps the keys of an issuer across restarts.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use super::SigningKeys;

/// A JWK Set of private keys, which only its owner may read and write.
#[derive(Debug)]
pub(crate) struct KeysFile {
    path: PathBuf,
}

impl KeysFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The keys; `None` if there is no such file.
    pub(crate) fn read(&self) -> io::Result<Option<SigningKeys>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(error.kind(), format!("cannot be read: {error}"))),
        };
        let keys = SigningKeys::from_jwks_json(&text).map_err(|error| self.malformed(&error.to_string()))?;
        if keys.algorithms().is_empty() {
            return Err(self.malformed("no key in it is for signatures"));
        }
        Ok(Some(keys))
    }

    /// Writes the keys to a new file.
    pub(crate) fn create(&self, keys: &SigningKeys) -> io::Result<()> {
        write_new(&self.path, keys).map_err(|error| self.error(error.kind(), format!("cannot be created: {error}")))
    }

    /// Writes the keys in place of those in the file, at once: whoever reads it meanwhile has the old ones or the new
    /// ones.
    pub(crate) fn replace(&self, keys: &SigningKeys) -> io::Result<()> {
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let replaced = match fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            // Nothing was left by a process that ended in between, or it is gone now.
            _ => write_new(Path::new(&fresh), keys).and_then(|()| fs::rename(&fresh, &self.path)),
        };
        replaced.map_err(|error| self.error(error.kind(), format!("cannot be replaced: {error}")))
    }

    fn malformed(&self, why: &str) -> io::Error {
        self.error(ErrorKind::InvalidData, format!("is not a JWK Set of private keys: {why}"))
    }

    fn error(&self, kind: ErrorKind, what: String) -> io::Error {
        io::Error::new(kind, format!("the file of keys {:?} {what}", self.path))
    }
}

fn write_new(path: &Path, keys: &SigningKeys) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{:#}", keys.private_jwks())?;
    file.sync_all()
}
