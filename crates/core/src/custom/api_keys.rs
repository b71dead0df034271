//! API keys, accepted beside tokens by the same layers.
//!
//! A key is presented like a token, as `Authorization: Bearer sk_...`, and recognised by its prefix. The configuration holds
//! only its SHA-256 digest, so that a leaked configuration grants no access. A digest protects only a secret that cannot be
//! guessed, so generate keys from 32 random bytes and never let people choose them:
//!
//! ```text
//! key="sk_$(openssl rand -hex 32)"                     # for the client
//! printf %s "$key" | sha256sum                         # for the configuration
//! ```
//!
//! Several keys may belong to one client. To rotate a key, add the next one, wait until the client uses it, and remove the
//! first.
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

/// A [`TokenVerifier`] for API keys. See the [module docs](self).
///
/// Compares a presented key with every configured one, each in constant time. An unknown key gets 401.
///
/// Cheap to clone; clones share their keys, so that a retained clone can [replace](Self::replace) them while the service runs.
#[derive(Clone)]
pub struct ApiKeys {
    issuer: Arc<str>,
    prefix: Arc<str>,
    keys: Arc<ArcSwap<Vec<ApiKey>>>,
}

impl ApiKeys {
    /// Accepts keys that begin with `prefix`. `issuer` is the issuer's name that handlers read: any name that no other issuer
    /// has.
    pub fn new(issuer: impl Into<Arc<str>>, prefix: impl Into<Arc<str>>) -> Self {
        Self { issuer: issuer.into(), prefix: prefix.into(), keys: Arc::default() }
    }

    /// Adds these keys.
    #[must_use]
    pub fn keys(self, keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let mut all: Vec<ApiKey> = self.keys.load().iter().cloned().collect();
        all.extend(keys);
        self.replace(all);
        self
    }

    /// Replaces all keys, from the next request on.
    pub fn replace(&self, keys: impl IntoIterator<Item = ApiKey>) {
        self.keys.store(Arc::new(keys.into_iter().collect()));
    }

    fn find(&self, presented: &str) -> Verdict {
        let Some(backend) = CryptoBackend::compiled_in() else {
            return Err(VerifyError::unavailable("no cryptographic backend is compiled in"));
        };
        let digest = backend.sha256(&[presented.as_bytes()]);
        let keys = self.keys.load();
        // Every key is compared, so that the time does not depend on which one matches.
        let found =
            keys.iter().fold(None, |found, key| if crypto::equal(&key.digest, &digest) { Some(key) } else { found });
        found.map(|key| key.info.clone()).ok_or_else(|| VerifyError::invalid("no API key has this digest"))
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
        let no_prefix =
            "API keys have no prefix, so that every token would be verified as a key; give them one, such as `sk_`";
        if self.prefix.is_empty() {
            return Some(no_prefix.to_owned());
        }
        let has_no_principal = |key: &ApiKey| !key.has_principal;
        self.keys
            .load()
            .iter()
            .any(has_no_principal)
            .then(|| "an API key has neither a client nor a subject; set `client_id` or `subject`".to_owned())
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        Verification::ready(self.find(presented.token()))
    }
}

/// Shows the number of keys.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys")
            .field("issuer", &self.issuer)
            .field("prefix", &self.prefix)
            .field("keys", &self.keys.load().len())
            .finish()
    }
}

/// The SHA-256 digest of an API key, and what the key grants.
#[derive(Clone)]
#[must_use = "a key has no effect until it is given to `ApiKeys`"]
pub struct ApiKey {
    digest: [u8; 32],
    info: TokenInfo,
    /// Whether it has a client or a subject.
    has_principal: bool,
}

impl ApiKey {
    /// A key by its SHA-256 digest, given as 64 hexadecimal digits. It grants no scope yet. It needs a
    /// [client](Self::client_id) or a [subject](Self::subject): without either, the resource server does not build.
    ///
    /// # Errors
    ///
    /// When the text is not a SHA-256 digest.
    pub fn from_sha256(hex: &str) -> Result<Self, InvalidApiKey> {
        let digits: Option<Vec<u8>> =
            hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(InvalidApiKey(()))?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self { digest, info: TokenInfo::default(), has_principal: false })
    }

    /// The client that holds the key. It acts for itself unless there is a [subject](Self::subject).
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.info = self.info.client_id(client_id);
        self.has_principal = true;
        self
    }

    /// The user that the key acts for.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.info = self.info.claim("sub", subject.into());
        self.has_principal = true;
        self
    }

    /// Names the key. Handlers and the log read it as the [token's identifier](crate::VerifiedToken::token_id), which shows
    /// whether the next key is in use.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.info = self.info.claim("jti", id.into());
        self
    }

    /// The scopes that the key grants, space-delimited. Default: none.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.info = self.info.scope(scope);
        self
    }

    /// When the key was made. Where [`max_token_age`](crate::ResourceServerBuilder::max_token_age) is configured, a key that
    /// is older, or that has no time, is refused.
    pub fn issued_at(mut self, time: SystemTime) -> Self {
        self.info = self.info.issued_at(time);
        self
    }

    /// When the key expires. It is refused from then on, with the [leeway](crate::ResourceServerBuilder::leeway) of a minute.
    /// Default: never.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.info = self.info.expires_at(time);
        self
    }
}

/// Shows what the key grants, and omits the digest.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("info", &self.info).finish_non_exhaustive()
    }
}

/// The text is not a SHA-256 digest in hexadecimal digits. It is not shown, since it may be a key given by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidApiKey(());

impl fmt::Display for InvalidApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API key is not given as its SHA-256 digest in 64 hexadecimal digits; compute it with `printf %s \"$key\" | sha256sum`")
    }
}

impl StdError for InvalidApiKey {}
