use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::json;

use crate::{
    crypto::{CryptoBackend, SigningKey},
    jose::Algorithm,
};

/// How long an assertion is valid. It is made for one request, so this covers the transfer and clocks that differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The shortest key of HS256, in bytes: as long as its hash (RFC 7518 §3.2).
const MIN_HMAC_KEY: usize = 32;

/// `client_assertion_type` of a JWT (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How this resource server authenticates to the introspection endpoint (RFC 7662 §2.1).
///
/// The issuer's metadata lists the methods that it accepts in `introspection_endpoint_auth_methods_supported` (RFC 8414 §2).
/// Prefer one that sends no secret: [`private_key_jwt`](Self::private_key_jwt) or [`tls_client_auth`](Self::tls_client_auth).
///
/// Its `Debug` shows the method and the client id, and no secret.
///
/// ```
/// use scopegate_core::introspection::ClientAuthentication;
///
/// let authentication = ClientAuthentication::client_secret_basic("orders-api", "s3cret");
/// assert!(!format!("{authentication:?}").contains("s3cret"));
/// ```
#[derive(Clone)]
pub struct ClientAuthentication {
    /// `None` for a bearer token, which identifies the client itself.
    client_id: Option<String>,
    method: Method,
    algorithm: Option<Algorithm>,
    audience: Option<String>,
    key_id: Option<String>,
}

#[derive(Clone)]
enum Method {
    Bearer(String),
    BearerWith(TokenSource),
    ClientSecretBasic(String),
    ClientSecretJwt(String),
    ClientSecretPost(String),
    None,
    PrivateKeyJwt(String),
    TlsClientAuth,
}

type TokenSource = Arc<dyn Fn() -> String + Send + Sync>;

impl Method {
    /// The registered name (RFC 7591 §2, OpenID Connect Core §9); that of a bearer token is not registered.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Bearer(_) | Self::BearerWith(_) => "bearer",
            Self::ClientSecretBasic(_) => "client_secret_basic",
            Self::ClientSecretJwt(_) => "client_secret_jwt",
            Self::ClientSecretPost(_) => "client_secret_post",
            Self::None => "none",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
        }
    }
}

impl ClientAuthentication {
    fn new(client_id: Option<String>, method: Method) -> Self {
        Self { client_id, method, algorithm: None, audience: None, key_id: None }
    }

    /// A fixed bearer token that the authorization server issued for introspection.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::new(None, Method::Bearer(token.into()))
    }

    /// A bearer token that is renewed. `token` is called for every request and must not block: have it return a copy that
    /// another task keeps fresh.
    pub fn bearer_with(token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self::new(None, Method::BearerWith(Arc::new(token)))
    }

    /// The id and the secret by HTTP Basic authentication, each form-encoded first (RFC 6749 §2.3.1).
    pub fn client_secret_basic(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::ClientSecretBasic(client_secret.into()))
    }

    /// A JWT with an HMAC by the secret (HS256). The secret itself is not sent (RFC 7523 §2.2, OpenID Connect Core §9). It
    /// needs at least 32 bytes.
    pub fn client_secret_jwt(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::ClientSecretJwt(client_secret.into()))
    }

    /// The id and the secret in the body of the request (RFC 6749 §2.3.1), for a server that does not accept
    /// [`client_secret_basic`](Self::client_secret_basic).
    pub fn client_secret_post(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::ClientSecretPost(client_secret.into()))
    }

    /// The id alone, which proves nothing: everyone who knows the id can introspect tokens. For an endpoint that is protected
    /// by other means, such as a network that only resource servers reach.
    pub fn none(client_id: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::None)
    }

    /// A JWT signed with a private key, whose public key the authorization server knows (RFC 7523 §2.2, OpenID Connect Core
    /// §9).
    ///
    /// The key is PEM in PKCS#8 form (`-----BEGIN PRIVATE KEY-----`): RSA of 2048 bits or more, P-256, P-384 or Ed25519. The
    /// algorithm is RS256, ES256, ES384 or EdDSA by the type of the key, unless [`algorithm`](Self::algorithm) sets another
    /// one that fits.
    pub fn private_key_jwt(client_id: impl Into<String>, private_key_pem: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::PrivateKeyJwt(private_key_pem.into()))
    }

    /// The client certificate of the TLS connection, and the id that it belongs to (RFC 8705 §2).
    ///
    /// Configure the certificate and its key at the [`Fetch`](crate::net::fetch::Fetch), which presents them.
    pub fn tls_client_auth(client_id: impl Into<String>) -> Self {
        Self::new(Some(client_id.into()), Method::TlsClientAuth)
    }

    /// The algorithm of [`private_key_jwt`](Self::private_key_jwt), instead of the default for the key's type.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm: Some(algorithm), ..self }
    }

    /// The audience of the JWT of [`private_key_jwt`](Self::private_key_jwt) and
    /// [`client_secret_jwt`](Self::client_secret_jwt). Default: the issuer identifier. Some servers expect the URL of their
    /// token or introspection endpoint.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// The `kid` of the JWT of [`private_key_jwt`](Self::private_key_jwt), for a server that knows several public keys.
    /// Default: none.
    pub fn key_id(self, key_id: impl Into<String>) -> Self {
        Self { key_id: Some(key_id.into()), ..self }
    }

    /// Parses the key, and checks the settings before the first request.
    ///
    /// # Errors
    ///
    /// A fault with its remedy, as a fragment after "the client authentication": an id or secret that is empty or has a
    /// control character, a secret that is too short for HS256, a malformed token, an unusable private key, or a setting that
    /// the method does not use.
    pub(crate) fn prepare(self, backend: CryptoBackend) -> Result<Authenticator, String> {
        let Self { client_id, method, algorithm, audience, key_id } = self;
        let name = method.as_str();
        if let Some(client_id) = &client_id {
            check("client id", client_id)?;
        }
        let is_jwt = matches!(method, Method::ClientSecretJwt(_) | Method::PrivateKeyJwt(_));
        if audience.is_some() && !is_jwt {
            return Err(format!("has an audience, which {name} has no use for: remove it"));
        }
        if audience.as_ref().is_some_and(String::is_empty) {
            return Err("has an empty audience: remove it, for the issuer identifier to be used".into());
        }
        if (algorithm.is_some() || key_id.is_some()) && !matches!(method, Method::PrivateKeyJwt(_)) {
            return Err(format!("has an algorithm or a key id, which {name} has no use for: remove it"));
        }

        let proof = match method {
            Method::Bearer(token) => Proof::Authorization(
                bearer(&token).ok_or("has a token that is empty or has a character that is not visible ASCII")?,
            ),
            Method::BearerWith(token) => Proof::BearerWith(token),
            Method::ClientSecretBasic(secret) => {
                check("client secret", &secret)?;
                Proof::Authorization(basic(client_id.as_deref().unwrap_or_default(), &secret))
            }
            Method::ClientSecretJwt(secret) => {
                check("client secret", &secret)?;
                if secret.len() < MIN_HMAC_KEY {
                    return Err(format!(
                        "has a client secret of fewer than {MIN_HMAC_KEY} bytes, which is too short for HS256 (RFC 7518 §3.2): \
                         have the authorization server issue a longer one"
                    ));
                }
                Assertion::proof(backend, AssertionKey::Secret(secret), None, audience)
            }
            Method::ClientSecretPost(secret) => {
                check("client secret", &secret)?;
                Proof::ClientSecret(secret)
            }
            Method::None => Proof::Nothing,
            Method::PrivateKeyJwt(pem) => {
                let key =
                    backend.signing_key(&pem, algorithm).map_err(|fault| format!("has a private key that {fault}"))?;
                Assertion::proof(backend, AssertionKey::Private(key), key_id, audience)
            }
            Method::TlsClientAuth => Proof::TlsCertificate,
        };
        Ok(Authenticator { client_id, method: name, proof })
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthentication")
            .field("method", &self.method.as_str())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// An id or a secret is text without control characters (RFC 6749 §A.1 and §A.2).
fn check(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("has an empty {what}: use the one that the authorization server issued"));
    }
    if text.contains(char::is_control) {
        return Err(format!(
            "has a {what} with a control character in it: remove it (is it the line break at the end of a file?)"
        ));
    }
    Ok(())
}

/// Both are form-encoded first (RFC 6749 §2.3.1), so that a colon in the id is not taken for the separator.
fn basic(client_id: &str, client_secret: &str) -> HeaderValue {
    let [user, password] =
        // INTRO-2: both are form-encoded first (RFC 6749 §2.3.1).
        [client_id, client_secret].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let value = format!("Basic {}", STANDARD.encode_to_string(format!("{user}:{password}")));
    sensitive(HeaderValue::try_from(value).expect("base64 is visible ASCII"))
}

/// `None` for text that is not a token by RFC 6750 §2.1: empty, or with a space.
fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    HeaderValue::try_from(format!("Bearer {token}")).ok().map(sensitive)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// A [`ClientAuthentication`] that is ready for use.
pub(crate) struct Authenticator {
    client_id: Option<String>,
    method: &'static str,
    proof: Proof,
}

enum Proof {
    Assertion(Assertion),
    /// The value of the header field, the same for every request.
    Authorization(HeaderValue),
    BearerWith(TokenSource),
    ClientSecret(String),
    Nothing,
    TlsCertificate,
}

impl Authenticator {
    /// The client id; `None` for a bearer token.
    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Identifies this client in cache keys: by its id, or by the bearer token where it has none.
    pub(crate) fn identity(&self) -> Vec<u8> {
        match (&self.client_id, &self.proof) {
            (Some(client_id), _) => client_id.as_bytes().to_vec(),
            (None, Proof::Authorization(value)) => value.as_bytes().to_vec(),
            (None, _) => Vec::new(),
        }
    }

    /// Whether the client authenticates by the certificate of the connection.
    pub(crate) fn uses_tls(&self) -> bool {
        matches!(self.proof, Proof::TlsCertificate)
    }

    /// Adds the credentials to a request: header fields, which are marked sensitive, and form pairs.
    ///
    /// # Errors
    ///
    /// When a token is malformed, or an assertion cannot be made. The text contains no secret.
    pub(crate) fn authenticate<'a>(
        &'a self,
        issuer: &str,
        now: SystemTime,
        headers: &mut HeaderMap,
        form: &mut Vec<(&'static str, Cow<'a, str>)>,
    ) -> Result<(), &'static str> {
        let client_id = self.client_id().unwrap_or_default();
        let identification = ("client_id", client_id.into());
        match &self.proof {
            Proof::Assertion(assertion) => form.extend([
                identification,
                ("client_assertion_type", JWT_BEARER.into()),
                ("client_assertion", assertion.make(client_id, issuer, now)?.into()),
            ]),
            Proof::Authorization(value) => {
                headers.insert(AUTHORIZATION, value.clone());
            }
            Proof::BearerWith(token) => {
                let value = bearer(&token()).ok_or(
                    "the token for the introspection endpoint is empty or has a character that is not visible ASCII",
                )?;
                headers.insert(AUTHORIZATION, value);
            }
            Proof::ClientSecret(secret) => form.extend([identification, ("client_secret", secret.into())]),
            Proof::Nothing | Proof::TlsCertificate => form.push(identification),
        }
        Ok(())
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("method", &self.method)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Makes client assertions (RFC 7523 §3): a new one for each request, since a server accepts a `jti` once.
struct Assertion {
    backend: CryptoBackend,
    key: AssertionKey,
    /// The header, encoded.
    header: String,
    audience: Option<String>,
}

enum AssertionKey {
    Private(SigningKey),
    Secret(String),
}

impl Assertion {
    fn proof(backend: CryptoBackend, key: AssertionKey, key_id: Option<String>, audience: Option<String>) -> Proof {
        let algorithm = match &key {
            AssertionKey::Private(key) => match key.algorithm() {
                // The older name of the algorithm, for servers that do not know the one of RFC 9864.
                Algorithm::Ed25519 => "EdDSA",
                algorithm => algorithm.as_str(),
            },
            AssertionKey::Secret(_) => "HS256",
        };
        let mut header = json!({ "alg": algorithm, "typ": "JWT" });
        if let Some(key_id) = key_id {
            header["kid"] = key_id.into();
        }
        Proof::Assertion(Self { backend, key, header: URL_SAFE_NO_PAD.encode_to_string(header.to_string()), audience })
    }

    fn make(&self, client_id: &str, issuer: &str, now: SystemTime) -> Result<String, &'static str> {
        let issued_at =
            now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "the clock is set to a time before 1970")?;
        let id: [u8; 16] = self.backend.random().ok_or("the operating system has no random bytes to give")?;
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": self.audience.as_deref().unwrap_or(issuer),
            "jti": URL_SAFE_NO_PAD.encode_to_string(id),
            "iat": issued_at.as_secs(),
            "exp": (issued_at + ASSERTION_LIFETIME).as_secs(),
        });
        let input = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode_to_string(claims.to_string()));
        let signature = match &self.key {
            AssertionKey::Private(key) => key.sign(input.as_bytes()).ok_or("the private key made no signature")?,
            AssertionKey::Secret(secret) => self.backend.hmac_sha256(secret.as_bytes(), input.as_bytes()).to_vec(),
        };
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature)))
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::crypto::tests::{BACKENDS, SIGNERS, private_pem, verifies};

    const ISSUER: &str = "https://as.example";
    /// In every secret of these tests, and nowhere else.
    const SECRET: &str = "s3cret-that-is-32-bytes-long-or-more";

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// The `authorization` field and the form that a method produces, the same with each backend.
    fn sent(authentication: &ClientAuthentication) -> (Option<String>, Vec<(&'static str, String)>) {
        let mut sent = BACKENDS.iter().map(|&backend| {
            let authenticator = authentication.clone().prepare(backend).unwrap();
            let (mut headers, mut form) = (HeaderMap::new(), Vec::new());
            authenticator.authenticate(ISSUER, now(), &mut headers, &mut form).unwrap();
            assert!(headers.len() <= 1 && headers.values().all(HeaderValue::is_sensitive));
            let form: Vec<_> = form.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
            (headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()), form)
        });
        let first = sent.next().unwrap();
        assert!(sent.all(|other| other == first));
        first
    }

    /// The assertions of a method by each backend: header, claims, signing input, signature.
    fn assertions(authentication: &ClientAuthentication) -> Vec<(Value, Value, String, Vec<u8>)> {
        let assertion = |&backend: &CryptoBackend| {
            let authenticator = authentication.clone().prepare(backend).unwrap();
            let (mut headers, mut form) = (HeaderMap::new(), Vec::new());
            authenticator.authenticate(ISSUER, now(), &mut headers, &mut form).unwrap();
            assert!(headers.is_empty());
            assert_eq!(form[..2], [("client_id", "api".into()), ("client_assertion_type", JWT_BEARER.into())]);
            let [.., (name, assertion)] = &form[..] else { unreachable!() };
            assert_eq!((form.len(), *name), (3, "client_assertion"));
            let (input, signature) = assertion.rsplit_once('.').unwrap();
            let (header, claims) = input.split_once('.').unwrap();
            let [header, claims, signature] =
                [header, claims, signature].map(|part| URL_SAFE_NO_PAD.decode_to_vec(part).unwrap());
            let [header, claims] = [header, claims].map(|json| serde_json::from_slice(&json).unwrap());
            (header, claims, input.to_owned(), signature)
        };
        BACKENDS.iter().map(assertion).collect()
    }

    fn fault(authentication: ClientAuthentication) -> String {
        let fault = authentication.prepare(BACKENDS[0]).unwrap_err();
        assert!(!fault.contains(SECRET), "{fault}");
        fault
    }

    #[test]
    fn basic_authentication_has_the_id_and_the_secret_form_encoded() {
        let (authorization, form) = sent(&ClientAuthentication::client_secret_basic("a:b", "p%"));
        assert_eq!(authorization, Some(format!("Basic {}", STANDARD.encode_to_string("a%3Ab:p%25"))));
        assert_eq!(form, []);
        let (authorization, _) = sent(&ClientAuthentication::client_secret_basic("a b", "\u{e9}+&="));
        assert_eq!(authorization, Some(format!("Basic {}", STANDARD.encode_to_string("a+b:%C3%A9%2B%26%3D"))));
    }

    #[test]
    fn a_posted_secret_is_in_the_form_as_it_is() {
        let (authorization, form) = sent(&ClientAuthentication::client_secret_post("a:b", "p%"));
        assert_eq!(authorization, None);
        assert_eq!(form, [("client_id", "a:b".into()), ("client_secret", "p%".into())]);
    }

    #[test]
    fn a_bearer_token_is_the_whole_proof() {
        let (authorization, form) = sent(&ClientAuthentication::bearer("abc.DEF-1_~+/="));
        assert_eq!(authorization.as_deref(), Some("Bearer abc.DEF-1_~+/="));
        assert_eq!(form, []);
        assert_eq!(ClientAuthentication::bearer("abc").prepare(BACKENDS[0]).unwrap().client_id(), None);
    }

    #[test]
    fn i_12_a_client_is_identified_by_its_id_or_else_by_its_token() {
        let identity = |authentication: ClientAuthentication| authentication.prepare(BACKENDS[0]).unwrap().identity();
        assert_eq!(identity(ClientAuthentication::client_secret_basic("api", SECRET)), b"api");
        assert_eq!(identity(ClientAuthentication::client_secret_jwt("api", SECRET)), b"api");
        assert_eq!(identity(ClientAuthentication::bearer("token")), b"Bearer token");
        assert_eq!(identity(ClientAuthentication::bearer_with(|| "token".into())), b"", "it is another one each time");
    }

    #[test]
    fn a_renewed_bearer_token_is_asked_for_at_each_request_and_checked() {
        let tokens = std::sync::Mutex::new(vec!["", "a\nb", "a b", "second", "first"]);
        let authenticator = ClientAuthentication::bearer_with(move || tokens.lock().unwrap().pop().unwrap().to_owned())
            .prepare(BACKENDS[0])
            .unwrap();
        let authenticate =
            |headers: &mut HeaderMap| authenticator.authenticate(ISSUER, now(), headers, &mut Vec::new());
        for token in ["Bearer first", "Bearer second"] {
            let mut headers = HeaderMap::new();
            authenticate(&mut headers).unwrap();
            assert_eq!(headers[AUTHORIZATION], token);
            assert!(headers[AUTHORIZATION].is_sensitive());
        }
        for _ in 0..3 {
            let mut headers = HeaderMap::new();
            assert!(authenticate(&mut headers).is_err());
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn only_the_id_is_sent_where_a_certificate_or_nothing_is_the_proof() {
        for (authentication, uses_tls) in
            [(ClientAuthentication::tls_client_auth("api"), true), (ClientAuthentication::none("api"), false)]
        {
            assert_eq!(sent(&authentication), (None, vec![("client_id", "api".into())]));
            let authenticator = authentication.prepare(BACKENDS[0]).unwrap();
            assert_eq!(authenticator.uses_tls(), uses_tls);
            assert_eq!(authenticator.client_id(), Some("api"));
        }
    }

    #[test]
    fn an_assertion_by_a_private_key_verifies_with_its_public_key() {
        for (algorithm, key_id) in SIGNERS {
            let authentication =
                ClientAuthentication::private_key_jwt("api", private_pem(key_id)).algorithm(algorithm).key_id("k1");
            for (header, _, input, signature) in assertions(&authentication) {
                assert_eq!(Algorithm::from_name(header["alg"].as_str().unwrap()), Some(algorithm));
                assert_eq!((&header["typ"], &header["kid"]), (&"JWT".into(), &"k1".into()));
                assert!(verifies(key_id, algorithm, input.as_bytes(), &signature), "{algorithm}");
            }
        }
    }

    #[test]
    fn an_assertion_without_settings_names_no_key_and_the_default_algorithm() {
        for (key_id, algorithm) in
            [("a-rsa-noalg", "RS256"), ("a-es256", "ES256"), ("a-es384", "ES384"), ("a-ed25519", "EdDSA")]
        {
            for (header, ..) in assertions(&ClientAuthentication::private_key_jwt("api", private_pem(key_id))) {
                assert_eq!(header, json!({ "alg": algorithm, "typ": "JWT" }));
            }
        }
    }

    #[test]
    fn an_assertion_by_a_secret_has_its_hmac() {
        for (header, _, input, signature) in assertions(&ClientAuthentication::client_secret_jwt("api", SECRET)) {
            assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
            for backend in BACKENDS {
                assert_eq!(backend.hmac_sha256(SECRET.as_bytes(), input.as_bytes())[..], signature);
            }
        }
    }

    #[test]
    fn an_assertion_says_who_for_whom_and_how_long() {
        for (authentication, audience) in [
            (ClientAuthentication::client_secret_jwt("api", SECRET), ISSUER),
            (ClientAuthentication::private_key_jwt("api", private_pem("a-es256")), ISSUER),
            (
                ClientAuthentication::client_secret_jwt("api", SECRET).audience("https://as.example/i"),
                "https://as.example/i",
            ),
        ] {
            for (_, mut claims, ..) in assertions(&authentication) {
                let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
                assert_eq!(URL_SAFE_NO_PAD.decode_to_vec(id.as_str().unwrap()).unwrap().len(), 16);
                assert_eq!(
                    claims,
                    json!({
                        "iss": "api", "sub": "api", "aud": audience, "iat": 1_800_000_000, "exp": 1_800_000_060,
                    })
                );
            }
        }
    }

    #[test]
    fn no_two_assertions_have_the_same_id() {
        for &backend in BACKENDS {
            let authenticator = ClientAuthentication::client_secret_jwt("api", SECRET).prepare(backend).unwrap();
            let assertion = || {
                let mut form = Vec::new();
                authenticator.authenticate(ISSUER, now(), &mut HeaderMap::new(), &mut form).unwrap();
                form[2].1.clone()
            };
            assert_ne!(assertion(), assertion());
        }
    }

    #[test]
    fn a_clock_before_1970_makes_no_assertion() {
        let authenticator = ClientAuthentication::client_secret_jwt("api", SECRET).prepare(BACKENDS[0]).unwrap();
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let mut form = Vec::new();
        assert!(authenticator.authenticate(ISSUER, before, &mut HeaderMap::new(), &mut form).is_err());
        assert_eq!(form, []);
    }

    #[test]
    fn what_cannot_authenticate_is_refused_with_its_remedy() {
        type By = ClientAuthentication;
        for (authentication, expected) in [
            (By::client_secret_basic("", SECRET), "has an empty client id"),
            (By::client_secret_post("", SECRET), "has an empty client id"),
            (By::client_secret_jwt("", SECRET), "has an empty client id"),
            (By::private_key_jwt("", private_pem("a-es256")), "has an empty client id"),
            (By::tls_client_auth(""), "has an empty client id"),
            (By::none(""), "has an empty client id"),
            (By::none("api\n"), "has a client id with a control character"),
            (By::client_secret_basic("api", ""), "has an empty client secret"),
            (By::client_secret_post("api", ""), "has an empty client secret"),
            (By::client_secret_jwt("api", ""), "has an empty client secret"),
            (By::client_secret_basic("api", format!("{SECRET}\n")), "the line break at the end of a file"),
            (By::client_secret_post("api", format!("{SECRET}\n")), "the line break at the end of a file"),
            (By::client_secret_jwt("api", format!("{SECRET}\n")), "the line break at the end of a file"),
            (By::client_secret_jwt("api", &SECRET[..31]), "fewer than 32 bytes"),
            (By::bearer(""), "has a token that is empty"),
            (By::bearer(format!("{SECRET} ")), "has a token that is empty or has a character"),
            (By::private_key_jwt("api", SECRET), "has a private key that is not PEM"),
            (
                By::private_key_jwt("api", private_pem("a-es256")).algorithm(Algorithm::Rs256),
                "has a private key that does not fit the algorithm: a P-256 key signs with ES256",
            ),
            (
                By::client_secret_basic("api", SECRET).audience("x"),
                "an audience, which client_secret_basic has no use for",
            ),
            (By::client_secret_jwt("api", SECRET).audience(""), "has an empty audience"),
            (By::client_secret_jwt("api", SECRET).key_id("k"), "a key id, which client_secret_jwt has no use for"),
            (
                By::bearer(SECRET).algorithm(Algorithm::Es256),
                "has an algorithm or a key id, which bearer has no use for",
            ),
        ] {
            let fault = fault(authentication);
            assert!(fault.contains(expected), "{fault}");
        }
        assert!(By::client_secret_jwt("api", &SECRET[..32]).prepare(BACKENDS[0]).is_ok());
    }

    #[test]
    fn debug_shows_the_method_and_the_id_and_no_secret() {
        type By = ClientAuthentication;
        let pem = private_pem("a-es256");
        let key = pem.lines().nth(1).unwrap();
        for (authentication, method, id) in [
            (By::bearer(SECRET), "bearer", "None"),
            (By::bearer_with(|| SECRET.into()), "bearer", "None"),
            (By::client_secret_basic("api", SECRET), "client_secret_basic", r#"Some("api")"#),
            (By::client_secret_jwt("api", SECRET), "client_secret_jwt", r#"Some("api")"#),
            (By::client_secret_post("api", SECRET), "client_secret_post", r#"Some("api")"#),
            (By::none("api"), "none", r#"Some("api")"#),
            (By::private_key_jwt("api", &pem), "private_key_jwt", r#"Some("api")"#),
            (By::tls_client_auth("api"), "tls_client_auth", r#"Some("api")"#),
        ] {
            let shown = format!("{authentication:?}");
            assert_eq!(shown, format!("ClientAuthentication {{ method: {method:?}, client_id: {id}, .. }}"));
            for &backend in BACKENDS {
                let shown = format!("{:?}", authentication.clone().prepare(backend).unwrap());
                assert_eq!(shown, format!("Authenticator {{ method: {method:?}, client_id: {id}, .. }}"));
                assert!(!shown.contains(SECRET) && !shown.contains(key));
            }
        }
    }
}
