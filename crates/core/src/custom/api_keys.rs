//! API keys beside tokens, through the same gate.
//!
//! A key is presented like a token, as `Authorization: Bearer sk_...`, and is known by its prefix. What is kept of it is a
//! SHA-256 digest, so that whoever reads the configuration cannot use it. A digest keeps a secret only where that cannot be
//! guessed, so keys are made of 32 random bytes, and never chosen by people:
//!
//! ```text
//! key="sk_$(openssl rand -hex 32)"                     # for the client
//! printf %s "$key" | sha256sum                         # for the configuration
//! ```
//!
//! Several keys may be for the same client, so that one is replaced by adding the next, waiting until it is used, and taking
//! the first away.
//!
//! ```
//! use scopegate_core::{ResourceServer, api_keys::{ApiKey, ApiKeys}};
//!
//! # fn example() -> Result<(), scopegate_core::api_keys::InvalidApiKey> {
//! let keys = ApiKeys::new("https://api.example/keys", "sk_").keys([
//!     ApiKey::from_sha256("5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5")?
//!         .client_id("billing")
//!         .scope("message"),
//! ]);
//! let builder = ResourceServer::builder().verifier(keys).audience("https://api.example");
//! # Ok(())
//! # }
//! ```

use std::{error::Error as StdError, fmt, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;

use crate::{
    crypto::{self, CryptoBackend},
    custom::token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verdict, Verification, VerifyError},
};

/// Judges API keys. See the [module docs](self).
///
/// A presented key is compared with every configured one, each comparison taking the same time whatever the keys are.
///
/// Cheap to clone; clones share their keys, so that one which was kept can [replace](Self::replace) them.
#[derive(Clone)]
pub struct ApiKeys {
    issuer: Arc<str>,
    prefix: Arc<str>,
    keys: Arc<ArcSwap<Vec<ApiKey>>>,
}

impl ApiKeys {
    /// Keys that begin with `prefix`. `issuer` is what handlers are told the keys are issued by: a name of your own.
    pub fn new(issuer: impl Into<Arc<str>>, prefix: impl Into<Arc<str>>) -> Self {
        Self { issuer: issuer.into(), prefix: prefix.into(), keys: Arc::default() }
    }

    /// Accepts these keys, besides those named before.
    #[must_use]
    pub fn keys(self, keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let mut all: Vec<ApiKey> = self.keys.load().iter().cloned().collect();
        all.extend(keys);
        self.replace(all);
        self
    }

    /// Accepts these keys and no others, from the next request on.
    pub fn replace(&self, keys: impl IntoIterator<Item = ApiKey>) {
        self.keys.store(Arc::new(keys.into_iter().collect()));
    }

    fn judge(&self, presented: &str) -> Verdict {
        let Some(backend) = CryptoBackend::compiled_in() else {
            return Err(VerifyError::unavailable("no cryptographic backend is compiled in"));
        };
        let digest = backend.sha256(&[presented.as_bytes()]);
        let keys = self.keys.load();
        // All of them are looked at, so that the time says nothing about which one it was.
        let found =
            keys.iter().fold(None, |found, key| if crypto::equal(&key.digest, &digest) { Some(key) } else { found });
        found.map(|key| key.grant.clone()).ok_or_else(|| VerifyError::invalid("no key of this digest"))
    }
}

impl TokenVerifier for ApiKeys {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with(&*self.prefix)
    }

    fn fault(&self) -> Option<String> {
        let no_prefix = "API keys need a prefix, such as `sk_`; without one every token would be taken for a key";
        if self.prefix.is_empty() {
            return Some(no_prefix.to_owned());
        }
        let is_nobodys = |key: &ApiKey| !key.is_somebodys;
        self.keys.load().iter().any(is_nobodys).then(|| "an API key names neither a client nor a subject".to_owned())
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        Verification::ready(self.judge(presented.token()))
    }
}

/// Shows how many keys there are.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys")
            .field("issuer", &self.issuer)
            .field("prefix", &self.prefix)
            .field("keys", &self.keys.load().len())
            .finish()
    }
}

/// An API key, as it is kept: its digest, and what it grants.
#[derive(Clone)]
#[must_use = "a key has to be given to `ApiKeys`"]
pub struct ApiKey {
    digest: [u8; 32],
    grant: TokenInfo,
    /// Whether it names a client or a subject.
    is_somebodys: bool,
}

impl ApiKey {
    /// The key that has this SHA-256 digest, given as 64 hexadecimal digits. It grants nothing yet,
    /// and names nobody; one that names neither a client nor a subject is refused when the resource server is built.
    ///
    /// # Errors
    ///
    /// When the text is something else.
    pub fn from_sha256(hex: &str) -> Result<Self, InvalidApiKey> {
        let digits: Option<Vec<u8>> =
            hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(InvalidApiKey(()))?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self { digest, grant: TokenInfo::default(), is_somebodys: false })
    }

    /// The client that has the key. It acts for itself, unless a [subject](Self::subject) is named.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.grant = self.grant.client_id(client_id);
        self.is_somebodys = true;
        self
    }

    /// The user that the key acts for.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.grant = self.grant.claim("sub", subject.into());
        self.is_somebodys = true;
        self
    }

    /// What the key is called: handlers and the log have it as the [token's identifier](crate::VerifiedToken::token_id), by
    /// which it can be seen that the next key is in use.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.grant = self.grant.claim("jti", id.into());
        self
    }

    /// The scopes that it grants, with spaces between them.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.grant = self.grant.scope(scope);
        self
    }

    /// When the key was made. Where a [greatest age](crate::ResourceServerBuilder::max_token_age) of tokens is configured, a key
    /// that does not say so is refused, as is one that is older.
    pub fn issued_at(mut self, time: SystemTime) -> Self {
        self.grant = self.grant.issued_at(time);
        self
    }

    /// Refuses the key from then on, give or take the [leeway](crate::ResourceServerBuilder::leeway) of a minute.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.grant = self.grant.expires_at(time);
        self
    }
}

/// Shows what it grants, and no digest.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// The text is no SHA-256 digest in hexadecimal digits. It is not shown, since it may be a key that was given by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidApiKey(());

impl fmt::Display for InvalidApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API key is configured by the SHA-256 digest of it, 64 hexadecimal digits: `printf %s \"$key\" | sha256sum`")
    }
}

impl StdError for InvalidApiKey {}
