//! The authorization server.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{Mint, Shape, SigningAlgorithm, SigningKeys, TokenBuilder};

mod assertion;
mod authentication;
mod builder;
mod clients;
mod condition;
mod form;
mod introspection;
mod metadata;
mod opaque;
mod recorded;
mod refusal;
mod revocation;
mod server;
mod site;
mod token_endpoint;
mod tokens;

pub use self::{
    builder::TestIssuerBuilder, condition::RequestCounts, introspection::IntrospectionTrouble,
    opaque::OpaqueTokenBuilder, recorded::RecordedRequest,
};
use self::{
    condition::{Condition, Failure},
    server::{Listener, Shared},
    site::Site,
};

/// An authorization server in this process, on a loopback port of its own.
///
/// | endpoint | path |
/// |---|---|
/// | OpenID Connect Discovery | `{issuer}/.well-known/openid-configuration` |
/// | [RFC 8414][metadata] metadata | `/.well-known/oauth-authorization-server{path}`, or `openid-configuration` there |
/// | JWK Set | `{issuer}/jwks.json` |
/// | token endpoint | `{issuer}/token`, for the client credentials grant |
/// | [introspection] | `{issuer}/introspect`, with [signed answers][signed] for those who ask |
/// | [revocation] | `{issuer}/revoke` |
///
/// [metadata]: https://www.rfc-editor.org/rfc/rfc8414#section-3
/// [introspection]: https://www.rfc-editor.org/rfc/rfc7662
/// [signed]: https://www.rfc-editor.org/rfc/rfc9701
/// [revocation]: https://www.rfc-editor.org/rfc/rfc7009
///
/// The token endpoint knows [`Mint::CLIENT_ID`] with [`CLIENT_SECRET`](Self::CLIENT_SECRET), or the clients of
/// [`TestIssuerBuilder::client`]; it grants whatever legal `scope` is asked for, and for whatever `resource` or
/// `audience`:
///
/// ```text
/// curl -u test-client:test-secret -d grant_type=client_credentials -d scope=message http://127.0.0.1:PORT/token
/// ```
///
/// With `-d token_format=opaque`, a parameter that is known here and in no specification, it issues an opaque token.
///
/// Introspection tells about opaque tokens and about JWTs that the current keys have signed, whatever else is in them:
/// to any client with its credentials, and to whoever has an active access token to send as `Bearer`. Any client may
/// revoke any token. At these two endpoints a client may authenticate by an assertion
/// ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)), each of which counts once.
///
/// ```text
/// curl -u test-client:test-secret -d token=... http://127.0.0.1:PORT/introspect
/// ```
///
/// It is as real as a test needs and no more: no TLS, no users, no consent, no limit on requests, and client secrets
/// that everybody knows. It listens on 127.0.0.1 only, and on nothing else by any setting.
///
/// Dropping the value stops the server as soon as the runtime gets to it; [`shutdown`](Self::shutdown) waits for that.
///
/// # Examples
///
/// A key rotation, seen from the resource server's side:
///
/// ```
/// use scopegate_testing::TestIssuer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let issuer = TestIssuer::start().await;
/// let before = issuer.token().issue();
///
/// issuer.rotate().await;
/// let after = issuer.token().issue();
/// // `after` needs one more request for keys, and `before` is refused from then on. A service asks for keys at most once
/// // in 30 seconds: give both sides a `TestClock`, and advance it by 31.
/// # let _ = (before, after);
/// assert_eq!(issuer.requests().jwks, 0);
/// # }
/// ```
pub struct TestIssuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl TestIssuer {
    /// The audience of tokens for which the test names none: [`Mint::AUDIENCE`].
    pub const AUDIENCE: &str = Mint::AUDIENCE;
    /// The client that is registered, and that of tokens for which the test names none: [`Mint::CLIENT_ID`].
    pub const CLIENT_ID: &str = Mint::CLIENT_ID;
    /// The secret of the client that is registered unless [`TestIssuerBuilder::client`] names others.
    pub const CLIENT_SECRET: &str = "test-secret";

    /// Starts an issuer with the defaults: no path, keys for `ES256` (by which it signs), `ES384` and `EdDSA`, the
    /// operating system's clock.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has I/O enabled, and when no loopback port can be had.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Sets options first.
    pub fn builder() -> TestIssuerBuilder {
        TestIssuerBuilder::new()
    }

    fn serve(listener: Listener, shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self { address: listener.address(), task: server::spawn(listener, Arc::clone(&shared)), shared }
    }

    /// Stops the server and returns once its port is closed.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // What it returns is that it was aborted.
        let _ = (&mut self.task).await;
    }
}

/// Where it is.
impl TestIssuer {
    /// The issuer identifier, a URL: `http://127.0.0.1:PORT`, with the path if it has one.
    pub fn issuer(&self) -> &str {
        &self.shared.site.issuer
    }

    /// The URL of the JWK Set.
    pub fn jwks_uri(&self) -> &str {
        &self.shared.site.jwks_uri
    }

    /// The URL of the token endpoint.
    pub fn token_endpoint(&self) -> &str {
        &self.shared.site.token_endpoint
    }

    /// The URL of the introspection endpoint.
    pub fn introspection_endpoint(&self) -> &str {
        &self.shared.site.introspection_endpoint
    }

    /// The URL of the revocation endpoint.
    pub fn revocation_endpoint(&self) -> &str {
        &self.shared.site.revocation_endpoint
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> RequestCounts {
        self.shared.counters.snapshot()
    }

    /// The request that came last to the introspection endpoint, answered or not.
    pub fn last_introspection(&self) -> Option<RecordedRequest> {
        self.shared.last_introspection().clone()
    }
}

/// Tokens, for tests that need no HTTP to get one.
impl TestIssuer {
    /// Starts an access token as [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068) has it, good unless changed.
    pub fn token(&self) -> TokenBuilder {
        self.mint().token()
    }

    /// Starts an ID token of the same issuer and keys, which no resource server may take for an access token.
    pub fn id_token(&self) -> TokenBuilder {
        self.mint().id_token()
    }

    /// Starts a token of the given shape.
    pub fn token_shaped(&self, shape: Shape) -> TokenBuilder {
        self.mint().token_shaped(shape)
    }

    /// Starts an opaque access token, good unless changed, which the introspection endpoint knows.
    pub fn opaque_token(&self) -> OpaqueTokenBuilder {
        OpaqueTokenBuilder::new(Arc::clone(&self.shared))
    }

    /// Revokes a token, be it opaque or a JWT: from now on introspection says that it is not active. Whoever verifies
    /// the JWT by its signature does not learn of it.
    pub fn revoke(&self, token: &str) {
        self.shared.tokens.revoke(token);
    }

    /// The issuer's mint, with the keys of this moment: later rotations do not reach it.
    pub fn mint(&self) -> Mint {
        self.shared.mint()
    }

    /// The JWK Set that is published at this moment, as JSON.
    pub fn jwks_json(&self) -> String {
        self.mint().jwks_json()
    }
}

/// Rotation.
impl TestIssuer {
    /// Publishes fresh keys for the same algorithms and takes the old ones back at once, as after a compromise.
    pub async fn rotate(&self) {
        let fresh = fresh_keys(self.mint().keys().algorithms()).await;
        self.set_keys(fresh);
    }

    /// Publishes fresh keys for the same algorithms and signs with them, and leaves the old ones in the set, as in an
    /// orderly rotation. A test that wants the end of the overlap as well makes both sets itself, with
    /// [`SigningKeys::followed_by`] and [`set_keys`](Self::set_keys).
    pub async fn rotate_keeping_old(&self) {
        let old = self.mint().keys().clone();
        let fresh = fresh_keys(old.algorithms()).await;
        self.set_keys(fresh.followed_by(&old));
    }

    /// Publishes these keys in place of all others, and signs with them.
    pub fn set_keys(&self, keys: SigningKeys) {
        self.shared.set_keys(keys);
    }
}

/// Trouble. It comes over every endpoint unless its name says otherwise, begins with the next request and lasts until
/// [`recover`](TestIssuer::recover).
impl TestIssuer {
    /// Answers every request with 503, and no `Retry-After`.
    pub fn outage(&self) {
        self.shared.condition().failure = Some(Failure::Unavailable);
    }

    /// Closes the connection of every request without an answer.
    pub fn hang_up(&self) {
        self.shared.condition().failure = Some(Failure::HungUp);
    }

    /// Lets `delay` pass before every answer, by the issuer's clock: on a [`TestClock`](crate::TestClock) the answer
    /// comes when the test has advanced it so far, and not before.
    pub fn slow(&self, delay: Duration) {
        self.shared.condition().delay = delay;
    }

    /// Lets the introspection endpoint be in this trouble, in place of the one before; the other endpoints stay fine.
    ///
    /// # Panics
    ///
    /// When HTTP has no way to send what the trouble describes: a status that is not final or has not three digits, a
    /// URL or media type that is no header value. And when [`Claims`](IntrospectionTrouble::Claims) is no JSON object.
    pub fn break_introspection(&self, trouble: IntrospectionTrouble) {
        trouble.assert_possible();
        self.shared.condition().introspection = Some(trouble);
    }

    /// Ends outage, hanging up, slowness and the trouble of introspection. A request that is already delayed stays so.
    pub fn recover(&self) {
        *self.shared.condition() = Condition::default();
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuer")
            .field("mint", &self.mint())
            .field("condition", &*self.shared.condition())
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

/// Generates keys off the runtime's threads.
async fn fresh_keys(algorithms: Vec<SigningAlgorithm>) -> SigningKeys {
    match tokio::task::spawn_blocking(move || SigningKeys::generate(algorithms)).await {
        Ok(keys) => keys,
        Err(error) => panic!("no keys could be generated: {error}"),
    }
}
