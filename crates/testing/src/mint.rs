use std::{fmt, sync::Arc};

use scopegate_core::clock::{Clock, SystemClock};

use crate::SigningKeys;

/// Signs tokens of an issuer, without a server.
///
/// For resource servers with a fixed key set: [`jwks_json`](Self::jwks_json) is that set. A [`TestIssuer`](crate::TestIssuer)
/// has a mint too, see [`TestIssuer::mint`](crate::TestIssuer::mint).
///
/// A mint's keys never change. A mint that was taken from an issuer before a rotation goes on signing with the retired keys,
/// for tests of old keys.
///
/// # Examples
///
/// ```
/// use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys, TestClock};
///
/// let clock = TestClock::at_unix(1_700_000_000);
/// let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
/// let mint = Mint::new("https://idp.example/tenant-a", keys).with_clock(clock.clone());
///
/// let jwks = mint.jwks_json(); // for the resource server, together with `clock`
/// let good = mint.token().scope("message").issue();
/// let late = mint.token().scope("message").expired().issue();
/// # assert!(jwks.starts_with('{') && good != late);
/// ```
#[derive(Clone)]
pub struct Mint {
    issuer: Arc<str>,
    audience: Arc<str>,
    keys: SigningKeys,
    clock: Arc<dyn Clock>,
}

impl Mint {
    /// The default audience of tokens.
    pub const AUDIENCE: &str = "https://api.example";
    /// The default client of tokens, which a [`TestIssuer`](crate::TestIssuer) has registered.
    pub const CLIENT_ID: &str = "test-client";
    /// The default subject of tokens.
    pub const SUBJECT: &str = "user-1";

    /// A mint for tokens of `issuer`, on the operating system's clock.
    ///
    /// The identifier becomes `iss` unchanged, legal or not.
    pub fn new(issuer: impl Into<String>, keys: SigningKeys) -> Self {
        Self { issuer: issuer.into().into(), audience: Self::AUDIENCE.into(), keys, clock: Arc::new(SystemClock) }
    }

    /// Uses `clock` for the times of tokens.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes access tokens for `audience` unless they set another.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into().into();
        self
    }

    /// Signs with other keys.
    #[must_use]
    pub fn with_keys(mut self, keys: SigningKeys) -> Self {
        self.keys = keys;
        self
    }

    /// The issuer identifier, as in `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The default audience of access tokens.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The keys that the mint signs with.
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// The JWK Set of the keys, as JSON: see [`SigningKeys::jwks_json`].
    pub fn jwks_json(&self) -> String {
        self.keys.jwks_json()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("keys", &self.keys)
            .field("clock", &self.clock)
            .finish()
    }
}
