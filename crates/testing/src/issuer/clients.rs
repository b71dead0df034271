use std::{collections::BTreeMap, fmt};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::keys::PublicKey;

/// The registered clients, by their identifiers.
#[derive(Default)]
pub(super) struct Clients {
    clients: BTreeMap<String, Credentials>,
}

/// How a client authenticates.
pub(super) enum Credentials {
    /// Assertions signed by the private half of this key.
    Key(PublicKey),
    /// Its identifier alone: a public client.
    None,
    /// A secret, sent or used as the HMAC key of assertions.
    Secret(String),
}

impl Clients {
    /// Registers a client. Replaces the one with the same identifier.
    pub(super) fn register(&mut self, client_id: String, credentials: Credentials) {
        self.clients.insert(client_id, credentials);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub(super) fn has_public(&self) -> bool {
        self.clients.values().any(|credentials| matches!(credentials, Credentials::None))
    }

    pub(super) fn get(&self, client_id: &str) -> Option<&Credentials> {
        self.clients.get(client_id)
    }

    pub(super) fn is_public(&self, client_id: &str) -> bool {
        matches!(self.get(client_id), Some(Credentials::None))
    }

    pub(super) fn has_secret(&self, client_id: &str, secret: &str) -> bool {
        let Some(Credentials::Secret(registered)) = self.get(client_id) else { return false };
        verify_slices_are_equal(registered.as_bytes(), secret.as_bytes()).is_ok()
    }
}

/// Shows the client identifiers, and no secret.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clients.keys()).finish()
    }
}
