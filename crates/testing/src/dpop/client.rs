use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use scopegate_core::clock::{Clock, SystemClock};
use serde_json::Value;

use super::{SCHEME, proof::ProofBuilder};
use crate::{SigningAlgorithm, SigningKey};

/// A client that proves possession of its key, by DPoP ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
///
/// Access tokens are bound to it by [`TokenBuilder::bound_to`](crate::TokenBuilder::bound_to) and
/// [`OpaqueTokenBuilder::bound_to`](crate::OpaqueTokenBuilder::bound_to).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_testing::{DpopClient, Mint, SigningAlgorithm, SigningKeys, TestClock};
///
/// // One clock for the service, the mint and the client.
/// let clock = TestClock::at_unix(1_700_000_000);
/// let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
/// let mint = Mint::new("https://idp.example", keys).with_clock(clock.clone());
/// let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock);
///
/// let token = mint.token().scope("message").bound_to(&client).issue();
/// let headers = client.headers("GET", "https://api.example/messages", &token); // 200, once
///
/// // Invalid: the same token with a late proof, and with a proof by another client's key.
/// let proof = client.proof("GET", "https://api.example/messages").for_token(&token);
/// let late = proof.issued_ago(Duration::from_secs(3600)).issue();
/// let thief = DpopClient::generate(SigningAlgorithm::Es256);
/// let stolen = thief.headers("GET", "https://api.example/messages", &token);
/// # assert!(headers["dpop"] != stolen["dpop"] && headers["dpop"] != *late);
/// ```
#[derive(Clone)]
pub struct DpopClient {
    key: SigningKey,
    clock: Arc<dyn Clock>,
    nonce: Option<String>,
}

impl DpopClient {
    /// A client with a fresh key, on the operating system's clock.
    ///
    /// # Panics
    ///
    /// As [`SigningKey::generate`].
    pub fn generate(algorithm: SigningAlgorithm) -> Self {
        Self::new(SigningKey::generate(algorithm))
    }

    /// A client with this key, on the operating system's clock. Proofs are signed by the key's
    /// [algorithm](SigningKey::algorithm).
    ///
    /// Changed members of the key's published JWK, such as `kid` or a wrong coordinate, are not in proofs: set them by
    /// [`ProofBuilder::jwk`].
    pub fn new(key: SigningKey) -> Self {
        Self { key, clock: Arc::new(SystemClock), nonce: None }
    }

    /// A client with a fresh key, on this clock.
    pub(crate) fn on(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..Self::generate(SigningAlgorithm::Es256) }
    }

    /// Uses `clock` for the times of proofs.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The key that signs proofs.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The public key as in the header of a proof: a JWK with the required members of its type and no others.
    pub fn public_jwk(&self) -> Value {
        Value::Object(self.key.public_members().clone())
    }

    /// The SHA-256 thumbprint of the public key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)), in base64url: the `jkt`
    /// of tokens that are bound to this client.
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }

    /// Starts a proof for a request, valid unless changed.
    ///
    /// `htm` is the method as it is. `htu` is the URL without query and fragment ([RFC 9449, section
    /// 4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)), and otherwise as it is: nothing is normalized.
    pub fn proof(&self, method: impl AsRef<str>, url: impl AsRef<str>) -> ProofBuilder {
        ProofBuilder::new(self.clone(), method.as_ref(), url.as_ref())
    }

    /// Uses the nonce of a response, its `DPoP-Nonce`, in proofs from now on, as clients do ([RFC 9449, section
    /// 8.2](https://www.rfc-editor.org/rfc/rfc9449#section-8.2)). Without one, the nonce stays what it is, and at first there is
    /// none: an API that demands nonces answers the first request with 401 `use_dpop_nonce`, and a nonce.
    ///
    /// A nonce is for the server that gave it: use a clone of the client for each.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use scopegate_testing::{DpopClient, SigningAlgorithm};
    ///
    /// let mut client = DpopClient::generate(SigningAlgorithm::Es256);
    /// # let mut response_headers = HeaderMap::new();
    /// # response_headers.insert("dpop-nonce", http::HeaderValue::from_static("n"));
    /// client.use_nonce_of(&response_headers);
    /// let headers = client.headers("GET", "https://api.example/messages", "the-access-token");
    /// ```
    pub fn use_nonce_of(&mut self, headers: &HeaderMap) {
        if let Some(nonce) = headers.get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()) {
            self.nonce = Some(nonce.to_owned());
        }
    }

    pub(super) fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The headers of a request with this token and a fresh proof: `Authorization: DPoP <token>` and `DPoP: <proof>`.
    ///
    /// # Panics
    ///
    /// When the token has a character that no header can have.
    pub fn headers(&self, method: impl AsRef<str>, url: impl AsRef<str>, token: &str) -> HeaderMap {
        let proof = self.proof(method, url).for_token(token).issue();
        let mut credentials = HeaderValue::try_from(format!("{SCHEME} {token}")).expect("the token fits a header");
        credentials.set_sensitive(true);
        let proof = HeaderValue::try_from(proof).expect("a compact JWS has only characters of base64url, and dots");
        HeaderMap::from_iter([(AUTHORIZATION, credentials), (HeaderName::from_static("dpop"), proof)])
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl fmt::Debug for DpopClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopClient")
            .field("key", &self.key)
            .field("thumbprint", &self.thumbprint())
            .field("clock", &self.clock)
            .field("nonce", &self.nonce)
            .finish()
    }
}
