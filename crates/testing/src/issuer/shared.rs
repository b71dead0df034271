//! What the handle and the server's task share.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use super::{
    beside::Beside,
    clients::Clients,
    condition::{Condition, Counters},
    recorded::RecordedRequest,
    site::Site,
    tokens::Tokens,
    used_assertions::UsedAssertions,
};
use crate::{Mint, SigningKeys, changes::Changes, keys::KeysFile};

/// The state that the handle and the server's task share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) clients: Clients,
    pub(super) metadata: Changes,
    pub(super) signs_introspection: bool,
    pub(super) tokens: Tokens,
    pub(super) assertions: UsedAssertions,
    pub(super) counters: Counters,
    keys_file: Option<KeysFile>,
    beside: RwLock<Option<Beside>>,
    last_introspection: Mutex<Option<RecordedRequest>>,
    mint: RwLock<Mint>,
    condition: Mutex<Condition>,
}

impl Shared {
    pub(super) fn new(
        site: Site,
        mint: Mint,
        keys_file: Option<KeysFile>,
        clients: Clients,
        metadata: Changes,
        signs_introspection: bool,
    ) -> Self {
        Self {
            site,
            keys_file,
            clients,
            metadata,
            signs_introspection,
            tokens: Tokens::default(),
            assertions: UsedAssertions::default(),
            counters: Counters::default(),
            beside: RwLock::default(),
            last_introspection: Mutex::default(),
            mint: RwLock::new(mint),
            condition: Mutex::new(Condition::default()),
        }
    }

    /// A mint with the current keys.
    pub(super) fn mint(&self) -> Mint {
        self.mint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes these keys once they are in the file, if there is one. An error leaves the old ones in place.
    pub(super) fn set_keys(&self, keys: SigningKeys) -> io::Result<()> {
        let mut mint = self.mint.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.keys_file {
            file.replace(&keys)?;
        }
        *mint = mint.clone().with_keys(keys);
        Ok(())
    }

    /// The service at the other paths, if there is one.
    pub(super) fn beside(&self) -> Option<Beside> {
        self.beside.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_beside(&self, beside: Beside) {
        *self.beside.write().unwrap_or_else(PoisonError::into_inner) = Some(beside);
    }

    pub(super) fn last_introspection(&self) -> MutexGuard<'_, Option<RecordedRequest>> {
        self.last_introspection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
