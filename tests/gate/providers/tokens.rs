//! For each issuer, the token of a machine and the ID token by the same keys, beside the user tokens of `providers`.

use http::Request;
use scopegate_testing::{Mint, Shape, SigningAlgorithm, SigningKeys};

use super::*;

/// Tokens of one issuer.
struct Tokens {
    provider: Provider,
    /// The token that a machine gets for itself.
    machine: Recorded,
    /// Its scope and its client.
    expected: (&'static str, Option<&'static str>),
    /// A token for clients, with this API as its audience; where an issuer signs no ID tokens, the most similar kind.
    id_token: Recorded,
}

/// Optional claims that only ID tokens have.
const MARKS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// The claims that every recorded token has.
fn recorded(typ: impl Into<Option<&'static str>>, issuer: &str, claims: Value) -> Recorded {
    Recorded::new(typ, json!({ "iss": issuer, "aud": AUDIENCE })).with(claims)
}

fn tokens(name: &'static str) -> Tokens {
    const AT_JWT: Option<&str> = Some("at+jwt");
    const JWT: Option<&str> = Some("JWT");
    const V2: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
    const V1: &str = "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/";

    let as_rfc9068 = json!({ "sub": "batch", "client_id": "batch", "jti": "1", "scope": "orders:read" });
    let of_a_user = json!({ "sub": "u", "auth_time": NOW - 5, "sid": "s", "nonce": "n", "at_hash": "h", "acr": "0", "amr": ["pwd"] });
    let orders = ("orders:read", Some("batch"));
    let (issuer, (access, machine), expected, (id, id_token)) = match name {
        "rfc9068" => ("https://as.example", (AT_JWT, as_rfc9068), orders, (JWT, of_a_user)),
        "auth0" => (
            "https://tenant.eu.auth0.com/",
            (JWT, json!({ "sub": "batch@clients", "azp": "batch", "gty": "client-credentials" })),
            ("", Some("batch")),
            (
                JWT,
                json!({ "sub": "auth0|5", "nickname": "ada", "name": "Ada", "email": "ada@example.com", "updated_at": "2026-01-01T00:00:00Z", "sid": "s", "nonce": "n" }),
            ),
        ),
        "auth0-rfc9068" => (
            "https://tenant.eu.auth0.com/",
            (
                AT_JWT,
                json!({ "sub": "batch@clients", "client_id": "batch", "jti": "1", "permissions": ["orders:read"] }),
            ),
            ("", Some("batch")),
            (JWT, json!({ "sub": "auth0|5", "name": "Ada", "sid": "s", "nonce": "n" })),
        ),
        // There is no ID token by these keys; the token of the global session is the most similar.
        "cloudflare-access" => (
            "https://team.cloudflareaccess.com",
            (JWT, json!({ "aud": [AUDIENCE], "type": "app", "sub": "", "common_name": "e367826f.access" })),
            ("", Some("e367826f.access")),
            (JWT, json!({ "type": "org", "sub": "u", "email": "ada@example.com", "identity_nonce": "x" })),
        ),
        "cognito" => (
            "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example",
            (
                None,
                json!({ "aud": LEFT_OUT, "sub": "batch", "client_id": "batch", "token_use": "access", "scope": "api/read", "version": 2, "jti": "1" }),
            ),
            ("api/read", Some("batch")),
            (
                None,
                json!({ "sub": "u", "token_use": "id", "cognito:username": "ada", "auth_time": NOW - 5, "event_id": "e", "jti": "1", "at_hash": "h", "email": "ada@example.com" }),
            ),
        ),
        // Every token is a machine's; one of another use of the issuer has no repository.
        "dangerous-github-actions" => (
            "https://token.actions.githubusercontent.com",
            (
                JWT,
                json!({ "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "repository_id": "74", "jti": "1", "nbf": NOW }),
            ),
            ("", None),
            (JWT, json!({ "sub": "enterprise:octo", "jti": "1", "nbf": NOW })),
        ),
        "duende" => (
            "https://identity.example",
            (AT_JWT, json!({ "client_id": "batch", "scope": ["orders:read"], "jti": "1", "nbf": NOW })),
            orders,
            (
                JWT,
                json!({ "sub": "818727", "amr": ["pwd"], "nonce": "n", "at_hash": "h", "sid": "s", "auth_time": NOW - 5, "idp": "local" }),
            ),
        ),
        "entra-v1" => (
            V1,
            (
                JWT,
                json!({ "appid": "batch", "appidacr": "1", "oid": "7a7a", "sub": "7a7a", "tid": TENANT, "roles": ["orders:read"], "ver": "1.0" }),
            ),
            ("", Some("batch")),
            (
                JWT,
                json!({ "oid": "690222be", "sub": "HKZpfaHy", "tid": TENANT, "roles": ["admin"], "upn": "ada@example.com", "nonce": "n", "ver": "1.0", "appid": "app" }),
            ),
        ),
        "entra-v2" => (
            V2,
            (
                JWT,
                json!({ "azp": "batch", "azpacr": "1", "oid": "7a7a", "sub": "7a7a", "tid": TENANT, "roles": ["orders:read"], "ver": "2.0" }),
            ),
            ("", Some("batch")),
            (
                JWT,
                json!({ "oid": "690222be", "sub": "HKZpfaHy", "tid": TENANT, "roles": ["admin"], "preferred_username": "ada@example.com", "nonce": "n", "ver": "2.0", "azp": "app" }),
            ),
        ),
        "genauth" => (
            "https://steam-talk.genauth.ai/oidc",
            (JWT, json!({ "jti": "1", "azp": "batch", "scope": "orders:read" })),
            orders,
            (JWT, json!({ "sub": "u", "nonce": "n", "at_hash": "h", "email": "ada@example.com" })),
        ),
        "google" => (
            "https://accounts.google.com",
            (
                JWT,
                json!({ "azp": "104029292853099978293", "sub": "104029292853099978293", "email": "caller@project.iam.gserviceaccount.com" }),
            ),
            ("", Some("104029292853099978293")),
            (
                JWT,
                json!({ "azp": "app", "sub": "104029292853099978293", "nonce": "n", "at_hash": "h", "hd": "example.com" }),
            ),
        ),
        "kanidm" => (
            "https://idm.example/oauth2/openid/shop",
            (AT_JWT, as_rfc9068),
            orders,
            (JWT, json!({ "sub": "u", "nonce": "n", "at_hash": "h", "azp": "shop", "amr": ["pwd"], "jti": "1" })),
        ),
        "keycloak" => (
            "https://sso.example/realms/shop",
            (
                JWT,
                json!({ "aud": [AUDIENCE, "account"], "jti": "trrtcc:5bd9", "sub": "3d2a", "typ": "Bearer", "azp": "batch", "scope": "orders:read", "preferred_username": "service-account-batch", "client_id": "batch", "clientHost": "10.0.0.1" }),
            ),
            orders,
            (
                JWT,
                json!({ "jti": "5f0d", "sub": "9d1e", "typ": "ID", "azp": AUDIENCE, "auth_time": NOW - 5, "nonce": "0f9b", "at_hash": "h", "acr": "1", "sid": "s" }),
            ),
        ),
        // Every token is a machine's; the legacy token of a secret is the other kind.
        "kubernetes" => (
            "https://kubernetes.default.svc.cluster.local",
            (
                None,
                json!({ "kubernetes.io": { "namespace": "shop" }, "sub": "system:serviceaccount:shop:web", "nbf": NOW }),
            ),
            ("", None),
            (
                None,
                json!({ "kubernetes.io/serviceaccount/namespace": "shop", "sub": "system:serviceaccount:shop:web" }),
            ),
        ),
        "logto" => (
            "https://tenant.logto.example/oidc",
            (AT_JWT, as_rfc9068),
            orders,
            (JWT, json!({ "sub": "foo", "at_hash": "h", "nonce": "n", "username": "ada", "roles": ["admin"] })),
        ),
        "node-oidc-provider" => (
            "https://op.example",
            (AT_JWT, as_rfc9068),
            orders,
            (JWT, json!({ "sub": "u", "nonce": "n", "at_hash": "h", "sid": "s" })),
        ),
        "okta" => (
            "https://org.okta.example/oauth2/default",
            (None, json!({ "ver": 1, "jti": "AT.1", "cid": "batch", "scp": ["orders:read"], "sub": "batch" })),
            orders,
            (
                None,
                json!({ "ver": 1, "jti": "ID.1", "sub": "00u", "amr": ["pwd"], "idp": "00o", "nonce": "n", "at_hash": "h", "auth_time": NOW - 5, "groups": ["admin"] }),
            ),
        ),
        "ory-hydra" => (
            "https://hydra.example/",
            (
                JWT,
                json!({ "client_id": "batch", "ext": {}, "jti": "1", "nbf": NOW, "scp": ["orders:read"], "sub": "batch" }),
            ),
            orders,
            (
                JWT,
                json!({ "at_hash": "h", "auth_time": NOW - 5, "jti": "1", "rat": NOW - 9, "sid": "s", "sub": "u", "nonce": "n" }),
            ),
        ),
        "pingone" => (
            "https://auth.pingone.eu/8be2b9c5/as",
            (None, json!({ "client_id": "batch", "scope": "orders:read", "env": "8be2b9c5", "org": "o" })),
            orders,
            (
                None,
                json!({ "sub": "u", "env": "8be2b9c5", "org": "o", "nonce": "n", "at_hash": "h", "acr": "Single_Factor", "auth_time": NOW - 5 }),
            ),
        ),
        "spring-authorization-server" => (
            "https://auth.example",
            (None, json!({ "sub": AUDIENCE, "nbf": NOW, "scope": ["orders:read"], "jti": "1" })),
            ("orders:read", Some(AUDIENCE)),
            (
                None,
                json!({ "sub": "user1", "azp": AUDIENCE, "auth_time": NOW - 5, "sid": "s", "nonce": "n", "jti": "1" }),
            ),
        ),
        "zitadel" => (
            "https://instance.eu1.zitadel.example",
            (JWT, json!({ "sub": "1654", "azp": "batch", "client_id": "batch", "nbf": NOW, "jti": "1" })),
            ("", Some("batch")),
            (
                JWT,
                json!({ "sub": "1654", "azp": "app", "client_id": "app", "amr": ["pwd"], "auth_time": NOW - 5, "nonce": "n", "at_hash": "h" }),
            ),
        ),
        other => panic!("{other} has no tokens here; add what its issuer sends to a machine, and its ID token"),
    };
    Tokens {
        provider: Provider { issuer, name },
        machine: recorded(access, issuer, machine),
        expected,
        id_token: recorded(id, issuer, id_token),
    }
}

impl Tokens {
    /// The issuer with the settings that its profile requires.
    fn issuer(&self, profile: Profile) -> Issuer {
        let issuer = issuer(self.provider.issuer, profile);
        match self.provider.name {
            "cognito" => issuer.dangerous_waive_audience().authorized_parties(["batch"]),
            "google" => issuer.authorized_parties(["104029292853099978293", "app"]),
            _ => issuer,
        }
    }
}

#[tokio::test]
async fn at_2_every_profile_accepts_the_token_of_a_machine() {
    for name in Profile::names() {
        let tokens = tokens(name);
        let seen = judged(tokens.issuer(tokens.provider.profile()), &tokens.machine).await;
        let seen = seen.unwrap_or_else(|reason| panic!("{name}: {reason:?}"));
        assert_eq!((seen.scope.as_str(), seen.client.as_deref()), tokens.expected, "{name}");
    }
}

#[tokio::test]
async fn jwt_11_every_profile_refuses_the_id_token_of_its_issuer() {
    for name in Profile::names() {
        let tokens = tokens(name);
        let mut unmarked = tokens.id_token.clone();
        unmarked.claims.as_object_mut().expect("claims").retain(|claim, _| !MARKS.contains(&claim.as_str()));
        for id_token in [&tokens.id_token, &unmarked] {
            let judged = judged(tokens.issuer(tokens.provider.profile()), id_token).await;
            assert_eq!(judged, Err(Reason::WrongTokenType), "{name}: {}", id_token.claims);
        }
    }
}

#[tokio::test]
async fn at_2_no_scope_claim_lets_an_id_token_pass() {
    let rights =
        json!({ "roles": ["admin"], "groups": ["admin"], "rights": ["admin"], "name": "admin", "email": "admin" });
    for name in Profile::names() {
        let tokens = tokens(name);
        let with_rights = tokens.id_token.with(rights.clone());
        let unmarked = with_rights.with(json!({ "nonce": LEFT_OUT, "at_hash": LEFT_OUT }));
        for claim in ["roles", "groups", "rights", "name", "email", "sub", "aud", "amr"] {
            let profile = tokens.provider.profile().scope_claim(ScopeClaim::string_or_array(claim));
            for id_token in [&with_rights, &unmarked] {
                let judged = judged(tokens.issuer(profile.clone()), id_token).await;
                assert_eq!(judged, Err(Reason::WrongTokenType), "{name}, {claim}: {}", id_token.claims);
            }
        }
    }
}

/// What the test kit writes for an issuer is what its profile accepts, with the scope where that issuer has it.
#[tokio::test]
async fn at_2_tokens_of_the_test_kit_are_as_their_issuers_write_them() {
    for (shape, profile) in [
        (Shape::Auth0, Profile::auth0()),
        (Shape::Cognito, Profile::cognito()),
        (Shape::EntraV2, Profile::entra_v2()),
        (Shape::GenAuthUser, Profile::genauth()),
        (Shape::Keycloak, Profile::keycloak()),
        (Shape::Okta, Profile::okta()),
        (Shape::Rfc9068, Profile::rfc9068()),
    ] {
        let tenant = if shape == Shape::EntraV2 { "/00000000-0000-4000-8000-000000000002/v2.0" } else { "" };
        let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
        let mint = Mint::new(format!("https://as.example{tenant}"), keys);
        let issuer = Issuer::with_jwks(mint.issuer(), mint.jwks_json()).profile(profile);
        let issuer = match shape {
            Shape::Cognito => issuer.dangerous_waive_audience().authorized_parties([Mint::CLIENT_ID, "another"]),
            _ => issuer,
        };
        let server = ResourceServer::builder().issuer(issuer).audience(Mint::AUDIENCE).build().await;
        let server = server.expect("good settings");
        let judged = async |token: TokenBuilder| {
            let request = Request::get("/").header("authorization", format!("Bearer {}", token.issue())).body(());
            let authentication = server.authenticate(&request.expect("a request")).await;
            authentication.map(|authentication| authentication.token().expect("a token").clone())
        };
        let scoped = judged(mint.token_shaped(shape).scope("orders:read orders:write")).await;
        let scoped = scoped.unwrap_or_else(|error| panic!("{shape:?}: {error}"));
        assert_eq!(scoped.scope().iter().collect::<Vec<_>>(), ["orders:read", "orders:write"], "{shape:?}");
        assert_eq!(scoped.subject(), Some(Mint::SUBJECT), "{shape:?}");
        let untouched = judged(mint.token_shaped(shape)).await;
        assert!(untouched.is_ok(), "{shape:?}: {untouched:?}");
        let id_token = judged(mint.id_token().audience(Mint::AUDIENCE)).await.map_err(|error| error.reason());
        assert!(matches!(id_token, Err(Reason::WrongTokenType | Reason::MissingClaim)), "{shape:?}: {id_token:?}");
    }
}
