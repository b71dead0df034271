use std::{fmt, sync::Arc};

use scopegate_core::clock::{Clock, SystemClock};
use serde_json::Value;

use super::{
    Site, TestIssuer,
    clients::{Clients, Credentials},
    server::Shared,
};
use crate::{Mint, SigningAlgorithm, SigningKeys, changes::Changes, keys::PublicKey};

/// The options of a [`TestIssuer`]. Made by [`TestIssuer::builder`].
///
/// The address is none of them: an issuer listens on 127.0.0.1 and on a port that the operating system chooses.
#[must_use = "an issuer is started by `start`"]
pub struct TestIssuerBuilder {
    path: String,
    jwks_path: String,
    keys: Keys,
    audience: String,
    clients: Clients,
    metadata: Changes,
    signs_introspection: bool,
    clock: Arc<dyn Clock>,
}

enum Keys {
    Fresh(Vec<SigningAlgorithm>),
    Given(SigningKeys),
}

impl TestIssuerBuilder {
    pub(super) fn new() -> Self {
        Self {
            path: String::new(),
            jwks_path: "/jwks.json".to_owned(),
            keys: Keys::Fresh(vec![SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::EdDsa]),
            audience: Mint::AUDIENCE.to_owned(),
            clients: Clients::default(),
            metadata: Changes::default(),
            signs_introspection: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// Appends a path to the issuer identifier, as issuers with many tenants have it: `/tenant-a`.
    ///
    /// A `/` at its end belongs to the identifier; the endpoints are the same with and without it.
    ///
    /// # Panics
    ///
    /// When a path that is not empty does not begin with `/`, and when it has a character other than letters, digits
    /// and `-._~/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = legal_path(path.into());
        self
    }

    /// Serves the JWK Set at this path below the issuer identifier instead of `/jwks.json`.
    ///
    /// # Panics
    ///
    /// When the path is empty, and as [`path`](Self::path).
    pub fn jwks_path(mut self, path: impl Into<String>) -> Self {
        self.jwks_path = legal_path(path.into());
        assert!(!self.jwks_path.is_empty(), "the JWK Set needs a path of its own, such as `/jwks.json`");
        self
    }

    /// Has a fresh key for each of these algorithms, instead of for `ES256`, `ES384` and `EdDSA`. Tokens are signed by
    /// the first unless they ask for another.
    ///
    /// RSA keys take long to generate, so they are not there unless named: an issuer starts with all the keys that it
    /// publishes, and a token by an algorithm without a key is a panic, not a key that turns up later.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.keys = Keys::Fresh(algorithms.into_iter().collect());
        self
    }

    /// Has these keys, instead of fresh ones.
    pub fn keys(mut self, keys: SigningKeys) -> Self {
        self.keys = Keys::Given(keys);
        self
    }

    /// Issues tokens for `audience` unless they ask for another, instead of for [`Mint::AUDIENCE`].
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Registers a client with a secret, which it sends (`client_secret_basic`, `client_secret_post`) or, but for the
    /// token endpoint, makes the key of an assertion's HMAC (`client_secret_jwt`, by `HS256`). May be called for several, as may the other methods that register clients; the
    /// first client takes the place of the default one, [`Mint::CLIENT_ID`] with [`TestIssuer::CLIENT_SECRET`].
    pub fn client(mut self, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        self.clients.register(client_id.into(), Credentials::Secret(client_secret.into()));
        self
    }

    /// Registers a client with a public key, for `private_key_jwt`: a public JWK (P-256, P-384, Ed25519 or RSA), or a
    /// reference to the [`SigningKey`](crate::SigningKey) whose public half it is. It may introspect and revoke; the
    /// token endpoint takes no assertions.
    ///
    /// # Panics
    ///
    /// When the value is no such JWK.
    ///
    /// # Examples
    ///
    /// An assertion is a JWT that the client mints:
    ///
    /// ```
    /// use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestIssuer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let key = SigningKey::generate(SigningAlgorithm::Es256);
    /// let issuer = TestIssuer::builder().client_with_key("gateway", &key).start().await;
    ///
    /// let gateway = Mint::new("gateway", SigningKeys::from(key));
    /// let assertion = gateway.token().typ("JWT").subject("gateway").audience(issuer.issuer());
    /// // Send it as `client_assertion`; the second one has a `jti` of its own.
    /// assert_ne!(assertion.issue(), assertion.issue());
    /// # }
    /// ```
    pub fn client_with_key(mut self, client_id: impl Into<String>, public_jwk: impl Into<Value>) -> Self {
        let key = public_jwk.into().as_object().and_then(PublicKey::from_jwk);
        let key = key.expect("a client's key is a public JWK: P-256, P-384, Ed25519 or RSA");
        self.clients.register(client_id.into(), Credentials::Key(key));
        self
    }

    /// Registers a public client, which sends its `client_id` and nothing to prove it. It may introspect and revoke; it
    /// gets no token, as the client credentials grant is not for public clients.
    pub fn public_client(mut self, client_id: impl Into<String>) -> Self {
        self.clients.register(client_id.into(), Credentials::None);
        self
    }

    /// Answers introspection requests in JSON, whatever `Accept` asks for, and publishes no algorithms for signed
    /// answers.
    pub fn without_signed_introspection(mut self) -> Self {
        self.signs_introspection = false;
        self
    }

    /// Sets a member of the metadata documents, a wrong `issuer` or a foreign `jwks_uri` for example.
    pub fn metadata_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.set(name.into(), value.into());
        self
    }

    /// Leaves a member out of the metadata documents.
    pub fn without_metadata_member(mut self, name: impl Into<String>) -> Self {
        self.metadata.leave_out(name.into());
        self
    }

    /// Takes the times of tokens, and all delays, from `clock`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Generates the keys and starts to serve, in a task of the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has I/O enabled, and when no loopback port can be had.
    pub async fn start(self) -> TestIssuer {
        let keys = match self.keys {
            Keys::Fresh(algorithms) => super::fresh_keys(algorithms).await,
            Keys::Given(keys) => keys,
        };
        let listener = super::server::bind().await;
        let mut clients = self.clients;
        if clients.is_empty() {
            let secret = Credentials::Secret(TestIssuer::CLIENT_SECRET.to_owned());
            clients.register(Mint::CLIENT_ID.to_owned(), secret);
        }
        let site = Site::new(listener.address(), &self.path, &self.jwks_path);
        let mint = Mint::new(&site.issuer, keys).with_audience(self.audience).with_clock(self.clock);
        TestIssuer::serve(listener, Shared::new(site, mint, clients, self.metadata, self.signs_introspection))
    }
}

impl fmt::Debug for TestIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuerBuilder")
            .field("path", &self.path)
            .field("jwks_path", &self.jwks_path)
            .field("audience", &self.audience)
            .field("clients", &self.clients)
            .field("metadata", &self.metadata)
            .field("signs_introspection", &self.signs_introspection)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

fn legal_path(path: String) -> String {
    let is_legal = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet);
    assert!(
        path.is_empty() || path.starts_with('/') && path.bytes().all(is_legal),
        "{path:?} is no path of an issuer: begin with `/`, and use letters, digits and `-._~/`",
    );
    path
}
