//! The authorization server.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{Mint, Shape, SigningAlgorithm, SigningKeys, TokenBuilder};

mod assertion;
mod authentication;
mod beside;
mod builder;
mod clients;
mod condition;
mod form;
mod introspection;
mod metadata;
mod opaque;
mod proof;
mod recorded;
mod refusal;
mod responses;
mod revocation;
mod rotation;
mod server;
mod shared;
mod site;
mod token_endpoint;
mod tokens;
mod used_assertions;

pub use self::{
    builder::TestIssuerBuilder, condition::RequestCounts, introspection::IntrospectionTrouble,
    opaque::OpaqueTokenBuilder, recorded::RecordedRequest,
};
use self::{
    condition::{Condition, Failure},
    server::Listener,
    shared::Shared,
    site::Site,
};

/// An authorization server in the test's process, on a loopback port of its own.
///
/// | endpoint | path |
/// |---|---|
/// | OpenID Connect Discovery | `{issuer}/.well-known/openid-configuration` |
/// | [RFC 8414][metadata] metadata | `/.well-known/oauth-authorization-server{path}`, or `openid-configuration` there |
/// | JWK Set | `{issuer}/jwks.json` |
/// | token endpoint | `{issuer}/token`, for the client credentials grant |
/// | [introspection] | `{issuer}/introspect`, with [signed responses][signed] on request |
/// | [revocation] | `{issuer}/revoke` |
/// | rotation, of this crate alone | `{issuer}/rotate` |
///
/// [metadata]: https://www.rfc-editor.org/rfc/rfc8414#section-3
/// [introspection]: https://www.rfc-editor.org/rfc/rfc7662
/// [signed]: https://www.rfc-editor.org/rfc/rfc9701
/// [revocation]: https://www.rfc-editor.org/rfc/rfc7009
///
/// The token endpoint accepts [`Mint::CLIENT_ID`] with [`CLIENT_SECRET`](Self::CLIENT_SECRET), or the clients of
/// [`TestIssuerBuilder::client`]; it grants every legal `scope`, for every `resource` or `audience`:
///
/// ```text
/// curl -u test-client:test-secret -d grant_type=client_credentials -d scope=message http://127.0.0.1:PORT/token
/// ```
///
/// Three parameters are of this crate alone. `token_format=opaque` issues an opaque token; `shape` one of the [`Shape`]
/// of that [name](Shape::name), with the shape's subject and client; and `claims`, a JSON object, sets these claims
/// last, or removes those that are `null` in it. With a `DPoP` header, it binds the token to the key of that proof
/// ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449#section-5)), which it verifies except that a proof can be used
/// again; `iat` may be off by five minutes.
///
/// The introspection endpoint describes opaque tokens, and JWTs that the current keys signed, whatever their claims: to every
/// client with its credentials, and to every sender of an active access token as `Bearer`. Every client may revoke every
/// token. At these two endpoints a client may authenticate by an assertion ([RFC
/// 7523](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)), once each.
///
/// ```text
/// curl -u test-client:test-secret -d token=... http://127.0.0.1:PORT/introspect
/// ```
///
/// The rotation endpoint does what [`rotate`](Self::rotate) does, for a client that authenticates as for revocation,
/// and answers with the new JWK Set. With `-d keep_old=true`, the keys that have signed so far stay published, and
/// older ones do not.
///
/// Other paths are answered with 404, or by a service of the test's ([`serve_beside`](Self::serve_beside)).
///
/// It is for tests only: no TLS, no users, no consent, no rate limit, and public client secrets. It listens on 127.0.0.1,
/// which no setting changes, and answers 403 to a `POST` whose `Origin` is a web page that is not of this machine.
///
/// Dropping the value stops the server asynchronously; [`shutdown`](Self::shutdown) waits for that.
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
/// // `after` needs one more key fetch, and `before` is refused from then on. A service fetches keys at most once in 30 seconds:
/// // give both sides a `TestClock`, and advance it by 31.
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
    /// The secret of the default client, see [`TestIssuerBuilder::client`].
    pub const CLIENT_SECRET: &str = "test-secret";

    /// Starts an issuer with the defaults: no path, keys for `ES256` (which signs), `ES384` and `EdDSA`, and the operating
    /// system's clock.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled, and when no loopback port is available.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Configures an issuer before it starts.
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
        // The task was aborted, so it returns an error.
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

    /// The URL of the rotation endpoint.
    pub fn rotation_endpoint(&self) -> &str {
        &self.shared.site.rotation_endpoint
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.shared.counters.snapshot()
    }

    /// The last request to the introspection endpoint, answered or not.
    pub fn last_introspection(&self) -> Option<RecordedRequest> {
        self.shared.last_introspection().clone()
    }
}

/// Tokens, without HTTP.
impl TestIssuer {
    /// Starts an access token of [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068), valid unless changed.
    pub fn token(&self) -> TokenBuilder {
        self.mint().token()
    }

    /// Starts an ID token of the same issuer and keys, which a resource server must refuse.
    pub fn id_token(&self) -> TokenBuilder {
        self.mint().id_token()
    }

    /// Starts a token of the given shape.
    pub fn token_shaped(&self, shape: Shape) -> TokenBuilder {
        self.mint().token_shaped(shape)
    }

    /// Starts an opaque access token that the introspection endpoint knows, valid unless changed.
    pub fn opaque_token(&self) -> OpaqueTokenBuilder {
        OpaqueTokenBuilder::new(Arc::clone(&self.shared))
    }

    /// Revokes a token, opaque or a JWT: introspection reports it as inactive from now on. Services that verify the JWT
    /// locally do not notice.
    pub fn revoke(&self, token: &str) {
        self.shared.tokens.revoke(token);
    }

    /// The issuer's mint with the current keys: later rotations do not change it.
    pub fn mint(&self) -> Mint {
        self.shared.mint()
    }

    /// The JWK Set that is published now, as JSON.
    pub fn jwks_json(&self) -> String {
        self.mint().jwks_json()
    }
}

/// Rotation. Each method panics where the new keys cannot be written to the [file of
/// keys](TestIssuerBuilder::keys_file), if there is one.
impl TestIssuer {
    /// Publishes new keys for the same algorithms and removes the old ones at once, as after a compromise.
    pub async fn rotate(&self) {
        let fresh = fresh_keys(self.mint().keys().algorithms()).await;
        self.set_keys(fresh);
    }

    /// Publishes new keys for the same algorithms, signs with them, and keeps the old ones in the set, as in an orderly
    /// rotation. To test the end of the overlap, make both sets with [`SigningKeys::followed_by`] and
    /// [`set_keys`](Self::set_keys).
    pub async fn rotate_keeping_old(&self) {
        let old = self.mint().keys().clone();
        let fresh = fresh_keys(old.algorithms()).await;
        self.set_keys(fresh.followed_by(&old));
    }

    /// Publishes these keys in place of all others, and signs with them.
    pub fn set_keys(&self, keys: SigningKeys) {
        self.shared.set_keys(keys).unwrap_or_else(|error| panic!("the keys are not changed: {error}"));
    }
}

/// Faults. They affect every endpoint unless stated otherwise, begin with the next request, and last until
/// [`recover`](TestIssuer::recover).
impl TestIssuer {
    /// Answers every request with 503 and without `Retry-After`.
    pub fn outage(&self) {
        self.shared.condition().failure = Some(Failure::Unavailable);
    }

    /// Closes the connection of every request without a response.
    pub fn hang_up(&self) {
        self.shared.condition().failure = Some(Failure::HungUp);
    }

    /// Delays every response by `delay` on the issuer's clock: with a [`TestClock`](crate::TestClock), until the test has
    /// advanced it that far.
    pub fn slow(&self, delay: Duration) {
        self.shared.condition().delay = delay;
    }

    /// Gives the introspection endpoint this fault, in place of an earlier one; the other endpoints are not affected.
    ///
    /// # Panics
    ///
    /// When HTTP cannot express the fault: a status that is not final or does not have three digits, or a URL or media type
    /// that is not a legal header value. And when [`Claims`](IntrospectionTrouble::Claims) is not a JSON object.
    pub fn break_introspection(&self, trouble: IntrospectionTrouble) {
        trouble.assert_possible();
        self.shared.condition().introspection = Some(trouble);
    }

    /// Whether it answers: there is neither an [`outage`](Self::outage) nor does it [`hang_up`](Self::hang_up).
    pub fn is_up(&self) -> bool {
        self.shared.condition().failure.is_none()
    }

    /// Ends every fault. A request that is already delayed stays delayed.
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

/// Generates keys on a blocking thread.
async fn fresh_keys(algorithms: Vec<SigningAlgorithm>) -> SigningKeys {
    match tokio::task::spawn_blocking(move || SigningKeys::generate(algorithms)).await {
        Ok(keys) => keys,
        Err(error) => panic!("no keys could be generated: {error}"),
    }
}
