use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use scopegate_core::clock::Clock;
use serde_json::Value;

use super::shape::Shape;
use crate::{
    DpopClient, Mint, SigningAlgorithm, SigningKey, changes::Changes, clock::numeric_date, forgery::Forgery,
    keys::sha256,
};

/// The default lifetime of a token.
pub(super) const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How far an expired or premature token is off: more than any sensible leeway.
pub(super) const WELL_BEYOND_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// Builds a token. Started by [`Mint::token`] or [`TestIssuer::token`](crate::TestIssuer::token).
///
/// By default the token is valid. Each method changes one aspect of it, and the last call for an aspect wins; everything else
/// stays valid, so that an invalid token is refused for the reason that the test means. [`issue`](Self::issue) can be called
/// repeatedly: each call reads the clock and draws a new `jti`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys};
///
/// let mint = Mint::new("https://idp.example", SigningKeys::generate([SigningAlgorithm::Es256]));
///
/// // Valid ones.
/// mint.token().subject("alice").scope("message:read message:write").issue();
/// mint.token().audiences(["https://api.example", "https://files.example"]).claim("roles", vec!["admin"]).issue();
///
/// // Invalid ones.
/// mint.token().expired().issue();
/// mint.token().without_claim("sub").issue();
/// mint.token().signed_by_wrong_key().issue();
/// mint.token().unsigned().issue();
/// ```
#[derive(Clone)]
#[must_use = "a builder makes no token until `issue` is called"]
pub struct TokenBuilder {
    pub(super) mint: Mint,
    pub(super) shape: Shape,
    pub(super) validity: Validity,
    pub(super) header: Changes,
    pub(super) claims: Changes,
    pub(super) raw_header: Option<String>,
    pub(super) raw_payload: Option<Vec<u8>>,
    pub(super) algorithm: Option<SigningAlgorithm>,
    pub(super) signer: Signer,
    pub(super) forgery: Option<Forgery>,
}

/// The validity period, relative to the clock at the time of signing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Validity {
    Expired,
    For(Duration),
    NotYet,
}

/// The key that signs.
#[derive(Clone, Debug)]
pub(super) enum Signer {
    /// The mint's key for the algorithm.
    Algorithm,
    /// This key, which need not be the mint's.
    Key(Box<SigningKey>),
}

impl Mint {
    /// Starts an access token of [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068), valid unless changed.
    pub fn token(&self) -> TokenBuilder {
        self.token_shaped(Shape::Rfc9068)
    }

    /// Starts an ID token of the same issuer and keys, which a resource server must refuse.
    pub fn id_token(&self) -> TokenBuilder {
        self.token_shaped(Shape::IdToken)
    }

    /// Starts a token of the given shape.
    pub fn token_shaped(&self, shape: Shape) -> TokenBuilder {
        TokenBuilder::new(self.clone(), shape)
    }
}

/// Claims.
impl TokenBuilder {
    pub(crate) fn new(mint: Mint, shape: Shape) -> Self {
        Self {
            mint,
            shape,
            validity: Validity::For(LIFETIME),
            header: Changes::default(),
            claims: Changes::default(),
            raw_header: None,
            raw_payload: None,
            algorithm: None,
            signer: Signer::Algorithm,
            forgery: None,
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.mint.clock()
    }

    /// Sets `sub`.
    pub fn subject(self, sub: impl Into<String>) -> Self {
        self.claim("sub", sub.into())
    }

    /// Sets `aud` to one audience, as a string.
    pub fn audience(self, aud: impl Into<String>) -> Self {
        self.claim("aud", aud.into())
    }

    /// Sets `aud` to an array of any length.
    pub fn audiences<A: Into<String>>(self, aud: impl IntoIterator<Item = A>) -> Self {
        self.claim("aud", aud.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets the scope, space-delimited, in the claim where tokens of this shape have it: `scope`, or `scp`.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        let (name, value) = self.shape.scope(scope.into());
        self.claim(name, value)
    }

    /// Sets `client_id`.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.claim("client_id", client_id.into())
    }

    /// Sets any claim to any JSON value.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.set(name.into(), value.into());
        self
    }

    /// Removes a claim.
    pub fn without_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.leave_out(name.into());
        self
    }

    /// Sets `exp` to `lifetime` after the clock's time. Default: five minutes.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.validity = Validity::For(lifetime);
        self
    }

    /// Invalid: the token expired an hour ago, and was issued five minutes before that.
    pub fn expired(mut self) -> Self {
        self.validity = Validity::Expired;
        self
    }

    /// Invalid: the token is issued now, and valid for five minutes from an hour hence, by its `nbf`.
    pub fn not_yet_valid(mut self) -> Self {
        self.validity = Validity::NotYet;
        self
    }

    /// Sets `nbf`.
    pub fn not_before(self, time: SystemTime) -> Self {
        self.claim("nbf", numeric_date(time))
    }

    /// Sets `iat` only: `exp` still follows from the clock.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.claim("iat", numeric_date(time))
    }

    /// Binds the token to the client's key: `jkt` in `cnf`, beside what else `cnf` is set to ([RFC 9449, section
    /// 6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)).
    pub fn bound_to(self, client: &DpopClient) -> Self {
        self.confirmed_by("jkt", client.thumbprint())
    }

    /// Binds the token to a TLS client certificate in DER: `x5t#S256` in `cnf`, beside what else `cnf` is set to ([RFC 8705,
    /// section 3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)). The bytes are hashed and not parsed.
    pub fn bound_to_certificate(self, der: &[u8]) -> Self {
        self.confirmed_by("x5t#S256", sha256(der))
    }

    pub(crate) fn confirmed_by(mut self, member: &str, thumbprint: String) -> Self {
        self.claims.set_within("cnf", member, thumbprint.into());
        self
    }

    /// Sets the payload's bytes, JSON or not, in place of the claims. They are encoded and signed as usual.
    pub fn raw_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(payload.into());
        self
    }
}

/// Header parameters.
impl TokenBuilder {
    /// Sets the header's `typ`.
    pub fn typ(self, typ: impl Into<String>) -> Self {
        self.header("typ", typ.into())
    }

    /// Removes `typ` from the header.
    pub fn without_typ(self) -> Self {
        self.without_header("typ")
    }

    /// Sets the header's `kid` only: the signing key stays the same.
    pub fn key_id(self, kid: impl Into<String>) -> Self {
        self.header("kid", kid.into())
    }

    /// Removes `kid` from the header.
    pub fn without_key_id(self) -> Self {
        self.without_header("kid")
    }

    /// Sets any header parameter to any JSON value. Setting `alg` changes the header and not how the token is signed.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.set(name.into(), value.into());
        self
    }

    /// Removes a header parameter.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.header.leave_out(name.into());
        self
    }

    /// Sets the header's text, JSON or not, in place of the header parameters. It is encoded and signed as usual.
    pub fn raw_header(mut self, header: impl Into<String>) -> Self {
        self.raw_header = Some(header.into());
        self
    }
}

/// Signatures.
impl TokenBuilder {
    /// Signs by `algorithm`, with the mint's key for it, or with the key of [`signed_by`](Self::signed_by) or
    /// [`signed_by_key`](Self::signed_by_key).
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with the mint's key of this `kid`, by that key's algorithm unless another is set.
    ///
    /// # Panics
    ///
    /// When the mint has no key of this `kid`.
    pub fn signed_by(self, kid: &str) -> Self {
        let key = self.mint.keys().get(kid).cloned();
        let key = key.unwrap_or_else(|| panic!("the issuer {} has no key {kid:?}", self.mint.issuer()));
        self.signed_by_key(&key)
    }

    /// Signs with any key, under its `kid` and by its algorithm unless others are set. The token is invalid where the resource
    /// server does not trust the key.
    pub fn signed_by_key(mut self, key: &SigningKey) -> Self {
        self.signer = Signer::Key(Box::new(key.clone()));
        self
    }

    /// Invalid: signed by a key of the right type that is in no key set, under the `kid` of the right key.
    ///
    /// The RSA key for this is generated once per process, any other for each token.
    pub fn signed_by_wrong_key(self) -> Self {
        self.forged(Forgery::UnknownKey)
    }

    /// Invalid: one bit of the signature is flipped.
    pub fn tampered_signature(self) -> Self {
        self.forged(Forgery::Tampered)
    }

    /// Invalid: `alg: none` and an empty signature ([RFC 7515, appendix
    /// A.5](https://www.rfc-editor.org/rfc/rfc7515#appendix-A.5)).
    pub fn unsigned(self) -> Self {
        self.forged(Forgery::Unsigned)
    }

    /// Invalid: `alg: HS256` with the public key as the secret, in the PEM of [`SigningKey::public_key_pem`]. It passes where
    /// a verifier lets the token choose between signature and MAC.
    pub fn hs256_with_public_key(self) -> Self {
        self.forged(Forgery::Hs256WithPublicKey)
    }

    /// Invalid: `alg: HS256` with this secret, for other encodings of the public key and for guessed secrets.
    pub fn hs256_with_secret(self, secret: impl Into<Vec<u8>>) -> Self {
        self.forged(Forgery::Hs256(secret.into()))
    }

    fn forged(mut self, forgery: Forgery) -> Self {
        self.forgery = Some(forgery);
        self
    }
}

impl fmt::Debug for TokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBuilder")
            .field("issuer", &self.mint.issuer())
            .field("shape", &self.shape)
            .field("validity", &self.validity)
            .field("header", &self.header)
            .field("claims", &self.claims)
            .field("algorithm", &self.algorithm)
            .field("forgery", &self.forgery)
            .finish_non_exhaustive()
    }
}
