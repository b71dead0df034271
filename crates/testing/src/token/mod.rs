//! Tokens, good and deliberately bad.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{Mint, SigningAlgorithm, SigningKey, changes::Changes, clock::numeric_date};

mod shape;
mod signing;

pub use self::shape::Shape;
use self::signing::Forgery;
pub(crate) use self::signing::unique;

/// The lifetime of a token that asks for no other.
pub(crate) const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The type of every access token here, as `token_type` has it.
pub(crate) const TOKEN_TYPE: &str = "Bearer";

/// How far a token is past, or before, the time in which it is valid: further than any sensible leeway.
const WELL_BEYOND_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// A token in the making. Started by [`Mint::token`] or [`TestIssuer::token`](crate::TestIssuer::token).
///
/// Untouched, it is a good token. Each method changes one thing about it, and the last word on a thing counts; whatever
/// is not named stays good, so that a bad token is refused for the reason that the test means. [`issue`](Self::issue)
/// may be called again and again: the times are read from the clock and the `jti` is drawn anew each time.
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
/// // Good ones.
/// mint.token().subject("alice").scope("message:read message:write").issue();
/// mint.token().audiences(["https://api.example", "https://files.example"]).claim("roles", vec!["admin"]).issue();
///
/// // Bad ones.
/// mint.token().expired().issue();
/// mint.token().without_claim("sub").issue();
/// mint.token().signed_by_stranger().issue();
/// mint.token().unsigned().issue();
/// ```
#[derive(Clone)]
#[must_use = "a token is made by `sign`"]
pub struct TokenBuilder {
    mint: Mint,
    shape: Shape,
    validity: Validity,
    header: Changes,
    claims: Changes,
    raw_header: Option<String>,
    raw_payload: Option<Vec<u8>>,
    algorithm: Option<SigningAlgorithm>,
    signer: Signer,
    forgery: Option<Forgery>,
}

/// When the token is valid, by the clock at the time of signing.
#[derive(Clone, Copy, Debug)]
enum Validity {
    Expired,
    For(Duration),
    NotYet,
}

/// Whose key signs.
#[derive(Clone, Debug)]
enum Signer {
    /// The mint's key for the algorithm.
    Algorithm,
    /// This key, be it the mint's or not.
    Key(Box<SigningKey>),
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

    /// Sets `sub`.
    pub fn subject(self, sub: impl Into<String>) -> Self {
        self.claim("sub", sub.into())
    }

    /// Sets `aud` to one audience, as a string.
    pub fn audience(self, aud: impl Into<String>) -> Self {
        self.claim("aud", aud.into())
    }

    /// Sets `aud` to an array, whatever its length.
    pub fn audiences<A: Into<String>>(self, aud: impl IntoIterator<Item = A>) -> Self {
        self.claim("aud", aud.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets `scope`, a list separated by spaces.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.claim("scope", scope.into())
    }

    /// Sets `client_id`.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.claim("client_id", client_id.into())
    }

    /// Sets any claim, to a value of any JSON type.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.set(name.into(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.leave_out(name.into());
        self
    }

    /// Sets `exp` to `lifetime` after the clock's time. Unless told otherwise, it is five minutes.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.validity = Validity::For(lifetime);
        self
    }

    /// Bad: a token that was good until an hour ago, five minutes before which it was issued.
    pub fn expired(mut self) -> Self {
        self.validity = Validity::Expired;
        self
    }

    /// Bad: a token issued now that is good for five minutes from an hour hence, as `nbf` says.
    pub fn not_yet_valid(mut self) -> Self {
        self.validity = Validity::NotYet;
        self
    }

    /// Sets `nbf`.
    pub fn not_before(self, time: SystemTime) -> Self {
        self.claim("nbf", numeric_date(time))
    }

    /// Sets `iat`, and nothing else: `exp` still follows from the clock.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.claim("iat", numeric_date(time))
    }

    /// Takes these bytes as the payload, JSON or not; claims are ignored. They are encoded and signed as usual.
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

    /// Leaves `typ` out of the header.
    pub fn without_typ(self) -> Self {
        self.without_header("typ")
    }

    /// Sets the header's `kid`, and nothing else: the key that signs stays the same.
    pub fn key_id(self, kid: impl Into<String>) -> Self {
        self.header("kid", kid.into())
    }

    /// Leaves `kid` out of the header.
    pub fn without_key_id(self) -> Self {
        self.without_header("kid")
    }

    /// Sets any header parameter, to a value of any JSON type. `alg` set here changes what the header says and not how
    /// the token is signed.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.set(name.into(), value.into());
        self
    }

    /// Leaves a header parameter out.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.header.leave_out(name.into());
        self
    }

    /// Takes this text as the header, JSON or not; header parameters are ignored. It is encoded and signed as usual.
    pub fn raw_header(mut self, header: impl Into<String>) -> Self {
        self.raw_header = Some(header.into());
        self
    }
}

/// Signatures.
impl TokenBuilder {
    /// Signs by `algorithm`, with the mint's key for it, or with the key that [`signed_by`](Self::signed_by) or
    /// [`signed_by_key`](Self::signed_by_key) chose.
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with the mint's key of that `kid`, by that key's algorithm unless another is named.
    ///
    /// # Panics
    ///
    /// When the mint has no key of that `kid`.
    pub fn signed_by(self, kid: &str) -> Self {
        let key = self.mint.keys().get(kid).cloned();
        let key = key.unwrap_or_else(|| panic!("the issuer {} has no key {kid:?}", self.mint.issuer()));
        self.signed_by_key(&key)
    }

    /// Signs with any key, under that key's `kid` and by its algorithm unless others are named. It is a bad token
    /// where the resource server does not trust the key.
    pub fn signed_by_key(mut self, key: &SigningKey) -> Self {
        self.signer = Signer::Key(Box::new(key.clone()));
        self
    }

    /// Bad: signed by a key of the right kind that is in no key set, under the `kid` of the right key.
    ///
    /// The stranger's RSA key is generated once for the process, any other for each token.
    pub fn signed_by_stranger(self) -> Self {
        self.forged(Forgery::Stranger)
    }

    /// Bad: one bit of the signature is flipped.
    pub fn tampered_signature(self) -> Self {
        self.forged(Forgery::Tampered)
    }

    /// Bad: `alg: none` and an empty signature ([RFC 7515, appendix
    /// A.5](https://www.rfc-editor.org/rfc/rfc7515#appendix-A.5)).
    pub fn unsigned(self) -> Self {
        self.forged(Forgery::Unsigned)
    }

    /// Bad: `alg: HS256`, with the public key as the secret, in PEM as
    /// [`SigningKey::public_key_pem`] writes it. It passes where a verifier lets the token choose between signature
    /// and MAC.
    pub fn hs256_with_public_key(self) -> Self {
        self.forged(Forgery::Hs256WithPublicKey)
    }

    /// Bad: `alg: HS256`, with this secret. For other encodings of the public key, and for guessed secrets.
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
