use std::{fmt, sync::Arc};

use scopegate_core::clock::{Clock, SystemClock};

use crate::{Shape, SigningKeys, TokenBuilder};

/// Makes tokens in the name of an issuer, with no server behind it.
///
/// For tests that give the resource server a fixed key set: [`jwks_json`](Self::jwks_json) is that set. A
/// [`TestIssuer`](crate::TestIssuer) has a mint too, and lends it by [`TestIssuer::mint`](crate::TestIssuer::mint).
///
/// A mint holds the keys that it was made with for good. One taken from an issuer before a rotation goes on signing
/// with the retired keys, which is how a test gets a token of yesterday's key.
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
    /// The audience of tokens whose mint or test names none.
    pub const AUDIENCE: &str = "https://api.example";
    /// The client of tokens whose test names none, and the one that a [`TestIssuer`](crate::TestIssuer) has registered.
    pub const CLIENT_ID: &str = "test-client";
    /// The subject of tokens whose test names none.
    pub const SUBJECT: &str = "user-1";

    /// A mint for tokens of `issuer`, on the operating system's clock.
    ///
    /// The issuer identifier goes into `iss` as it is, whether it is a legal one or not.
    pub fn new(issuer: impl Into<String>, keys: SigningKeys) -> Self {
        Self { issuer: issuer.into().into(), audience: Self::AUDIENCE.into(), keys, clock: Arc::new(SystemClock) }
    }

    /// Takes the times of tokens from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes access tokens for `audience` unless they ask for another.
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

    /// The issuer identifier, as `iss` has it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The audience of access tokens that ask for no other.
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

    /// Starts an access token as [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068) has it, good unless changed.
    pub fn token(&self) -> TokenBuilder {
        self.token_shaped(Shape::Rfc9068)
    }

    /// Starts an ID token of the same issuer and keys, which no resource server may take for an access token.
    pub fn id_token(&self) -> TokenBuilder {
        self.token_shaped(Shape::IdToken)
    }

    /// Starts a token of the given shape.
    pub fn token_shaped(&self, shape: Shape) -> TokenBuilder {
        TokenBuilder::new(self.clone(), shape)
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
