//! Issuer names and addresses: a name is compared, and only an address is fetched.

use scopegate_axum::{
    Issuer, Reason, ResourceServer, ResourceServerBuilder, Tenants,
    introspection::{ClientAuthentication, Introspection},
};
use scopegate_testing::Mint;
use scopegate_tests::{AUDIENCE, Api, Ask, Network, Reply, clock, mint, resource_server};
use serde_json::{Value, json};

/// Names from which nothing can be fetched.
const NAMES: [&str; 6] = [
    "http://adfs.corp.example/adfs/services/trust",
    "http://localhost:8080/realms/dev",
    "https://as.example?tenant=x#y",
    "urn:corp:sts",
    "accounts.google.com",
    "Our issuer",
];

/// A token of this issuer for the API, signed with the test keys.
fn token_of(issuer: &str) -> String {
    Mint::new(issuer, mint().keys().clone()).with_audience(AUDIENCE).with_clock(clock()).token().issue()
}

async fn built(builder: ResourceServerBuilder, network: &Network) -> ResourceServer {
    builder.fetch(network.clone()).build().await.expect("good settings")
}

async fn api(issuer: Issuer, network: &Network) -> Api {
    Api::behind(built(resource_server().issuer(issuer), network).await)
}

/// The introspection response of an issuer of this name about a valid token.
fn active(issuer: &str) -> Reply {
    Reply::json(json!({ "active": true, "iss": issuer, "sub": "alice", "aud": AUDIENCE, "client_id": "app" }))
}

fn metadata(issuer: &str, jwks_uri: &str, introspection_endpoint: &str) -> Value {
    json!({ "issuer": issuer, "jwks_uri": jwks_uri, "introspection_endpoint": introspection_endpoint })
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("api", "s3cret")
}

#[tokio::test]
async fn meta_5_issuer_with_given_keys_may_have_any_name() {
    for name in NAMES {
        let network = Network::new(&clock());
        network.put("https://keys.example/jwks", Reply::ok(mint().jwks_json()));
        for issuer in
            [Issuer::with_jwks(name, mint().jwks_json()), Issuer::with_jwks_uri(name, "https://keys.example/jwks")]
        {
            let api = api(issuer, &network).await;
            Ask::get("/me").bearer(token_of(name)).of(&api.router).await.assert_pass();
            for other in [format!("{name}/"), name.to_uppercase(), name.replacen("http:", "https:", 1)] {
                if other != name {
                    let answer = Ask::get("/me").bearer(token_of(&other)).of(&api.router).await;
                    answer.assert_401(Reason::UnknownIssuer);
                }
            }
        }
        assert_eq!(network.urls(), ["https://keys.example/jwks"], "nothing is fetched from a name");
    }
}

#[tokio::test]
async fn meta_5_issuer_with_given_endpoint_may_have_any_name() {
    const ENDPOINT: &str = "https://as.example/introspect";
    for name in NAMES {
        let network = Network::new(&clock());
        network.put(ENDPOINT, active(name));
        let api = api(Issuer::introspected(name, Introspection::at(ENDPOINT, client())), &network).await;
        for token in ["opaque".to_owned(), token_of(name)] {
            Ask::get("/me").bearer(token).of(&api.router).await.assert_pass();
        }
        assert!(network.urls().iter().all(|url| url == ENDPOINT), "{:?}", network.urls());
    }
}

#[tokio::test]
async fn meta_5_issuer_with_given_metadata_url_may_have_any_name() {
    const METADATA: &str = "https://idp.example/metadata";
    for name in NAMES {
        let network = Network::new(&clock());
        network
            .put(METADATA, Reply::json(metadata(name, "https://idp.example/jwks", "https://idp.example/introspect")));
        network.put("https://idp.example/jwks", Reply::ok(mint().jwks_json()));
        let api = api(Issuer::discovered(name).metadata_url(METADATA), &network).await;
        Ask::get("/me").bearer(token_of(name)).of(&api.router).await.assert_pass();
        assert_eq!(network.urls(), [METADATA, "https://idp.example/jwks"]);

        // META-4: the document must still name the issuer, code point by code point.
        network.put(METADATA, Reply::json(metadata(&format!("{name}/"), "https://idp.example/jwks", "")));
        let api = self::api(Issuer::discovered(name).metadata_url(METADATA), &network).await;
        Ask::get("/me").bearer(token_of(name)).of(&api.router).await.assert_503();
    }
}

#[tokio::test]
async fn meta_5_tenants_whose_keys_are_given_may_have_any_name() {
    let network = Network::new(&clock());
    network.put("https://idp.example/shop/certs", Reply::ok(mint().jwks_json()));
    let tenants = Tenants::template("http://localhost:8080/realms/{tenant}", |tenant| tenant != "stranger")
        .jwks_uri("https://idp.example/{tenant}/certs");
    let api = Api::behind(built(resource_server().tenants(tenants), &network).await);
    let me = async |issuer: &str| Ask::get("/me").bearer(token_of(issuer)).of(&api.router).await;
    me("http://localhost:8080/realms/shop").await.assert_pass();
    for stranger in [
        "http://localhost:8080/realms/stranger",
        "https://localhost:8080/realms/shop",
        "http://localhost:8080/realms/shop/",
        "http://localhost:8080/realms/shop/../x",
        "http://localhost:8080/realms/shop%2f..",
    ] {
        me(stranger).await.assert_401(Reason::UnknownIssuer);
    }
    assert_eq!(network.urls(), ["https://idp.example/shop/certs"]);
    me("http://localhost:8080/realms/other").await.assert_503();
    assert_eq!(network.urls().last().map(String::as_str), Some("https://idp.example/other/certs"), "each has its own");
}

#[tokio::test]
async fn key_2_http_is_allowed_for_one_host_of_one_issuer() {
    const NAME: &str = "http://keycloak:8080/realms/shop";
    const METADATA: &str = "http://keycloak:8080/.well-known/oauth-authorization-server/realms/shop";
    let network = Network::new(&clock());
    let document = |jwks_uri, endpoint| Reply::json(metadata(NAME, jwks_uri, endpoint));
    network.put(METADATA, document("http://keycloak:8080/certs", "http://keycloak:8080/introspect"));
    network.put("http://keycloak:8080/certs", Reply::ok(mint().jwks_json()));
    network.put("http://keycloak:8080/introspect", active(NAME));
    let trusted = || {
        let asked = Introspection::discovered(client());
        Issuer::discovered(NAME).introspection(asked).dangerous_allow_http_for_host("keycloak")
    };
    let inside = api(trusted(), &network).await;
    for token in [token_of(NAME), "opaque".to_owned()] {
        Ask::get("/me").bearer(token).of(&inside.router).await.assert_pass();
    }

    // Only that host may be contacted over plain http.
    for elsewhere in ["http://elsewhere:8080/x", "http://keycloak.evil.example/x", "http://keycloak@evil.example/x"] {
        let network = Network::new(&clock());
        network.put(METADATA, document(elsewhere, elsewhere));
        let api = api(trusted(), &network).await;
        for token in [token_of(NAME), "opaque".to_owned()] {
            Ask::get("/me").bearer(token).of(&api.router).await.assert_503();
        }
        assert!(network.urls().iter().all(|url| url.starts_with("http://keycloak:8080/")), "{elsewhere}");
    }

    // The permission of one issuer does not apply to another.
    let other = Issuer::with_jwks_uri("https://other.example", "http://keycloak:8080/certs");
    let refused = resource_server().issuer(trusted()).issuer(other).fetch(network).build().await;
    assert!(
        refused.expect_err("it is in the clear").to_string().contains("\"http://keycloak:8080/certs\" must be https")
    );
}

#[tokio::test]
async fn key_2_tenants_may_be_inside_the_cluster_too() {
    let network = Network::new(&clock());
    let name = "http://keycloak:8080/realms/shop";
    let document = metadata(name, "http://keycloak:8080/realms/shop/certs", "");
    network.put("http://keycloak:8080/.well-known/oauth-authorization-server/realms/shop", Reply::json(document));
    network.put("http://keycloak:8080/realms/shop/certs", Reply::ok(mint().jwks_json()));
    let tenants = || Tenants::template("http://keycloak:8080/realms/{tenant}", |tenant| tenant == "shop");
    let allowed = tenants().settings(|issuer| issuer.dangerous_allow_http_for_host("keycloak"));
    let api = Api::behind(built(resource_server().tenants(allowed), &network).await);
    Ask::get("/me").bearer(token_of(name)).of(&api.router).await.assert_pass();
    assert!(resource_server().tenants(tenants()).fetch(network).build().await.is_err());
}
