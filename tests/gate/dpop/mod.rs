//! RFC 9449: tokens that are bound to a key, and the proofs of it.

mod binding;
mod challenges;
mod forms;
mod freshness;
mod http2;
mod keys;
mod kinds;
mod layers;
mod nonces;
mod replay;
mod replicas;
mod routes;
mod schemes;
mod store;
mod target;

use std::{sync::LazyLock, time::Duration};

use scopegate_axum::{Issuer, ProtectedResource, ResourceServer, ResourceServerBuilder, dpop::Dpop};
use scopegate_testing::{DpopClient, Mint, ProofBuilder, SigningAlgorithm, SigningKey, TestClock};
use scopegate_tests::{Answer, Api, Ask, NOW, clock, issuer, jwt_cache, mint, resource_server};

/// Where clients reach the API of these tests.
const ORIGIN: &str = "https://api.example";

/// The protected resources of a server that has two.
const RESOURCES: [&str; 2] = ["https://api.example/r", "https://api.example/other"];

const SECOND: Duration = Duration::from_secs(1);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Es256));
static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Es256));

/// Settings with the public URL of the API.
fn dpop() -> Dpop {
    Dpop::new().public_url(ORIGIN)
}

/// An API with DPoP, a client, and a token that is bound to it.
struct Rig {
    clock: TestClock,
    mint: Mint,
    client: DpopClient,
    /// Another client.
    other: DpopClient,
    token: String,
    server: ResourceServer,
    api: Api,
}

impl Rig {
    async fn new() -> Self {
        Self::of(dpop()).await
    }

    /// With a token that is valid for two hours before and after [`NOW`].
    async fn with_lasting_token() -> Self {
        let mut rig = Self::new().await;
        let token = rig.mint.token().scope("messages:read").bound_to(&rig.client);
        rig.token = token.claim("iat", NOW - 7200).claim("exp", NOW + 7200).issue();
        rig
    }

    /// In front of two protected resources, at which the audiences of tokens are `https://api.example/r` and `…/other`.
    async fn with_two_resources() -> Self {
        let [one, other] = RESOURCES.map(ProtectedResource::new);
        let builder = ResourceServer::builder().jwt_cache(jwt_cache()).issuer(issuer()).dpop(dpop());
        Self::behind(clock(), builder.protected_resource(one).protected_resource(other)).await
    }

    async fn of(dpop: Dpop) -> Self {
        Self::with(|builder| builder.dpop(dpop)).await
    }

    async fn with(change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Self {
        Self::trusting(issuer(), change).await
    }

    async fn trusting(issuer: Issuer, change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Self {
        Self::behind(clock(), change(resource_server().issuer(issuer))).await
    }

    async fn behind(clock: TestClock, builder: ResourceServerBuilder) -> Self {
        let mint = mint().with_clock(clock.clone());
        let client = |key: &SigningKey| DpopClient::new(key.clone()).with_clock(clock.clone());
        let (client, other) = (client(&KEY), client(&OTHER_KEY));
        let server = builder.clock(clock.clone()).build().await.expect("good settings");
        let token = mint.token().scope("messages:read").bound_to(&client).issue();
        Self { api: Api::behind(server.clone()), clock, mint, client, other, token, server }
    }

    /// A good proof for `GET /me` with the token.
    fn proof(&self) -> ProofBuilder {
        self.proof_for("/me")
    }

    /// A good proof for a `GET` of this path with the token.
    fn proof_for(&self, path: &str) -> ProofBuilder {
        self.client.proof("GET", format!("{ORIGIN}{path}")).for_token(&self.token)
    }

    /// `GET /me` with the token and this proof.
    async fn send(&self, proof: impl AsRef<[u8]>) -> Answer {
        Ask::get("/me").dpop(&self.token, proof).of(&self.api.router).await
    }
}
