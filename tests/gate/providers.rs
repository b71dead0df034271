//! Tokens of known authorization servers, one test per provider. With its profile, a token passes with its scopes, client and
//! audience; with the strict default, it is refused as its form predicts; and other tokens of the issuer are refused by the
//! profile, with and without their marks.
//!
//! Headers and claims are from the vendors' documentation; the keys are the tests' own.

use http::HeaderName;
use scopegate_axum::{
    Issuer, RequireScope, ResourceServer,
    introspection::{ClientAuthentication, Introspection},
    jwt::Profile,
};
use scopegate_core::{
    Reason,
    jwt::{Evidence, ScopeClaim},
};
use scopegate_testing::TokenBuilder;
use scopegate_tests::{AUDIENCE, Api, Ask, NOW, Network, Reply, clock, mint};
use serde_json::{Value, json};

use crate::jose::judge;

mod tokens;

/// Stands for a time that a token does not have.
const LEFT_OUT: &str = "left out";

/// A recorded token: the `typ` of its header, and its claims without the times.
#[derive(Clone)]
struct Recorded {
    typ: Option<&'static str>,
    claims: Value,
}

impl Recorded {
    fn new(typ: impl Into<Option<&'static str>>, claims: Value) -> Self {
        Self { typ: typ.into(), claims }
    }

    /// The same with some claims changed.
    fn with(&self, changes: Value) -> Self {
        let mut changed = self.clone();
        let (Some(claims), Value::Object(changes)) = (changed.claims.as_object_mut(), changes) else {
            panic!("claims are objects")
        };
        claims.extend(changes);
        changed
    }

    fn without(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.claims.as_object_mut().and_then(|claims| claims.remove(name)).expect("a claim to leave out");
        changed
    }

    fn typed(&self, typ: impl Into<Option<&'static str>>) -> Self {
        Self { typ: typ.into(), ..self.clone() }
    }

    /// The token, signed with a test key and valid for five minutes.
    fn minted(&self) -> TokenBuilder {
        let mut claims = self.claims.clone();
        let members = claims.as_object_mut().expect("claims are an object");
        for (name, time) in [("iat", NOW), ("exp", NOW + 300)] {
            members.entry(name).or_insert(time.into());
        }
        members.retain(|_, value| *value != LEFT_OUT);
        let token = mint().token().raw_payload(claims.to_string());
        match self.typ {
            Some(typ) => token.typ(typ),
            None => token.without_typ(),
        }
    }
}

/// The result of a token.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    scope: String,
    subject: Option<String>,
    client: Option<String>,
    audience: Vec<String>,
}

fn seen(scope: &str, subject: impl Into<Option<&'static str>>, client: impl Into<Option<&'static str>>) -> Seen {
    Seen {
        scope: scope.to_owned(),
        subject: subject.into().map(str::to_owned),
        client: client.into().map(str::to_owned),
        audience: vec![AUDIENCE.to_owned()],
    }
}

/// An issuer with the test keys.
fn issuer(identifier: &str, profile: Profile) -> Issuer {
    Issuer::with_jwks(identifier, mint().jwks_json()).audiences([AUDIENCE]).profile(profile)
}

async fn resource_server(issuer: Issuer) -> ResourceServer {
    ResourceServer::builder().issuer(issuer).clock(clock()).build().await.expect("good settings")
}

/// The result of a token at a resource server with this issuer.
async fn judged(issuer: Issuer, token: &Recorded) -> Result<Seen, Reason> {
    match judge(&resource_server(issuer).await, token.minted().issue()).await {
        Ok(token) => {
            let token = token.expect("a token");
            Ok(Seen {
                scope: token.scope().to_string(),
                subject: token.subject().map(str::to_owned),
                client: token.client_id().map(str::to_owned),
                audience: token.audience().map(str::to_owned).collect(),
            })
        }
        Err(error) => Err(error.reason()),
    }
}

/// One provider: its issuer and the name of its profile.
struct Provider {
    issuer: &'static str,
    name: &'static str,
}

impl Provider {
    fn profile(&self) -> Profile {
        Profile::by_name(self.name).expect("a name of a profile")
    }

    fn issuer(&self) -> Issuer {
        issuer(self.issuer, self.profile())
    }

    /// The result with the provider's profile.
    async fn judge(&self, token: &Recorded) -> Result<Seen, Reason> {
        judged(self.issuer(), token).await
    }

    /// The result with the strict default.
    async fn strictly(&self, token: &Recorded) -> Result<Seen, Reason> {
        judged(issuer(self.issuer, Profile::rfc9068()), token).await
    }

    /// Asserts that the profile refuses other kinds of tokens as what they are.
    async fn assert_other_kinds<'t>(&self, others: impl IntoIterator<Item = &'t Recorded>) {
        for other in others {
            assert_eq!(self.judge(other).await, Err(Reason::WrongTokenType), "{}", other.claims);
        }
    }
}

const STRICT: Result<Seen, Reason> = Err(Reason::WrongTokenType);

#[tokio::test]
async fn at_2_auth0() {
    let auth0 = Provider { issuer: "https://tenant.eu.auth0.com/", name: "auth0" };
    let token = Recorded::new(
        "JWT",
        json!({
            "iss": auth0.issuer,
            "sub": "auth0|507f1f77bcf86cd799439020",
            "aud": [AUDIENCE, "https://tenant.eu.auth0.com/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile read:admin",
            "permissions": ["delete:everything"],
        }),
    );
    let mut expected = seen("openid profile read:admin", "auth0|507f1f77bcf86cd799439020", "my_client_id");
    expected.audience.push("https://tenant.eu.auth0.com/userinfo".to_owned());
    assert_eq!(auth0.judge(&token).await, Ok(expected));
    assert_eq!(auth0.strictly(&token).await, STRICT);

    let id_token = Recorded::new(
        "JWT",
        json!({ "iss": auth0.issuer, "sub": "auth0|5", "aud": AUDIENCE, "azp": "my_client_id", "sid": "s", "nonce": "n" }),
    );
    auth0
        .assert_other_kinds([
            &id_token,
            &id_token.without("nonce"),
            &token.with(json!({ "nonce": "n" })),
            &token.typed("at+jwt"),
            &token.without("scope").without("permissions"),
        ])
        .await;
    assert_eq!(auth0.judge(&token.without("azp")).await, Err(Reason::MissingClaim));
    let without_slash = token.with(json!({ "iss": "https://tenant.eu.auth0.com" }));
    assert_eq!(auth0.judge(&without_slash).await, Err(Reason::UnknownIssuer));
}

#[tokio::test]
async fn at_2_auth0_token_without_scope_is_accepted_and_grants_nothing() {
    let auth0 = Provider { issuer: "https://acme.eu.example/", name: "auth0" };
    let machine = Recorded::new(
        "JWT",
        json!({ "iss": auth0.issuer, "sub": "abc@clients", "aud": AUDIENCE, "azp": "abc", "gty": "client-credentials" }),
    );
    let routes = |server: ResourceServer| {
        let handler = || axum::routing::get(|_: scopegate_axum::AccessToken| async {});
        axum::Router::new()
            .route("/any", handler())
            .route("/message", handler().layer(RequireScope::new("message")))
            .layer(scopegate_axum::Authenticate::new(server))
    };
    let api = routes(resource_server(auth0.issuer()).await);
    let token = machine.minted().issue();
    Ask::get("/any").bearer(&token).of(&api).await.assert_pass();
    Ask::get("/message").bearer(&token).of(&api).await.assert_403("message");

    // Where configured, `permissions` are the scopes, and they are evidence of an access token in any case.
    let user = machine.without("gty").with(json!({ "sub": "auth0|1", "permissions": ["message"] }));
    Ask::get("/any").bearer(user.minted().issue()).of(&api).await.assert_pass();
    Ask::get("/message").bearer(user.minted().issue()).of(&api).await.assert_403("message");
    let profile = || auth0.profile().scope_claim(ScopeClaim::string_or_array("permissions"));
    let by_permissions = routes(resource_server(issuer(auth0.issuer, profile())).await);
    Ask::get("/message").bearer(user.minted().issue()).of(&by_permissions).await.assert_pass();
    Ask::get("/any").bearer(token).of(&by_permissions).await.assert_pass();

    for nothing in [json!([]), json!({}), json!(null), json!(true), json!("")] {
        let user = user.with(json!({ "permissions": nothing, "gty": "" }));
        assert_eq!(auth0.judge(&user).await, Err(Reason::WrongTokenType), "{nothing}");
    }
}

#[tokio::test]
async fn at_2_a_chosen_scope_claim_is_evidence_under_three_names_only() {
    let name_of_issuer = format!("https://sts.windows.net/{TENANT}/");
    let claims =
        json!({ "sub": "u", "jti": "1", "azp": "c", "client_id": "c", "appid": "c", "cid": "c", "tid": TENANT });
    let token = Recorded::new(None, claims).with(json!({ "iss": name_of_issuer, "aud": AUDIENCE }));
    for (name, typ, sign) in [
        ("auth0", Some("JWT"), "scope"),
        ("entra-v1", Some("JWT"), "scp"),
        ("entra-v2", Some("JWT"), "scp"),
        ("genauth", Some("JWT"), "scope"),
        ("okta", None, "scp"),
        ("ory-hydra", Some("JWT"), "scp"),
        ("pingone", None, "scope"),
        ("spring-authorization-server", None, "scope"),
    ] {
        let token = token.typed(typ);
        let chosen = |claim: &'static str| {
            let profile = Profile::by_name(name).expect("a profile").scope_claim(ScopeClaim::array(claim));
            issuer(&name_of_issuer, profile)
        };
        for known in ["scope", "scp", "permissions"] {
            let token = token.with(json!({ known: ["message"] }));
            assert_eq!(judged(chosen(known), &token).await.expect(name).scope, "message", "{name}: {known}");
        }
        for other in ["rights", "groups", "https://ns.example/scope"] {
            let token = token.with(json!({ other: ["message"] }));
            assert_eq!(judged(chosen(other), &token).await, Err(Reason::WrongTokenType), "{name}: {other}");
            // With the provider's own evidence, the token grants scopes.
            let token = token.with(json!({ sign: "x" }));
            assert_eq!(judged(chosen(other), &token).await.expect(name).scope, "message", "{name}: {other}");
        }
    }
}

#[tokio::test]
async fn at_1_auth0_in_the_dialect_of_rfc_9068() {
    let auth0 = Provider { issuer: "https://tenant.eu.auth0.com/", name: "auth0-rfc9068" };
    let token = Recorded::new(
        "at+jwt",
        json!({
            "iss": auth0.issuer,
            "sub": "auth0|507f1f77bcf86cd799439020",
            "aud": AUDIENCE,
            "client_id": "my_client_id",
            "jti": "73WakrfVbNJBaAmhQtEeDv",
            "scope": "read:admin",
        }),
    );
    let expected = || seen("read:admin", "auth0|507f1f77bcf86cd799439020", "my_client_id");
    assert_eq!(auth0.judge(&token).await, Ok(expected()));
    assert_eq!(auth0.strictly(&token).await, Ok(expected()), "it is the strict default");
    auth0.assert_other_kinds([&token.typed("JWT"), &token.typed(None)]).await;
}

#[tokio::test]
async fn scope_6_okta() {
    let okta = Provider { issuer: "https://org.okta.example/oauth2/default", name: "okta" };
    let token = Recorded::new(
        None,
        json!({
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": okta.issuer,
            "aud": AUDIENCE,
            "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ujmkLgagxeRrAg20g3",
            "scp": ["openid", "custom"],
            "sub": "john.doe@example.com",
        }),
    );
    assert_eq!(okta.judge(&token).await, Ok(seen("custom openid", "john.doe@example.com", "nmdP1fcyvdVO11AL7ECm")));
    assert_eq!(okta.strictly(&token).await, STRICT);

    let id_token = Recorded::new(
        None,
        json!({ "ver": 1, "jti": "ID.x", "iss": okta.issuer, "aud": AUDIENCE, "sub": "00u", "amr": ["pwd"], "nonce": "n" }),
    );
    okta.assert_other_kinds([
        &id_token,
        &id_token.without("nonce"),
        &id_token.without("nonce").with(json!({ "cid": "c" })),
    ])
    .await;
    assert_eq!(okta.judge(&token.without("cid").with(json!({ "client_id": "c" }))).await, Err(Reason::MissingClaim));
    assert_eq!(okta.judge(&token.with(json!({ "scp": "openid custom" }))).await, Err(Reason::MalformedClaim));
    assert_eq!(okta.judge(&token.with(json!({ "scp": ["a b"] }))).await, Err(Reason::MalformedClaim));
    let both = okta.judge(&token.with(json!({ "scope": "admin" }))).await.expect("good");
    assert_eq!(both.scope, "custom openid", "two claims are never united");
}

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn entra_v2() -> (Provider, Recorded) {
    let entra = Provider {
        issuer: "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        name: "entra-v2",
    };
    let token = Recorded::new(
        "JWT",
        json!({
            "aud": AUDIENCE,
            "iss": entra.issuer,
            "nbf": NOW,
            "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "azpacr": "0",
            "name": "Abe Lincoln",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "rh": "I",
            "scp": "access_as_user files.read",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": TENANT,
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
            "roles": ["admin"],
        }),
    );
    (entra, token)
}

#[tokio::test]
async fn at_2_entra_v2() {
    let (entra, token) = entra_v2();
    let subject = "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ";
    let expected = seen("access_as_user files.read", subject, "6e74172b-be56-4843-9ff4-e66a39bb12e3");
    assert_eq!(entra.judge(&token).await, Ok(expected));
    assert_eq!(entra.strictly(&token).await, STRICT);

    let id_token = token.without("scp").without("azp").with(json!({ "nonce": "n", "at_hash": "h" }));
    let without_marks = id_token.without("nonce").without("at_hash");
    entra.assert_other_kinds([&id_token, &without_marks, &without_marks.with(json!({ "azp": "6e74172b" }))]).await;
    assert_eq!(entra.judge(&token.without("azp").with(json!({ "appid": "x" }))).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn jwt_1_the_tenant_of_an_entra_token_agrees_with_its_issuer() {
    let (entra, token) = entra_v2();
    for (tid, reason) in [
        (json!("common"), Reason::MalformedClaim),
        (json!(""), Reason::MalformedClaim),
        (json!(null), Reason::MalformedClaim),
        (json!([TENANT]), Reason::MalformedClaim),
        (json!("9188040d-6c67-4c5b-b112-36a304b66dad"), Reason::UnknownIssuer),
    ] {
        assert_eq!(entra.judge(&token.with(json!({ "tid": tid }))).await, Err(reason), "{tid}");
    }
    assert_eq!(entra.judge(&token.without("tid")).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn at_6_roles_of_entra_are_no_scopes_and_no_evidence() {
    let (entra, token) = entra_v2();
    let app_only = token.without("scp").with(json!({ "oid": "o", "sub": "s" }));
    assert_eq!(entra.judge(&app_only).await, Err(Reason::WrongTokenType), "an ID token has roles, too");
    let with_idtyp = app_only.with(json!({ "idtyp": "app" }));
    let expected = || seen("", "s", "6e74172b-be56-4843-9ff4-e66a39bb12e3");
    assert_eq!(entra.judge(&with_idtyp).await, Ok(expected()), "the optional claim says what it is");
    assert_eq!(entra.judge(&app_only.with(json!({ "idtyp": "user" }))).await, Err(Reason::WrongTokenType));

    let daemon = app_only.with(json!({ "sub": "o" }));
    let own_subject = Seen { subject: Some("o".to_owned()), ..expected() };
    assert_eq!(entra.judge(&daemon).await, Ok(own_subject), "of a user `oid` and `sub` differ");
    for other in [json!({ "oid": "" }), json!({ "oid": "O" }), json!({ "oid": ["o"] }), json!({ "oid": LEFT_OUT })] {
        assert_eq!(entra.judge(&daemon.with(other.clone())).await, Err(Reason::WrongTokenType), "{other}");
    }

    // Scopes from roles are not evidence.
    let reading_roles = || issuer(entra.issuer, entra.profile().scope_claim(ScopeClaim::array("roles")));
    assert_eq!(judged(reading_roles(), &app_only).await, Err(Reason::WrongTokenType));
    assert_eq!(judged(reading_roles(), &with_idtyp).await, Ok(Seen { scope: "admin".to_owned(), ..expected() }));
}

#[tokio::test]
async fn at_2_entra_v1() {
    let entra = Provider { issuer: "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/", name: "entra-v1" };
    let token = Recorded::new(
        "JWT",
        json!({
            "aud": AUDIENCE,
            "iss": entra.issuer,
            "nbf": NOW,
            "acr": "1",
            "amr": ["pwd"],
            "appid": "75dbe77f-10a3-4e59-85fd-8c127544f17c",
            "appidacr": "0",
            "oid": "a3bf6a7e-c3c4-42a5-b3a1-5d9e2e2b6b6c",
            "scp": "user_impersonation",
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "tid": TENANT,
            "uti": "5O3KGbNmT0-Wd5sQ-zMAAA",
            "ver": "1.0",
        }),
    );
    let subject = "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA";
    let expected = seen("user_impersonation", subject, "75dbe77f-10a3-4e59-85fd-8c127544f17c");
    assert_eq!(entra.judge(&token).await, Ok(expected));
    assert_eq!(entra.strictly(&token).await, STRICT);

    let id_token = token.without("scp").without("appid").with(json!({ "nonce": "n" }));
    entra.assert_other_kinds([&id_token, &id_token.without("nonce")]).await;
    assert_eq!(entra.judge(&token.without("appid").with(json!({ "azp": "x" }))).await, Err(Reason::MissingClaim));
}

fn keycloak() -> (Provider, Recorded) {
    let keycloak = Provider { issuer: "https://sso.example/realms/shop", name: "keycloak" };
    let token = Recorded::new(
        "JWT",
        json!({
            "jti": "onrtac:5bd9a3c0-2f0c-4d3b-9d4e-0f6d0b0f9f6e",
            "iss": keycloak.issuer,
            "aud": [AUDIENCE, "account"],
            "sub": "3d2a1b0c-8f5e-4c9a-9b6d-1e2f3a4b5c6d",
            "typ": "Bearer",
            "azp": "web",
            "sid": "s",
            "acr": "1",
            "realm_access": { "roles": ["admin", "offline_access"] },
            "resource_access": { "account": { "roles": ["manage-account"] } },
            "scope": "openid email orders:read",
        }),
    );
    (keycloak, token)
}

#[tokio::test]
async fn at_2_keycloak() {
    let (keycloak, token) = keycloak();
    let expected = || Seen {
        audience: vec![AUDIENCE.to_owned(), "account".to_owned()],
        ..seen("email openid orders:read", "3d2a1b0c-8f5e-4c9a-9b6d-1e2f3a4b5c6d", "web")
    };
    assert_eq!(keycloak.judge(&token).await, Ok(expected()));
    assert_eq!(keycloak.judge(&token.typed("at+jwt")).await, Ok(expected()), "by the client's switch");
    assert_eq!(keycloak.strictly(&token).await, STRICT);
    assert_eq!(keycloak.strictly(&token.typed("at+jwt")).await, Err(Reason::MissingClaim), "client_id");

    let with_nonce = token.with(json!({ "nonce": "0f9b", "auth_time": NOW - 5, "session_state": "77ab" }));
    for typ in ["JWT", "at+jwt"] {
        assert_eq!(keycloak.judge(&with_nonce.typed(typ)).await, Ok(expected()), "it repeats the nonce");
        assert_eq!(keycloak.judge(&with_nonce.typed(typ).with(json!({ "at_hash": "h" }))).await, Ok(expected()));
    }
    keycloak
        .assert_other_kinds([
            &with_nonce.with(json!({ "typ": "ID" })),
            &with_nonce.without("typ"),
            &with_nonce.with(json!({ "events": {} })),
        ])
        .await;

    for kind in ["ID", "Refresh", "Offline", "Logout", "bearer", "Serialized-ID", ""] {
        for typ in ["JWT", "at+jwt"] {
            keycloak.assert_other_kinds([&token.with(json!({ "typ": kind })).typed(typ)]).await;
        }
    }
    let id_token = token.with(json!({ "aud": AUDIENCE, "typ": "ID", "nonce": "n", "at_hash": "h" })).without("scope");
    let unmarked = id_token.without("nonce").without("at_hash");
    keycloak.assert_other_kinds([&id_token, &unmarked, &unmarked.without("typ"), &token.without("typ")]).await;
    assert_eq!(keycloak.judge(&token.with(json!({ "aud": "account" }))).await, Err(Reason::WrongAudience));
    assert_eq!(keycloak.judge(&token.without("aud")).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn intro_15_keycloak_nonce_is_no_mark_under_instead() {
    const ENDPOINT: &str = "https://sso.example/introspect";
    let (keycloak, token) = keycloak();
    let network = Network::new(&clock());
    network.put(ENDPOINT, Reply::json(json!({ "active": true, "sub": "u", "aud": AUDIENCE, "client_id": "web" })));
    let asked = || Introspection::at(ENDPOINT, ClientAuthentication::client_secret_basic("api", "s3cret"));
    for (profile, is_accepted) in [(keycloak.profile(), true), (Profile::rfc9068(), false)] {
        let trusted = Issuer::introspected(keycloak.issuer, asked()).audiences([AUDIENCE]).profile(profile);
        let server = ResourceServer::builder().issuer(trusted).clock(clock()).fetch(network.clone()).build().await;
        let server = server.expect("good settings");
        let with_nonce = token.with(json!({ "nonce": "n" }));
        assert_eq!(judge(&server, with_nonce.minted().issue()).await.is_ok(), is_accepted);
        for other in [
            with_nonce.without("typ"),
            with_nonce.with(json!({ "typ": "ID" })),
            with_nonce.with(json!({ "events": {} })),
        ] {
            let refused = judge(&server, other.minted().issue()).await.expect_err("a mark of another kind");
            assert_eq!(refused.reason(), Reason::WrongTokenType, "{}", other.claims);
        }
    }
}

#[tokio::test]
async fn at_2_keycloak_dpop_token_is_refused_for_its_binding() {
    let (keycloak, token) = keycloak();
    let bound = token.with(json!({ "typ": "DPoP", "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }));
    assert_eq!(keycloak.judge(&bound).await, Err(Reason::UnverifiableConfirmation));
}

#[tokio::test]
async fn at_6_roles_of_keycloak_are_scopes_only_where_that_was_chosen() {
    let (keycloak, token) = keycloak();
    let without_scope = token.without("scope");
    assert_eq!(keycloak.judge(&without_scope).await.expect("good").scope, "");
    let profile = keycloak.profile().scope_claim(ScopeClaim::path(["realm_access", "roles"]));
    assert_eq!(judged(issuer(keycloak.issuer, profile), &token).await.expect("good").scope, "admin offline_access");
}

fn cognito() -> (Provider, Recorded) {
    let cognito = Provider { issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example", name: "cognito" };
    let token = Recorded::new(
        None,
        json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "cognito:groups": ["admins"],
            "iss": cognito.issuer,
            "version": 2,
            "client_id": "xxxxxxxxxxxxexample",
            "origin_jti": "o",
            "token_use": "access",
            "scope": "phone openid resource.1/appclient2",
            "auth_time": NOW - 60,
            "jti": "j",
            "username": "my-test-user",
        }),
    );
    (cognito, token)
}

#[tokio::test]
async fn jwt_3_cognito() {
    let (cognito, token) = cognito();
    let waived = || cognito.issuer().dangerous_waive_audience().authorized_parties(["xxxxxxxxxxxxexample"]);
    let expected = || Seen {
        audience: Vec::new(),
        ..seen("openid phone resource.1/appclient2", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "xxxxxxxxxxxxexample")
    };
    assert_eq!(judged(waived(), &token).await, Ok(expected()));
    assert_eq!(cognito.judge(&token).await, Err(Reason::MissingClaim), "the profile alone waives nothing");
    assert_eq!(cognito.strictly(&token).await, STRICT);

    let bound_to_a_resource = token.with(json!({ "aud": AUDIENCE }));
    assert_eq!(judged(waived(), &bound_to_a_resource).await.expect("good").audience, [AUDIENCE]);
    assert!(cognito.judge(&bound_to_a_resource).await.is_ok(), "and needs no waiver");
    let bound_to_another = token.with(json!({ "aud": "https://other.example" }));
    assert_eq!(judged(waived(), &bound_to_another).await, Err(Reason::WrongAudience));
    let of_another_client = token.with(json!({ "client_id": "another" }));
    assert_eq!(judged(waived(), &of_another_client).await, Err(Reason::UnauthorizedParty));

    // The ID token as it is, and made as similar to an access token as possible.
    let id_token = Recorded::new(
        None,
        json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "iss": cognito.issuer,
            "aud": AUDIENCE,
            "token_use": "id",
            "auth_time": NOW - 60,
            "jti": "j",
            "client_id": "xxxxxxxxxxxxexample",
        }),
    );
    for other in [
        &id_token,
        &id_token.without("token_use"),
        &token.with(json!({ "token_use": "id" })),
        &token.without("token_use"),
    ] {
        assert_eq!(judged(waived(), other).await, Err(Reason::WrongTokenType), "{}", other.claims);
    }
}

#[tokio::test]
async fn jwt_3_keycloak_without_an_audience_is_accepted_by_its_clients_alone() {
    let (keycloak, token) = keycloak();
    let waived = || keycloak.issuer().dangerous_waive_audience().authorized_parties(["web"]);
    assert!(judged(waived(), &token.without("aud")).await.is_ok());
    assert_eq!(judged(waived(), &token.with(json!({ "aud": "account" }))).await, Err(Reason::WrongAudience));
    let stranger = token.without("aud").with(json!({ "azp": "stranger" }));
    assert_eq!(judged(waived(), &stranger).await, Err(Reason::UnauthorizedParty));
}

#[tokio::test]
async fn jwt_3_waiver_without_a_substitute_fails_the_build_with_the_remedy() {
    let (cognito, _) = cognito();
    let built = ResourceServer::builder().issuer(cognito.issuer().dangerous_waive_audience()).build().await;
    let error = built.expect_err("nothing stands in for the audience").to_string();
    assert!(error.contains("`.authorized_parties(..)`"), "{error}");
    for name in ["genauth", "okta", "auth0", "entra-v2", "ory-hydra", "zitadel", "pingone"] {
        let profile = Profile::by_name(name).expect("a profile");
        let issuer = issuer("https://as.example", profile).dangerous_waive_audience().authorized_parties(["app"]);
        let built = ResourceServer::builder().issuer(issuer).build().await;
        let error = built.expect_err("a scope is no name for a kind of token").to_string();
        assert!(error.contains("do not say in so many words"), "{error}");
    }
}

#[tokio::test]
async fn at_2_genauth() {
    let genauth = Provider { issuer: "https://steam-talk.genauth.ai/oidc", name: "genauth" };
    let token = Recorded::new(
        "JWT",
        json!({ "jti": "j", "sub": "u", "aud": AUDIENCE, "iss": genauth.issuer, "scope": "openid email message" }),
    );
    assert_eq!(
        genauth.judge(&token).await,
        Ok(seen("email message openid", "u", AUDIENCE)),
        "the audience is the client"
    );
    assert_eq!(genauth.strictly(&token).await, STRICT);
    let id_token = token.without("scope").with(json!({ "nonce": "n" }));
    genauth.assert_other_kinds([&id_token, &id_token.without("nonce")]).await;
}

#[tokio::test]
async fn jwt_11_google() {
    let google = Provider { issuer: "https://accounts.google.com", name: "google" };
    let account = "104029292853099978293";
    let with_account = |identifier| issuer(identifier, google.profile()).authorized_parties([account]);
    let token = Recorded::new(
        "JWT",
        json!({
            "aud": AUDIENCE,
            "azp": account,
            "email": "caller@project.iam.gserviceaccount.com",
            "email_verified": true,
            "iss": google.issuer,
            "sub": account,
            "scope": "admin",
        }),
    );
    assert_eq!(
        judged(with_account(google.issuer), &token).await,
        Ok(seen("", account, account)),
        "there are no scopes"
    );
    assert_eq!(google.strictly(&token).await, STRICT);

    let another = token.with(json!({ "azp": "1", "sub": "1" }));
    assert_eq!(judged(with_account(google.issuer), &another).await, Err(Reason::UnauthorizedParty));
    let signed_in = token.with(json!({
        "azp": "1234.apps.googleusercontent.com",
        "sub": account,
        "nonce": "n",
        "at_hash": "h",
    }));
    let parties = ["1234.apps.googleusercontent.com", account];
    for id_token in [&signed_in, &signed_in.without("nonce").without("at_hash"), &token.without("azp")] {
        let issuer = issuer(google.issuer, google.profile()).authorized_parties(parties);
        assert_eq!(judged(issuer, id_token).await, Err(Reason::WrongTokenType), "{}", id_token.claims);
    }

    // The other name is another issuer.
    let bare = token.with(json!({ "iss": "accounts.google.com" }));
    assert_eq!(judged(with_account(google.issuer), &bare).await, Err(Reason::UnknownIssuer));
    assert_eq!(judged(with_account("accounts.google.com"), &bare).await, Ok(seen("", account, account)));
    let open = ResourceServer::builder().issuer(google.issuer()).build().await;
    assert!(open.expect_err("everybody has a service account").to_string().contains("`.authorized_parties(..)`"));
}

#[tokio::test]
async fn at_2_zitadel() {
    let zitadel = Provider { issuer: "https://instance.eu1.zitadel.example", name: "zitadel" };
    let token = Recorded::new(
        "JWT",
        json!({
            "iss": zitadel.issuer,
            "sub": "165460784409737834",
            "aud": [AUDIENCE, "165465345465745664@project"],
            "azp": "165465345465745664@project",
            "nbf": NOW,
            "jti": "165467338479501569",
            "urn:zitadel:iam:org:project:roles": [{ "admin": { "1655": "org.example" } }],
        }),
    );
    let mut expected = seen("", "165460784409737834", "165465345465745664@project");
    expected.audience.push("165465345465745664@project".to_owned());
    assert_eq!(zitadel.judge(&token).await, Ok(expected));
    assert_eq!(zitadel.strictly(&token).await, STRICT);
    let roles =
        json!({ "urn:zitadel:iam:org:project:roles": { "admin": { "1655": "org.example" } }, "scope": "admin" });
    assert_eq!(zitadel.judge(&token.with(roles)).await.expect("good").scope, "", "roles are no scopes");

    let id_token = token.without("jti").with(json!({
        "amr": ["pwd"],
        "auth_time": NOW,
        "nonce": "n",
        "at_hash": "h",
        "client_id": "165465345465745664@project",
    }));
    let unmarked = id_token.without("nonce").without("at_hash");
    let with_token_id = unmarked.with(json!({ "jti": "x" }));
    zitadel
        .assert_other_kinds([
            &id_token,
            &unmarked,
            &unmarked.without("amr").without("auth_time"),
            &with_token_id,
            &with_token_id.without("amr"),
            &with_token_id.without("auth_time"),
            &token.with(json!({ "acr": "0" })),
        ])
        .await;
}

#[tokio::test]
async fn at_3_logto() {
    let logto = Provider { issuer: "https://tenant.logto.example/oidc", name: "logto" };
    let token = Recorded::new(
        "at+jwt",
        json!({
            "jti": "VovNyqJ5_tuYac89eTbpF",
            "sub": "foo",
            "iss": logto.issuer,
            "aud": AUDIENCE,
            "scope": "read:products write:products",
            "client_id": "silkBbJ",
        }),
    );
    let expected = || seen("read:products write:products", "foo", "silkBbJ");
    assert_eq!(logto.judge(&token).await, Ok(expected()));
    assert_eq!(logto.strictly(&token).await, Ok(expected()), "with all of its claims it is RFC 9068");
    let without_client = token.without("client_id");
    assert_eq!(logto.judge(&without_client).await, Ok(Seen { client: None, ..expected() }));
    assert_eq!(logto.strictly(&without_client).await, Err(Reason::MissingClaim));
    logto
        .assert_other_kinds([
            &token.typed("JWT"),
            &token.typed(None),
            &token.typed("JWT").with(json!({ "nonce": "n" })),
        ])
        .await;
}

#[tokio::test]
async fn scope_6_ory_hydra() {
    let hydra = Provider { issuer: "https://hydra.example/", name: "ory-hydra" };
    let token = Recorded::new(
        "JWT",
        json!({
            "aud": [AUDIENCE],
            "client_id": "c6a1c3f0",
            "ext": { "role": "admin" },
            "iss": hydra.issuer,
            "jti": "j",
            "nbf": NOW,
            "scp": ["offline", "orders.read"],
            "sub": "u",
        }),
    );
    let expected = || seen("offline orders.read", "u", "c6a1c3f0");
    assert_eq!(hydra.judge(&token).await, Ok(expected()), "strategy list");
    assert_eq!(hydra.strictly(&token).await, STRICT);
    let string = token.without("scp").with(json!({ "scope": "offline orders.read" }));
    assert_eq!(hydra.judge(&string).await, Ok(expected()), "strategy string");
    let both = token.with(json!({ "scope": "offline orders.read" }));
    assert_eq!(hydra.judge(&both).await, Ok(expected()), "strategy both");
    for swapped in [
        token.with(json!({ "scp": "offline orders.read" })),
        token.without("scp").with(json!({ "scope": ["offline", "orders.read"] })),
    ] {
        assert_eq!(hydra.judge(&swapped).await, Ok(expected()), "either name with either shape");
    }
    let unequal = token.with(json!({ "scope": "admin" }));
    assert_eq!(hydra.judge(&unequal).await, Ok(expected()), "the first that is there, never the union");
    let first_empty = token.with(json!({ "scp": [], "scope": "admin" }));
    assert_eq!(hydra.judge(&first_empty).await, Ok(Seen { scope: String::new(), ..expected() }));
    assert_eq!(hydra.judge(&token.with(json!({ "aud": [] }))).await, Err(Reason::MissingClaim), "none was asked for");

    let id_token = token.without("scp").with(json!({ "at_hash": "h", "auth_time": NOW, "rat": NOW, "sid": "s" }));
    hydra
        .assert_other_kinds([
            &id_token,
            &id_token.without("at_hash"),
            &id_token.without("at_hash").with(json!({ "nonce": "n" })),
        ])
        .await;
}

#[tokio::test]
async fn at_1_kanidm() {
    let kanidm = Provider { issuer: "https://idm.example/oauth2/openid/shop", name: "kanidm" };
    let token = Recorded::new(
        "at+jwt",
        json!({
            "iss": kanidm.issuer,
            "sub": "3f1c2c8e-6f3b-4a53-b4a8-2f0a2b6d7c11",
            "aud": AUDIENCE,
            "client_id": "shop",
            "jti": "j",
            "nbf": NOW,
            "scope": "openid orders",
            "nonce": "n",
        }),
    );
    let expected = || seen("openid orders", "3f1c2c8e-6f3b-4a53-b4a8-2f0a2b6d7c11", "shop");
    assert_eq!(kanidm.judge(&token).await, Ok(expected()), "a nonce is no mark under at+jwt");
    assert_eq!(kanidm.strictly(&token).await, Ok(expected()));
    kanidm.assert_other_kinds([&token.typed("JWT"), &token.typed("JWT").without("nonce"), &token.typed(None)]).await;
}

#[tokio::test]
async fn at_2_pingone() {
    let pingone =
        Provider { issuer: "https://auth.pingone.eu/8be2b9c5-0f1a-4b9e-8d3e-1f2a3b4c5d6e/as", name: "pingone" };
    let token = Recorded::new(
        None,
        json!({
            "client_id": "8f1a5e3b",
            "iss": pingone.issuer,
            "aud": [AUDIENCE],
            "scope": "openid orders:read",
            "sub": "u",
            "sid": "s",
            "env": "8be2b9c5-0f1a-4b9e-8d3e-1f2a3b4c5d6e",
            "org": "o",
        }),
    );
    let expected = || seen("openid orders:read", "u", "8f1a5e3b");
    assert_eq!(pingone.judge(&token).await, Ok(expected()), "today");
    assert_eq!(pingone.judge(&token.typed("at+jwt")).await, Ok(expected()), "from March 2027 on");
    assert_eq!(pingone.strictly(&token).await, STRICT);
    let machine = token.without("sub");
    assert_eq!(pingone.judge(&machine).await, Ok(Seen { subject: None, ..expected() }));

    let id_token = token.without("scope").with(json!({ "nonce": "n", "at_hash": "h", "auth_time": NOW }));
    pingone.assert_other_kinds([&id_token, &id_token.without("nonce").without("at_hash"), &token.typed("JWT")]).await;
}

fn cloudflare() -> (Provider, Recorded) {
    let cloudflare = Provider { issuer: "https://team.cloudflareaccess.com", name: "cloudflare-access" };
    let token = Recorded::new(
        "JWT",
        json!({
            "aud": [AUDIENCE],
            "email": "user@example.com",
            "nbf": NOW,
            "iss": cloudflare.issuer,
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "US",
        }),
    );
    (cloudflare, token)
}

#[tokio::test]
async fn jwt_11_cloudflare_access() {
    let (cloudflare, token) = cloudflare();
    assert_eq!(cloudflare.judge(&token).await, Ok(seen("", "7335d417-61da-459d-899c-0a01c76a2f94", None)));
    assert_eq!(cloudflare.strictly(&token).await, STRICT);

    let service = token
        .without("email")
        .without("identity_nonce")
        .without("nbf")
        .with(json!({ "sub": "", "common_name": "e367826f93b8d71185e03fe518aff3b4.access" }));
    let judged = cloudflare.judge(&service).await;
    assert_eq!(judged, Ok(seen("", None, "e367826f93b8d71185e03fe518aff3b4.access")));

    let session = token.with(json!({ "type": "org", "aud": AUDIENCE }));
    cloudflare
        .assert_other_kinds([
            &session,
            &token.without("type"),
            &token.without("type").with(json!({ "nonce": "n" })),
            &service.without("common_name"),
        ])
        .await;
    let scoped = cloudflare.judge(&token.with(json!({ "scope": "admin" }))).await;
    assert_eq!(scoped.expect("good").scope, "", "there are no scopes");
}

#[tokio::test]
async fn bearer_14_cloudflare_header_is_read_only_where_configured() {
    const HEADER: &str = "cf-access-jwt-assertion";
    let (cloudflare, token) = cloudflare();
    let token = token.minted().issue();
    let builder = || ResourceServer::builder().issuer(cloudflare.issuer()).clock(clock());
    let api = Api::behind(builder().build().await.expect("good settings"));
    Ask::get("/me").header(HEADER, &token).of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);

    let builder = builder().token_header(HeaderName::from_static(HEADER));
    let api = Api::behind(builder.build().await.expect("good settings"));
    Ask::get("/me").header(HEADER, &token).of(&api.router).await.assert_pass();
    Ask::get("/me").bearer(&token).of(&api.router).await.assert_pass();
    Ask::get("/me").header(HEADER, &token).authorization("Basic dTpw").of(&api.router).await.assert_pass();
    assert_eq!(api.calls(), 3);

    for several in [
        Ask::get("/me").header(HEADER, &token).bearer(&token),
        Ask::get("/me").header(HEADER, "x y").bearer(&token),
        Ask::get("/me").header(HEADER, &token).header(HEADER, &token),
        Ask::get("/me").header(HEADER, &token).header(HEADER, "").bearer(&token),
        Ask::get(format!("/me?access_token={token}")).header(HEADER, &token),
    ] {
        let answer = several.of(&api.router).await;
        answer.assert_400();
        assert_eq!(answer.reason, Some(Reason::MultipleTransports));
    }
    let malformed = Ask::get("/me").header(HEADER, &token).authorization("Bearer").of(&api.router).await;
    malformed.assert_400();
    for bad in ["", "x y", "Bearer x", "x."] {
        Ask::get("/me").header(HEADER, bad).of(&api.router).await.assert_401(Reason::MalformedToken);
    }
    Ask::get("/me").header(HEADER, format!("Bearer {token}")).of(&api.router).await.assert_401(Reason::MalformedToken);
    for other in ["cookie", "x-access-token", "proxy-authorization"] {
        Ask::get("/me").header(other, &token).of(&api.router).await.assert_401_bare();
    }
    Ask::get("/me").of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 3);
}

fn github() -> (Provider, Recorded) {
    let github = Provider { issuer: "https://token.actions.githubusercontent.com", name: "dangerous-github-actions" };
    let token = Recorded::new(
        "JWT",
        json!({
            "jti": "example-id",
            "sub": "repo:octo-org/octo-repo:environment:prod",
            "environment": "prod",
            "aud": AUDIENCE,
            "ref": "refs/heads/main",
            "repository": "octo-org/octo-repo",
            "repository_owner": "octo-org",
            "repository_id": "74",
            "repository_owner_id": "65",
            "run_id": "example-run-id",
            "iss": github.issuer,
            "nbf": NOW,
        }),
    );
    (github, token)
}

#[tokio::test]
async fn jwt_11_github_actions() {
    let (github, token) = github();
    let expected = || seen("", "repo:octo-org/octo-repo:environment:prod", None);
    assert_eq!(github.judge(&token).await, Ok(expected()));
    assert_eq!(github.strictly(&token).await, STRICT);
    github
        .assert_other_kinds([
            &token.without("repository_id"),
            &token.with(json!({ "repository_id": "" })),
            &token.with(json!({ "nonce": "n" })),
            &token.typed(None),
        ])
        .await;
    let with_more = token.with(json!({ "scope": "admin", "scp": "admin", "client_id": "c", "azp": "c" }));
    assert_eq!(github.judge(&with_more).await, Ok(expected()), "there are no scopes and no client");

    // Restricting the repositories makes the profile safe.
    let ours = || github.profile().evidence(Evidence::claim_one_of("repository_id", ["73", "74"]));
    assert!(judged(issuer(github.issuer, ours()), &token).await.is_ok());
    for other in ["75", "7", "74 ", "octo-org/octo-repo"] {
        let token = token.with(json!({ "repository_id": other }));
        assert_eq!(judged(issuer(github.issuer, ours()), &token).await, Err(Reason::WrongTokenType), "{other}");
    }
}

#[tokio::test]
async fn jwt_3_default_audience_of_github_actions_fails_the_build() {
    let (github, token) = github();
    let by_default = token.with(json!({ "aud": "https://github.com/octo-org" }));
    assert_eq!(github.judge(&by_default).await, Err(Reason::WrongAudience));
    for (identifier, audience) in [
        (github.issuer, "https://github.com/octo-org"),
        ("https://ghes.example/_services/token", "https://ghes.example/octo-org"),
    ] {
        let issuer = issuer(identifier, github.profile()).audiences([audience]);
        let built = ResourceServer::builder().issuer(issuer).build().await;
        let error = built.expect_err("it was meant for nobody").to_string();
        assert!(error.contains("demands an audience of your own"), "{error}");
    }
}

#[tokio::test]
async fn jwt_11_kubernetes() {
    let kubernetes = Provider { issuer: "https://kubernetes.default.svc.cluster.local", name: "kubernetes" };
    let token = Recorded::new(
        None,
        json!({
            "aud": [AUDIENCE],
            "iss": kubernetes.issuer,
            "jti": "7a1a2b8e",
            "kubernetes.io": {
                "namespace": "shop",
                "pod": { "name": "web-0", "uid": "p" },
                "serviceaccount": { "name": "web", "uid": "s" },
            },
            "nbf": NOW,
            "sub": "system:serviceaccount:shop:web",
        }),
    );
    let expected = || seen("", "system:serviceaccount:shop:web", None);
    assert_eq!(kubernetes.judge(&token).await, Ok(expected()));
    assert_eq!(kubernetes.judge(&token.without("jti")).await, Ok(expected()), "older clusters");
    let with_more = token.with(json!({ "scope": "admin", "client_id": "c", "azp": "c" }));
    assert_eq!(kubernetes.judge(&with_more).await, Ok(expected()), "there are no scopes and no client");
    assert_eq!(kubernetes.strictly(&token).await, STRICT);

    let nobody = ["system:node:a", "alice", "system:serviceaccount:", "x:system:serviceaccount:shop:web"];
    for sub in nobody {
        kubernetes.assert_other_kinds([&token.with(json!({ "sub": sub }))]).await;
    }
    kubernetes
        .assert_other_kinds([
            &token.without("kubernetes.io"),
            &token.with(json!({ "kubernetes.io": {} })),
            &token.without("kubernetes.io").with(json!({ "nonce": "n" })),
            &token.typed("JWT"),
        ])
        .await;

    // The legacy token of a secret, even with the cluster's own name and keys.
    let legacy = Recorded::new(
        None,
        json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": "shop",
            "kubernetes.io/serviceaccount/service-account.name": "web",
            "sub": "system:serviceaccount:shop:web",
            "iat": LEFT_OUT,
            "exp": LEFT_OUT,
        }),
    );
    assert_eq!(kubernetes.judge(&legacy).await, Err(Reason::UnknownIssuer));
    let renamed = legacy.with(json!({ "iss": kubernetes.issuer }));
    assert_eq!(kubernetes.judge(&renamed).await, Err(Reason::WrongTokenType));
    assert_eq!(kubernetes.judge(&token.without("aud")).await, Err(Reason::MissingClaim));
    assert_eq!(kubernetes.judge(&token.with(json!({ "exp": LEFT_OUT }))).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn at_1_node_oidc_provider() {
    let provider = Provider { issuer: "https://op.example", name: "node-oidc-provider" };
    let token = Recorded::new(
        "at+jwt",
        json!({
            "jti": "DpAvP_pBGIEvPxbFtRHOC",
            "sub": "client",
            "iss": provider.issuer,
            "aud": AUDIENCE,
            "client_id": "client",
            "scope": "api:read",
        }),
    );
    assert_eq!(provider.judge(&token).await, Ok(seen("api:read", "client", "client")), "client credentials");
    assert_eq!(provider.strictly(&token).await, Ok(seen("api:read", "client", "client")));
    provider
        .assert_other_kinds([
            &token.typed("JWT"),
            &token.typed(None),
            &token.typed("JWT").with(json!({ "nonce": "n" })),
        ])
        .await;
}

#[tokio::test]
async fn scope_6_spring_authorization_server() {
    let spring = Provider { issuer: "https://auth.example", name: "spring-authorization-server" };
    let token = Recorded::new(
        None,
        json!({
            "sub": "user1",
            "aud": AUDIENCE,
            "nbf": NOW,
            "scope": ["openid", "message.read"],
            "iss": spring.issuer,
        }),
    );
    let expected = || seen("message.read openid", "user1", AUDIENCE);
    assert_eq!(spring.judge(&token).await, Ok(expected()), "the audience is the client");
    assert_eq!(spring.judge(&token.with(json!({ "jti": "j" }))).await, Ok(expected()), "newer releases");
    assert_eq!(spring.strictly(&token).await, STRICT);
    assert_eq!(spring.judge(&token.with(json!({ "scope": "openid" }))).await, Err(Reason::MalformedClaim));

    let several = token.with(json!({ "aud": [AUDIENCE, "another"] }));
    assert_eq!(spring.judge(&several).await.expect("good").client, None, "of two audiences neither is the client");
    let id_token = token.without("scope").with(json!({ "azp": AUDIENCE, "auth_time": NOW, "sid": "s", "nonce": "n" }));
    spring
        .assert_other_kinds([
            &id_token,
            &id_token.without("nonce"),
            &token.typed("JWT"),
            &token.with(json!({ "scope": [] })),
        ])
        .await;

    let customized = token.with(json!({ "client_id": "messaging-client" }));
    assert_eq!(spring.judge(&customized).await, Ok(expected()), "no claim names the client until one is chosen");
    let profile = spring.profile().client_claim("client_id");
    let judged = judged(issuer(spring.issuer, profile), &customized).await;
    assert_eq!(judged.expect("good").client.as_deref(), Some("messaging-client"));
}

#[tokio::test]
async fn scope_6_duende() {
    let duende = Provider { issuer: "https://identity.example", name: "duende" };
    let token = Recorded::new(
        "at+jwt",
        json!({
            "iss": duende.issuer,
            "nbf": NOW,
            "aud": AUDIENCE,
            "scope": ["openid", "invoice.read"],
            "amr": ["pwd"],
            "client_id": "interactive",
            "sub": "818727",
            "auth_time": NOW - 60,
            "idp": "local",
            "jti": "C8F5A6E5",
        }),
    );
    let expected = || seen("invoice.read openid", "818727", "interactive");
    assert_eq!(duende.judge(&token).await, Ok(expected()));
    assert_eq!(duende.strictly(&token).await, Err(Reason::MalformedClaim), "by its shape of scope");
    let string = token.with(json!({ "scope": "openid invoice.read" }));
    assert_eq!(duende.judge(&string).await, Ok(expected()), "by its switch");
    assert_eq!(duende.judge(&token.without("sub")).await, Ok(Seen { subject: None, ..expected() }), "a machine");
    assert_eq!(duende.judge(&token.without("aud")).await, Err(Reason::MissingClaim), "only API scopes");
    duende
        .assert_other_kinds([
            &token.typed("JWT"),
            &token.typed(None),
            &token.typed("JWT").with(json!({ "nonce": "n" })),
        ])
        .await;
}

#[tokio::test]
async fn scope_4_token_without_scopes_is_refused_at_a_scoped_route() {
    let (github, token) = github();
    let api = axum::Router::new()
        .route("/", axum::routing::get(|| async {}).layer(RequireScope::new("admin")))
        .layer(scopegate_axum::Authenticate::new(resource_server(github.issuer()).await));
    let token = token.with(json!({ "scope": "admin", "roles": ["admin"], "permissions": ["admin"] }));
    Ask::get("/").bearer(token.minted().issue()).of(&api).await.assert_403("admin");
}

#[tokio::test]
async fn at_2_no_profile_lets_an_id_token_without_marks_pass() {
    let claims =
        json!({ "sub": "u", "aud": AUDIENCE, "azp": "c", "client_id": "c", "appid": "c", "cid": "c", "tid": TENANT });
    // An issuer name that every profile accepts.
    let name_of_issuer = format!("https://as.example/{TENANT}");
    let id_token = Recorded::new("JWT", claims).with(json!({ "iss": name_of_issuer }));
    for name in Profile::names() {
        for typ in [Some("JWT"), None] {
            let issuer = issuer(&name_of_issuer, Profile::by_name(name).expect("a profile"));
            let issuer = if name == "google" { issuer.authorized_parties(["c"]) } else { issuer };
            assert_eq!(judged(issuer, &id_token.typed(typ)).await, Err(Reason::WrongTokenType), "{name}");
        }
    }
}

#[test]
fn the_page_about_providers_has_a_row_for_each() {
    let page = include_str!("../../docs/providers.md");
    for name in Profile::names() {
        let constructor = format!("`Profile::{}()`", name.replace('-', "_"));
        let rows = page.lines().filter(|line| line.starts_with(&format!("| `{name}` | {constructor} |"))).count();
        assert_eq!(rows, 1, "{name}");
    }
}
