use std::{fmt, io, path::PathBuf, sync::Arc};

use scopegate_core::clock::{Clock, SystemClock};
use serde_json::Value;

use super::{
    Site, TestIssuer,
    clients::{Clients, Credentials},
    shared::Shared,
};
use crate::{
    Mint, SigningAlgorithm, SigningKeys,
    changes::Changes,
    keys::{KeysFile, PublicKey},
};

/// Configures a [`TestIssuer`]. Made by [`TestIssuer::builder`].
///
/// An issuer listens on 127.0.0.1, which is not configurable, and on a port that the operating system chooses unless
/// [`port`](Self::port) names one.
#[must_use = "a builder starts no issuer until `start` is called"]
pub struct TestIssuerBuilder {
    port: u16,
    path: String,
    jwks_path: String,
    keys: Keys,
    keys_file: Option<PathBuf>,
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
            port: 0,
            path: String::new(),
            jwks_path: "/jwks.json".to_owned(),
            keys: Keys::Fresh(vec![SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::EdDsa]),
            keys_file: None,
            audience: Mint::AUDIENCE.to_owned(),
            clients: Clients::default(),
            metadata: Changes::default(),
            signs_introspection: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// Listens on this port of 127.0.0.1, so that the issuer identifier is the same after a restart. 0, the default,
    /// has the operating system choose a free one, which suits tests that run at the same time.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Appends a path to the issuer identifier, as multi-tenant issuers do: `/tenant-a`.
    ///
    /// A trailing `/` belongs to the identifier; the endpoints are the same with and without it.
    ///
    /// # Panics
    ///
    /// When a non-empty path does not begin with `/`, or has characters other than letters, digits and `-._~/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = legal_path(path.into());
        self
    }

    /// Serves the JWK Set at this path below the issuer identifier instead of `/jwks.json`.
    ///
    /// # Panics
    ///
    /// When the path is empty, and for the reasons of [`path`](Self::path).
    pub fn jwks_path(mut self, path: impl Into<String>) -> Self {
        self.jwks_path = legal_path(path.into());
        assert!(!self.jwks_path.is_empty(), "the JWK Set needs a path of its own, such as `/jwks.json`");
        self
    }

    /// Generates a key for each of these algorithms, instead of for `ES256`, `ES384` and `EdDSA`. Tokens are signed by the
    /// first unless they set another.
    ///
    /// RSA keys are slow to generate, so no default issuer has one. A token by an algorithm without a key panics.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.keys = Keys::Fresh(algorithms.into_iter().collect());
        self
    }

    /// Uses these keys, instead of generated ones.
    pub fn keys(mut self, keys: SigningKeys) -> Self {
        self.keys = Keys::Given(keys);
        self
    }

    /// Keeps the keys in this file, so that tokens stay valid across a restart: reads them from it if it exists,
    /// whatever [`keys`](Self::keys) and [`algorithms`](Self::algorithms) say, and otherwise creates it with those.
    /// Every rotation replaces it.
    ///
    /// The file is a JWK Set of private keys ([`SigningKeys::from_jwks_json`]), unencrypted; on Unix only its owner may
    /// read and write it (mode 0600). Two processes must not share it while either of them rotates.
    ///
    /// ```
    /// use scopegate_testing::TestIssuer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("scopegate-keys-file-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let file = folder.join("keys.json");
    /// let before = TestIssuer::builder().keys_file(&file).try_start().await?;
    /// let after = TestIssuer::builder().keys_file(&file).try_start().await?;
    /// assert_eq!(before.jwks_json(), after.jwks_json());
    /// # std::fs::remove_dir_all(folder)
    /// # }
    /// ```
    pub fn keys_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.keys_file = Some(path.into());
        self
    }

    /// Issues tokens for `audience` unless they set another, instead of for [`Mint::AUDIENCE`].
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Registers a client with a secret, which it sends (`client_secret_basic`, `client_secret_post`) or uses as the HMAC key
    /// of an assertion (`client_secret_jwt` by `HS256`, not at the token endpoint).
    ///
    /// May be called several times, as may the other methods that register clients; the first client replaces the default one,
    /// [`Mint::CLIENT_ID`] with [`TestIssuer::CLIENT_SECRET`].
    pub fn client(mut self, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        self.clients.register(client_id.into(), Credentials::Secret(client_secret.into()));
        self
    }

    /// Registers a client with a public key, for `private_key_jwt`: a public JWK (P-256, P-384, Ed25519 or RSA), or a
    /// reference to a [`SigningKey`](crate::SigningKey), whose public half is used. The client may introspect and revoke; the
    /// token endpoint accepts no assertions.
    ///
    /// # Panics
    ///
    /// When the value is not such a JWK.
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

    /// Registers a public client, which sends its `client_id` and no proof. It may introspect and revoke; it gets no token,
    /// since the client credentials grant is not for public clients.
    pub fn public_client(mut self, client_id: impl Into<String>) -> Self {
        self.clients.register(client_id.into(), Credentials::None);
        self
    }

    /// Sends introspection responses in JSON whatever `Accept` asks for, and publishes no algorithms for signed ones.
    pub fn without_signed_introspection(mut self) -> Self {
        self.signs_introspection = false;
        self
    }

    /// Sets a member of the metadata documents, such as a wrong `issuer` or a foreign `jwks_uri`.
    pub fn metadata_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.set(name.into(), value.into());
        self
    }

    /// Removes a member of the metadata documents.
    pub fn without_metadata_member(mut self, name: impl Into<String>) -> Self {
        self.metadata.leave_out(name.into());
        self
    }

    /// Uses `clock` for the times of tokens and for all delays.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Generates the keys and starts to serve, in a task of the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled, and where [`try_start`](Self::try_start) fails.
    pub async fn start(self) -> TestIssuer {
        self.try_start().await.unwrap_or_else(|error| panic!("the issuer cannot be started: {error}"))
    }

    /// Like [`start`](Self::start), for an issuer whose port or file comes from a user.
    ///
    /// # Errors
    ///
    /// - The port cannot be listened on. The error has the kind [`AddrInUse`](io::ErrorKind::AddrInUse) if another
    ///   process does.
    /// - The [file of keys](Self::keys_file) can be neither read nor created, or its content is not a JWK Set of
    ///   private keys with one that signs.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub async fn try_start(self) -> io::Result<TestIssuer> {
        // Before the keys, so that no file is left behind where another issuer serves already.
        let listener = super::server::bind(self.port).await?;
        let keys_file = self.keys_file.map(KeysFile::new);
        let kept = keys_file.as_ref().map(KeysFile::read).transpose()?.flatten();
        let keys = match (kept, self.keys) {
            (Some(kept), _) => kept,
            (None, keys) => {
                let keys = match keys {
                    Keys::Fresh(algorithms) => super::fresh_keys(algorithms).await,
                    Keys::Given(keys) => keys,
                };
                keys_file.as_ref().map_or(Ok(()), |file| file.create(&keys))?;
                keys
            }
        };
        let mut clients = self.clients;
        if clients.is_empty() {
            let secret = Credentials::Secret(TestIssuer::CLIENT_SECRET.to_owned());
            clients.register(Mint::CLIENT_ID.to_owned(), secret);
        }
        let site = Site::new(listener.address(), &self.path, &self.jwks_path);
        let mint = Mint::new(&site.issuer, keys).with_audience(self.audience).with_clock(self.clock);
        let shared = Shared::new(site, mint, keys_file, clients, self.metadata, self.signs_introspection);
        Ok(TestIssuer::serve(listener, shared))
    }
}

impl fmt::Debug for TestIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuerBuilder")
            .field("port", &self.port)
            .field("path", &self.path)
            .field("jwks_path", &self.jwks_path)
            .field("keys_file", &self.keys_file)
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
