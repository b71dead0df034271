use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Request, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{value::Address, *};
use crate::{
    crypto::tests::{BACKENDS, jwks, private_pem, token},
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::{JwtCacheConfig, Profile, ScopeClaim},
    online::{CacheConfig, Limits},
    refusal::Reason,
    resource_server::{
        BuildError, Issuer, ProtectedResource, Startup, Tenants,
        tests::{Answer, ISSUER, JWKS_URL, Network, SetClock},
    },
    scope::{GenAuthScopes, ImpliedScopes},
    token::VerifiedToken,
};

const EXAMPLE: &str = include_str!("example.toml");

/// A temporary folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scopegate-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn from_json(value: Value) -> Config {
    serde_json::from_value(value).unwrap()
}

fn from_toml(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn from_vars(vars: &[(&str, &str)]) -> Config {
    Config::from_vars("SCOPEGATE", vars.iter().copied())
}

/// The smallest complete configuration, with further settings of its issuer.
fn with_issuer(settings: Value) -> Config {
    let issuer = extended(json!({ "issuer": ISSUER }), settings);
    from_json(json!({ "audience": "https://api.example", "issuers": [issuer] }))
}

fn extended(mut table: Value, settings: Value) -> Value {
    let Value::Object(settings) = settings else { unreachable!() };
    table.as_object_mut().unwrap().extend(settings);
    table
}

async fn faults(config: Config) -> Vec<String> {
    let outcome = config.into_builder().fetch(Network::new()).build().await;
    outcome.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
}

const NONE: [String; 0] = [];

/// The settings of a builder, wherever they are from.
pub(super) fn shown(builder: &ResourceServerBuilder) -> String {
    let text = format!("{builder:#?}");
    let (before, after) = text.split_once("    origin: ").expect("the field");
    let (_, after) = after.split_once("    faults: ").expect("the field behind it");
    format!("{before}{after}")
}

/// The result of a token with these claims, and those that every token has, by the issuer's keys.
async fn judged(config: Config, key_id: &str, token_type: &str, changes: Value) -> Result<VerifiedToken, Reason> {
    with_resource_server(&Network::with_issuer(&["a-es256", "a-rs256"]), config, key_id, token_type, changes).await
}

async fn with_resource_server(
    network: &Network,
    config: Config,
    key_id: &str,
    token_type: &str,
    changes: Value,
) -> Result<VerifiedToken, Reason> {
    let server = config.into_builder().fetch(network.clone()).clock(SetClock::new()).build().await.unwrap();
    let mut claims = json!({
        "iss": ISSUER, "aud": "https://api.example", "sub": "alice", "client_id": "app", "jti": "1", "scope": "read",
        "iat": 1_700_000_000_u64, "exp": 1_700_000_600_u64,
    });
    let Value::Object(changes) = changes else { unreachable!() };
    claims.as_object_mut().unwrap().extend(changes);
    let algorithm = if key_id.ends_with("rs256") { "RS256" } else { "ES256" };
    let token = token(key_id, &json!({ "alg": algorithm, "typ": token_type, "kid": key_id }), &claims);
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();
    let outcome = server.authenticate(&request.into_parts().0).await;
    outcome.map(|good| good.token().unwrap().clone()).map_err(|error| error.reason())
}

#[tokio::test]
async fn the_user_agent_is_a_setting() {
    let name = "orders-api/1.2";
    let variables =
        [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "https://api.example"), ("SCOPEGATE_USER_AGENT", name)];
    let toml =
        format!("audience = \"https://api.example\"\nuser_agent = \"{name}\"\n[[issuers]]\nissuer = \"{ISSUER}\"");
    for config in [from_vars(&variables), from_toml(&toml)] {
        let network = Network::with_issuer(&["a-es256"]);
        with_resource_server(&network, config, "a-es256", "at+jwt", json!({})).await.unwrap();
        assert_eq!(network.headers()["user-agent"], name);
    }
    let faulty = [
        ("a\r\nb", "SCOPEGATE_USER_AGENT: has characters that are illegal in a header"),
        (" ", "user_agent: is empty"),
    ];
    for (name, fault) in faulty {
        let found = faults(from_vars(&[variables[0], variables[1], ("SCOPEGATE_USER_AGENT", name)])).await;
        assert!(found.len() == 1 && found[0].starts_with(fault), "{found:?}");
    }
}

/// The example of the docs, with this file in place of its secrets.
fn example(secret: &str) -> String {
    EXAMPLE.replace("/run/secrets/jwks-key", secret).replace("/run/secrets/introspection", secret)
}

/// The example of the docs in code.
fn example_in_code() -> ResourceServerBuilder {
    let refresh = KeyRefresh::default()
        .cool_down(Duration::from_secs(60))
        .interval(Duration::from_secs(300), Duration::from_secs(3600));
    ResourceServer::builder()
        .audience("https://api.example")
        .leeway(Duration::from_secs(30))
        .max_token_age(Duration::from_secs(12 * 60 * 60))
        .max_token_length(8192)
        .startup(Startup::WaitAtMost(Duration::from_secs(10)))
        .key_refresh(refresh.clone())
        .jwt_cache(JwtCacheConfig::default().max_bytes(16 * 1024 * 1024))
        .issuer(
            Issuer::discovered("https://tenant.example/oidc")
                .algorithms([Algorithm::Rs256, Algorithm::Es256])
                .authorized_parties(["web", "mobile"])
                .scope_grammar(
                    ImpliedScopes::new().imply("admin", ["write"]).unwrap().imply("write", ["read"]).unwrap(),
                ),
        )
        .issuer(
            Issuer::with_jwks_uri("https://steam-talk.genauth.ai/oidc", "https://keys.example/jwks")
                .audiences(["60193c610f9117e7cb049159"])
                .profile(Profile::genauth())
                .scope_grammar(GenAuthScopes)
                .jwks_header("x-api-key", "s3cret")
                .key_hosts(["keys.example"])
                .key_refresh(refresh.timeout(Duration::from_millis(500)).max_keys(10)),
        )
        .issuer(
            Issuer::discovered("https://as.example").introspection(
                Introspection::discovered(ClientAuthentication::client_secret_basic("orders-api", "s3cret"))
                    .introspect_jwts(JwtIntrospection::NoOlderThan(Duration::from_secs(10)))
                    .cache(CacheConfig::default().ttl(Duration::from_secs(10))),
            ),
        )
        .tenants(
            Tenants::template("https://{tenant}.idp.example/oidc", |tenant| ["north", "south"].contains(&tenant))
                .max_live(50)
                .settings(|issuer| {
                    issuer.profile(Profile::rfc9068().scope_claim(ScopeClaim::path(["realm_access", "roles"])))
                }),
        )
}

#[tokio::test]
async fn the_example_of_the_docs_makes_the_builder_that_code_makes() {
    let folder = Folder::new("example");
    let secret = folder.file("jwks-key", "s3cret\n");
    let builder = from_toml(&example(&secret)).into_builder();
    assert_eq!(shown(&builder), shown(&example_in_code()));
    let built = builder.startup(Startup::Lazy).fetch(Network::new()).build().await;
    assert_eq!(built.unwrap().default_realm(), "https://api.example");

    let found = faults(from_toml(EXAMPLE)).await;
    assert_eq!(found.len(), 2, "the secrets are not on this machine: {found:?}");
}

#[test]
fn json_and_toml_that_say_the_same_make_the_same() {
    let secret = Folder::new("same");
    let secret = secret.file("jwks-key", "s3cret\n");
    let toml = example(&secret);
    let json = json!({
        "audience": ["https://api.example"],
        "leeway": 30,
        "max_token_age": "720min",
        "max_token_length": "8192",
        "startup": 10,
        "key_refresh": { "cool_down": 60, "max_interval": "60min" },
        "jwt_cache": { "max_bytes": "16777216" },
        "issuers": [
            {
                "issuer": "https://tenant.example/oidc",
                "algorithms": ["RS256", "ES256"],
                "authorized_parties": ["web", "mobile"],
                "scope_grammar": { "admin": "write", "write": ["read"] },
            },
            {
                "issuer": "https://steam-talk.genauth.ai/oidc",
                "audience": ["60193c610f9117e7cb049159"],
                "profile": "genauth",
                "scope_grammar": "genauth",
                "jwks_uri": "https://keys.example/jwks",
                "jwks_header": { "name": "x-api-key", "value_file": secret },
                "key_hosts": "keys.example",
                "key_refresh": { "timeout": "500ms", "max_keys": 10 },
            },
            {
                "issuer": "https://as.example",
                "introspection": {
                    "client_authentication": "client_secret_basic",
                    "client_id": "orders-api",
                    "client_secret": "s3cret",
                    "introspect_jwts": 10,
                    "cache": { "ttl": "10000ms" },
                },
            },
            {
                "template": "https://{tenant}.idp.example/oidc",
                "trusted_tenants": ["north", "south"],
                "max_live_tenants": 50,
                "scope_claim": ["realm_access", "roles"],
            },
        ],
    });
    assert_eq!(shown(&from_json(json).into_builder()), shown(&from_toml(&toml).into_builder()));
}

#[test]
fn variables_that_say_the_same_make_the_same() {
    let secret = Folder::new("variables");
    let secret = secret.file("jwks-key", "s3cret\n");
    let vars = [
        ("PATH", "/bin"),
        ("SCOPEGATEISSUER", "not ours"),
        ("SCOPEGATE_AUDIENCE", "https://api.example"),
        ("SCOPEGATE_LEEWAY", "30"),
        ("SCOPEGATE_MAX_TOKEN_AGE", "12h"),
        ("SCOPEGATE_MAX_TOKEN_LENGTH", "8192"),
        ("SCOPEGATE_STARTUP", "10s"),
        ("SCOPEGATE_KEY_REFRESH_COOL_DOWN", "1min"),
        ("SCOPEGATE_KEY_REFRESH_MAX_INTERVAL", "1h"),
        ("SCOPEGATE_JWT_CACHE_MAX_BYTES", "16777216"),
        ("SCOPEGATE_ISSUER", "https://tenant.example/oidc"),
        ("SCOPEGATE_ALGORITHMS", "RS256, ES256"),
        ("SCOPEGATE_AUTHORIZED_PARTIES", "web,mobile"),
        ("SCOPEGATE_ISSUER_10_TEMPLATE", "https://{tenant}.idp.example/oidc"),
        ("SCOPEGATE_ISSUER_10_TRUSTED_TENANTS", "north,south"),
        ("SCOPEGATE_ISSUER_10_MAX_LIVE_TENANTS", "50"),
        ("SCOPEGATE_ISSUER_10_SCOPE_CLAIM", "realm_access,roles"),
        ("SCOPEGATE_ISSUER_2", "https://steam-talk.genauth.ai/oidc"),
        ("SCOPEGATE_ISSUER_2_AUDIENCE", "60193c610f9117e7cb049159"),
        ("SCOPEGATE_ISSUER_2_PROFILE", "genauth"),
        ("SCOPEGATE_ISSUER_2_SCOPE_GRAMMAR", "genauth"),
        ("SCOPEGATE_ISSUER_2_JWKS_URI", "https://keys.example/jwks"),
        ("SCOPEGATE_ISSUER_2_JWKS_HEADER_NAME", "x-api-key"),
        ("SCOPEGATE_ISSUER_2_JWKS_HEADER_VALUE_FILE", &secret),
        ("SCOPEGATE_ISSUER_2_KEY_HOSTS", "keys.example"),
        ("SCOPEGATE_ISSUER_2_KEY_REFRESH_TIMEOUT", "500ms"),
        ("SCOPEGATE_ISSUER_2_KEY_REFRESH_MAX_KEYS", "10"),
        ("SCOPEGATE_ISSUER_3", "https://as.example"),
        ("SCOPEGATE_ISSUER_3_INTROSPECTION_CLIENT_ID", "orders-api"),
        ("SCOPEGATE_ISSUER_3_INTROSPECTION_CLIENT_SECRET_FILE", &secret),
        ("SCOPEGATE_ISSUER_3_INTROSPECTION_INTROSPECT_JWTS", "10s"),
        ("SCOPEGATE_ISSUER_3_INTROSPECTION_CACHE_TTL", "10s"),
    ];
    let toml = example(&secret).replace("scope_grammar = { admin = [\"write\"], write = [\"read\"] }\n", "");
    let expected = shown(&from_toml(&toml).into_builder());
    assert_eq!(shown(&from_vars(&vars).into_builder()), expected);
    assert_eq!(shown(&Config::from_vars("SCOPEGATE_", vars).into_builder()), expected, "the underscore may be given");
}

#[test]
fn every_setting_of_the_refresh_of_keys_is_its_own() {
    let refresh = json!({
        "cool_down": 1, "min_interval": 2, "max_interval": 3, "stale_if_error": 4, "timeout": 5, "max_document": 6000,
        "max_keys": 7,
    });
    let expected = KeyRefresh::default()
        .cool_down(Duration::from_secs(1))
        .interval(Duration::from_secs(2), Duration::from_secs(3))
        .stale_if_error(Duration::from_secs(4))
        .timeout(Duration::from_secs(5))
        .max_document(6000)
        .max_keys(7);
    let in_code = shown(&ResourceServer::builder().key_refresh(expected));
    assert_eq!(shown(&from_json(json!({ "key_refresh": refresh })).into_builder()), in_code);
    let vars = refresh
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (format!("X_KEY_REFRESH_{}", name.to_uppercase()), value.to_string()));
    assert_eq!(shown(&Config::from_vars("X", vars).into_builder()), in_code);
}

#[test]
fn verdicts_are_remembered_as_far_as_is_said() {
    for (bytes, verdicts) in [(1000, 7), (0, 7), (1000, 0)] {
        let expected = JwtCacheConfig::default().max_bytes(bytes).max_entries(verdicts);
        let in_code = shown(&ResourceServer::builder().jwt_cache(expected));
        let table = json!({ "max_bytes": bytes, "max_entries": verdicts });
        assert_eq!(shown(&from_json(json!({ "jwt_cache": table })).into_builder()), in_code);
        let (bytes, verdicts) = (bytes.to_string(), verdicts.to_string());
        let vars = [("SCOPEGATE_JWT_CACHE_MAX_BYTES", &*bytes), ("SCOPEGATE_JWT_CACHE_MAX_ENTRIES", &*verdicts)];
        assert_eq!(shown(&from_vars(&vars).into_builder()), in_code);
    }
}

#[test]
fn a_protected_resource_is_what_the_table_says() {
    let expected = ProtectedResource::new("https://api.example/orders")
        .audiences(["urn:orders", "orders"])
        .authorization_servers(["https://as.example/"])
        .scopes(["read", "write"])
        .name("Orders")
        .documentation("https://api.example/docs")
        .policy("https://api.example/policy")
        .terms_of_service("https://api.example/terms")
        .signed_metadata("a.b.c");
    let in_code = shown(&ResourceServer::builder().protected_resource(expected));
    let table = json!({
        "identifier": "https://api.example/orders",
        "audience": ["urn:orders", "orders"],
        "authorization_servers": "https://as.example/",
        "scopes": ["read", "write"],
        "name": "Orders",
        "documentation": "https://api.example/docs",
        "policy": "https://api.example/policy",
        "terms_of_service": "https://api.example/terms",
        "signed_metadata": "a.b.c",
    });
    assert_eq!(shown(&from_json(json!({ "protected_resource": table })).into_builder()), in_code);
    let members = table.as_object().unwrap().iter().map(|(name, value)| {
        let list =
            value.as_array().map(|texts| texts.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join(","));
        (
            format!("X_PROTECTED_RESOURCE_{}", name.to_uppercase()),
            list.unwrap_or_else(|| value.as_str().unwrap().into()),
        )
    });
    assert_eq!(shown(&Config::from_vars("X", members).into_builder()), in_code);
}

#[tokio::test]
async fn a_faulty_protected_resource_is_named() {
    for (table, fault) in [
        (json!({ "name": "Orders" }), "protected_resource.identifier: is missing; give the URL that clients call"),
        (json!({ "identifier": "https://h", "names": 1 }), "protected_resource.names: is not a setting"),
        (json!({ "identifier": "https://h", "scopes": [] }), "protected_resource.scopes: is an empty list"),
        (json!({ "identifier": "http://h" }), "protected resource \"http://h\": is not an https URL"),
    ] {
        let config = json!({ "audience": "api", "issuers": [{ "issuer": ISSUER }], "protected_resource": table });
        let found = faults(from_json(config)).await;
        assert!(found.len() == 1 && found[0].starts_with(fault), "{fault}: {found:?}");
    }
}

#[test]
fn nothing_is_what_the_builder_has_by_default() {
    let default = shown(&ResourceServer::builder());
    assert_eq!(shown(&from_toml("").into_builder()), default);
    assert_eq!(shown(&from_vars(&[]).into_builder()), default);
    let issuer = shown(&ResourceServer::builder().issuer(Issuer::discovered(ISSUER)));
    assert_eq!(shown(&from_vars(&[("SCOPEGATE_ISSUER", ISSUER)]).into_builder()), issuer);
    let plain = json!({ "scope_grammar": "exact", "profile": "rfc9068", "dangerous_allow_http_on_loopback": false });
    assert_eq!(
        shown(&with_issuer(plain).into_builder()),
        shown(&ResourceServer::builder().issuer(Issuer::discovered(ISSUER)).audience("https://api.example"))
    );
}

#[test]
fn alg_9_several_algorithms_per_key_are_allowed_by_name() {
    let issuer = || Issuer::discovered(ISSUER).dangerous_allow_several_algorithms_per_key();
    let in_code = shown(&ResourceServer::builder().audience("https://api.example").issuer(issuer()));
    let config = with_issuer(json!({ "dangerous_allow_several_algorithms_per_key": true }));
    assert_eq!(shown(&config.into_builder()), in_code);
    let vars = [
        ("SCOPEGATE_AUDIENCE", "https://api.example"),
        ("SCOPEGATE_ISSUER", ISSUER),
        ("SCOPEGATE_DANGEROUS_ALLOW_SEVERAL_ALGORITHMS_PER_KEY", "true"),
    ];
    assert_eq!(shown(&from_vars(&vars).into_builder()), in_code);
    let without = with_issuer(json!({ "dangerous_allow_several_algorithms_per_key": false }));
    assert_ne!(shown(&without.into_builder()), in_code);
}

#[test]
fn code_may_go_on_where_the_file_ends() {
    let config = from_toml("leeway = \"10s\"\n[[issuers]]\nissuer = \"https://as.example\"");
    let builder = config.into_builder().leeway(Duration::from_secs(5)).audience("added");
    let in_code =
        ResourceServer::builder().issuer(Issuer::discovered(ISSUER)).leeway(Duration::from_secs(5)).audience("added");
    assert_eq!(shown(&builder), shown(&in_code));
}

#[tokio::test]
async fn a_setting_that_is_unknown_is_refused_at_every_level() {
    for (config, setting) in [
        (json!({ "leewya": 5 }), "leewya"),
        (json!({ "issuer": ISSUER }), "issuer"),
        (json!({ "key_refresh": { "timeuot": { "deep": [1] } } }), "key_refresh.timeuot"),
        (json!({ "jwt_cache": { "max": 1 } }), "jwt_cache.max"),
        (json!({ "issuers": [{ "issuer": ISSUER, "audeince": "api" }] }), "issuer \"https://as.example\": audeince"),
        (json!({ "issuers": [{ "issuer": ISSUER, "leeway": 5 }] }), "issuer \"https://as.example\": leeway"),
        (json!({ "issuers": [{ "issuer": ISSUER, "place": "x" }] }), "issuer \"https://as.example\": place"),
        (json!({ "faults": [] }), "faults"),
        (json!({ "unknown": {} }), "unknown"),
        (
            json!({ "issuers": [{ "issuer": ISSUER, "key_refresh": { "max": 1 } }] }),
            "issuer \"https://as.example\": key_refresh.max",
        ),
        (
            json!({ "issuers": [{ "issuer": ISSUER, "jwks_uri": JWKS_URL,
                                  "jwks_header": { "name": "a", "value": "b", "valeu": 1 } }] }),
            "issuer \"https://as.example\": jwks_header.valeu",
        ),
        (
            json!({ "issuers": [{ "issuer": ISSUER, "introspection": {
                "client_authentication": "none", "client_id": "a", "client_secert": "s3cret" } }] }),
            "issuer \"https://as.example\": introspection.client_secert",
        ),
        (
            json!({ "issuers": [{ "issuer": ISSUER, "introspection": {
                "client_authentication": "none", "client_id": "a", "cache": { "good": 1 } } }] }),
            "issuer \"https://as.example\": introspection.cache.good",
        ),
        (
            json!({ "issuers": [{ "issuer": ISSUER, "introspection": {
                "client_authentication": "none", "client_id": "a", "limits": { "retries": 1 } } }] }),
            "issuer \"https://as.example\": introspection.limits.retries",
        ),
        (
            json!({ "issuers": [{ "template": "https://{tenant}.idp.example", "trusted_tenants": "a", "a\nb": null }] }),
            "tenants \"https://{tenant}.idp.example\": a\\nb",
        ),
    ] {
        let fault = format!("{setting}: is not a setting; ");
        let mut config = from_json(config);
        config.audience = Some(List(vec!["api".into()]));
        if config.issuers.is_empty() {
            config.issuers.push(IssuerTable { issuer: Some(Address(ISSUER.into())), ..IssuerTable::default() });
        }
        let found = faults(config).await;
        assert!(found.len() == 1 && found[0].starts_with(&fault), "{fault}: {found:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_unknown_is_refused() {
    for name in [
        "SCOPEGATE_",
        "SCOPEGATE_KEY_REFRESH_",
        "SCOPEGATE_KEY_REFRESH_TIME",
        "SCOPEGATE_JWT_CACHE",
        "SCOPEGATE_JWT_CACHE_MAX",
        "SCOPEGATE_PROFILE_FILE",
        "SCOPEGATE_ISSUER_01_PROFILE",
        "SCOPEGATE_ISSUER_+1_PROFILE",
        "SCOPEGATE_ISSUER_65536",
        "SCOPEGATE_ISSUER_1_ISSUER",
        "SCOPEGATE_ISSUER_1_LEEWAY",
        "SCOPEGATE_ISSUER_1_KEY_REFRESH_X",
        "SCOPEGATE_JWKS_HEADER_NAME_FILE",
        "SCOPEGATE_INTROSPECTION",
        "SCOPEGATE_INTROSPECTION_",
        "SCOPEGATE_INTROSPECTION_PARAMETERS",
        "SCOPEGATE_INTROSPECTION_CACHE",
        "SCOPEGATE_INTROSPECTION_CACHE_TIMEOUT",
        "SCOPEGATE_INTROSPECTION_LIMITS_TTL",
        "SCOPEGATE_ISSUER_1_INTROSPECTION_X",
        "SCOPEGATE_SERVICE_HOST",
    ] {
        let vars = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api"), (name, "x")];
        assert_eq!(
            faults(from_vars(&vars)).await,
            [format!(
                "{name}: is not a setting; check its spelling, or choose another prefix if it belongs to another program"
            )]
        );
    }
}

#[tokio::test]
async fn a_misspelt_variable_is_refused_with_the_one_that_was_meant() {
    for (name, meant) in [
        ("AUDIENCES", "AUDIENCE"),
        ("issuer", "ISSUER"),
        ("ISSUER_", "ISSUER"),
        ("DPOP_PUBLIC_URLS", "DPOP_PUBLIC_URL"),
        ("CERTIFICATE_BINDING_TRUSTED_PEER", "CERTIFICATE_BINDING_TRUSTED_PEERS"),
        ("JWT_CACHE_MAX_BYTE", "JWT_CACHE_MAX_BYTES"),
        ("KEY_REFRESH_COOLDOWN", "KEY_REFRESH_COOL_DOWN"),
        ("JWKS_URL", "JWKS_URI"),
        ("JWKS_HEADERS_NAME", "JWKS_HEADER_NAME"),
        ("INTROSPECTION_CLIENT_SECERT", "INTROSPECTION_CLIENT_SECRET"),
        ("INTROSPECTION_LIMIT_TIMEOUT", "INTROSPECTION_LIMITS_TIMEOUT"),
        ("ISSUER_7_PROFIL", "ISSUER_7_PROFILE"),
        ("ISSUER_7_INTROSPECTION_CACHE_TLL", "ISSUER_7_INTROSPECTION_CACHE_TTL"),
    ] {
        let name = format!("SCOPEGATE_{name}");
        let vars = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api"), (&name, "x")];
        let fault = format!("{name}: is not a setting; did you mean `SCOPEGATE_{meant}`?");
        // Of a table that begins with it, something may be missing as well.
        assert_eq!(faults(from_vars(&vars)).await[0], fault);
    }
}

#[tokio::test]
async fn a_setting_in_the_wrong_table_is_refused_with_the_right_one() {
    for (issuer, hint) in [
        (
            json!({ "leeway": 1 }),
            "leeway: is not a setting; `leeway` belongs at the top of the file, before the first table",
        ),
        (json!({ "cool_down": 1 }), "cool_down: is not a setting; `cool_down` belongs in `key_refresh`"),
        (json!({ "timeout": 1 }), "timeout: is not a setting; check its spelling and its table"),
    ] {
        let mut settings = json!({ "issuer": ISSUER, "audience": "api" });
        settings.as_object_mut().unwrap().extend(issuer.as_object().unwrap().clone());
        let found = faults(from_json(json!({ "issuers": [settings] }))).await;
        assert_eq!(found, [format!("issuer \"{ISSUER}\": {hint}")]);
    }
}

#[tokio::test]
async fn a_fault_names_settings_as_they_are_written() {
    let issuer = "gitea";
    let in_file = json!({ "issuers": [{ "issuer": issuer }] });
    for (config, metadata_url, jwks_uri, audience) in [
        (from_json(in_file), "metadata_url", "jwks_uri", "audience"),
        (
            from_vars(&[("SCOPEGATE_ISSUER_1", issuer)]),
            "SCOPEGATE_ISSUER_1_METADATA_URL",
            "SCOPEGATE_ISSUER_1_JWKS_URI",
            "SCOPEGATE_ISSUER_1_AUDIENCE",
        ),
    ] {
        let found = faults(config).await;
        let of_name = format!("say where its metadata is with `{metadata_url}`, or its keys with `{jwks_uri}`");
        assert!(found.len() == 2 && found[0].ends_with(&of_name), "{found:?}");
        assert!(found[1].ends_with(&format!("as its tokens do in `aud`, with `{audience}`")), "{found:?}");
    }
    let unnamed = json!({ "require_bound_tokens": true, "audience": "a", "issuers": [{ "issuer": ISSUER }] });
    let found = faults(from_json(unnamed)).await;
    assert!(found[0].ends_with("with `dpop.public_url` or `certificate_binding.source`"), "{found:?}");
}

#[tokio::test]
async fn a_misspelt_setting_is_refused_with_the_one_that_was_meant() {
    for (config, setting, meant) in [
        (json!({ "leway": 1 }), "leway", "leeway"),
        (json!({ "dpop": { "public_url": "https://a.example", "nonce": 1 } }), "dpop.nonce", "dpop.nonces"),
        (json!({ "key_refresh": { "cooldown": 1 } }), "key_refresh.cooldown", "key_refresh.cool_down"),
        (json!({ "jwt_cache": { "max_byte": 1 } }), "jwt_cache.max_byte", "jwt_cache.max_bytes"),
    ] {
        let mut config = from_json(config);
        config.audience = Some(List(vec!["api".into()]));
        config.issuers.push(IssuerTable { issuer: Some(Address(ISSUER.into())), ..IssuerTable::default() });
        let fault = format!("{setting}: is not a setting; did you mean `{meant}`?");
        assert_eq!(faults(config).await, [fault]);
    }
}

#[tokio::test]
async fn service_links_of_kubernetes_are_ignored() {
    let settings = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api")];
    let links = [
        ("SCOPEGATE_SERVICE_HOST", "10.96.0.17"),
        ("SCOPEGATE_SERVICE_PORT", "80"),
        ("SCOPEGATE_SERVICE_PORT_HTTP", "80"),
        ("SCOPEGATE_SERVICE_PORT_ADMIN_PORT", "8081"),
        ("SCOPEGATE_PORT", "tcp://10.96.0.17:80"),
        ("SCOPEGATE_PORT_80_TCP", "tcp://10.96.0.17:80"),
        ("SCOPEGATE_PORT_80_TCP_PROTO", "tcp"),
        ("SCOPEGATE_PORT_80_TCP_PORT", "80"),
        ("SCOPEGATE_PORT_80_TCP_ADDR", "10.96.0.17"),
        ("SCOPEGATE_PORT_53_UDP", "udp://[fd00::1]:53"),
        ("SCOPEGATE_PORT_53_UDP_ADDR", "fd00::1"),
        // Of services whose names begin with the prefix.
        ("SCOPEGATE_ISSUER_PORT", "tcp://10.96.0.18:443"),
        ("SCOPEGATE_ISSUER_1_SERVICE_HOST", "10.96.0.18"),
        ("SCOPEGATE_REDIS_PORT_6379_TCP", "tcp://10.96.0.19:6379"),
        ("SCOPEGATE_MY_SERVICE_PORT", "tcp://10.96.0.20:80"),
    ];
    let vars: Vec<_> = settings.into_iter().chain(links).collect();
    assert_eq!(faults(from_vars(&vars)).await, NONE);
    assert_eq!(shown(&from_vars(&vars).into_builder()), shown(&from_vars(&settings).into_builder()));
    assert_eq!(faults(from_vars(&links)).await.len(), 1, "they make no issuer");
}

#[tokio::test]
async fn a_variable_that_only_resembles_a_service_link_is_refused() {
    for (name, value) in [
        ("SCOPEGATE_SERVICE_HOST", "as.example"),
        ("SCOPEGATE_SERVICE_HOST", ""),
        ("SCOPEGATE_SERVICE_PORT", "http"),
        ("SCOPEGATE_SERVICE_PORT", "65536"),
        ("SCOPEGATE_PORT", "8080"),
        ("SCOPEGATE_PORT", "https://10.96.0.17:80"),
        ("SCOPEGATE_PORT", "tcp://as.example:80"),
        ("SCOPEGATE_PORT_80_TCP", "10.96.0.17:80"),
        ("SCOPEGATE_PORT_80_HTTP", "tcp://10.96.0.17:80"),
        ("SCOPEGATE_PORT_80_TCP_NAME", "/web/db"),
        ("SCOPEGATE_HOST", "10.96.0.17"),
        ("SCOPEGATE_service_host", "10.96.0.17"),
    ] {
        let vars = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api"), (name, value)];
        let found = faults(from_vars(&vars)).await;
        assert_eq!(found.len(), 1, "{name}={value}");
        assert!(found[0].starts_with(&format!("{name}: is ")), "{found:?}");
    }
}

#[tokio::test]
async fn the_variables_of_the_process_are_read() {
    // Cargo sets some variables, none of which is a setting.
    let found = faults(Config::from_env("CARGO")).await;
    assert!(found.iter().any(|fault| fault.starts_with("CARGO_MANIFEST_DIR: is not a setting")), "{found:?}");
}

#[tokio::test]
async fn a_variable_that_cannot_be_read_is_refused() {
    let good = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api")];
    assert_eq!(faults(from_vars(&good)).await, NONE);
    for (name, value, fault) in [
        ("SCOPEGATE_PROFILE", "", "is empty; give it a value, or unset it for the default"),
        ("SCOPEGATE_ALGORITHMS", "RS256,,ES256", "has an empty element; separate the elements by single commas"),
        ("SCOPEGATE_ALGORITHMS", "RS256,", "has an empty element; separate the elements by single commas"),
        ("SCOPEGATE_DANGEROUS_ALLOW_HTTP_ON_LOOPBACK", "1", "\"1\" is neither \"true\" nor \"false\""),
        ("SCOPEGATE_INTROSPECTION_SIGNED_RESPONSES", "yes", "\"yes\" is neither \"true\" nor \"false\""),
        ("SCOPEGATE_INTROSPECTION_CLIENT_SECRET", "", "is empty; give it a value, or unset it for the default"),
    ] {
        let vars = [good[0], good[1], (name, value)];
        assert_eq!(faults(from_vars(&vars)).await, [format!("{name}: {fault}")]);
    }
}

#[tokio::test]
async fn a_fault_of_an_issuer_names_the_variable() {
    for (name, value, fault) in [
        ("PROFILE", "auth9", "\"auth9\" is not a profile"),
        ("ALGORITHMS", "HS256", "\"HS256\" is not supported"),
        ("KEY_REFRESH_TIMEOUT", "soon", "\"soon\" is not a duration"),
        ("INTROSPECTION_LIMITS_TIMEOUT", "soon", "\"soon\" is not a duration"),
        ("JWKS_FILE", "/x", "is not for tenants"),
    ] {
        for entry in ["X_", "X_ISSUER_7_"] {
            let issuer = if entry == "X_" { "X_ISSUER".to_owned() } else { "X_ISSUER_7".to_owned() };
            let (template, trusted) = (format!("{entry}TEMPLATE"), format!("{entry}TRUSTED_TENANTS"));
            let variable = format!("{entry}{name}");
            let client = [format!("{entry}INTROSPECTION_CLIENT_ID"), format!("{entry}INTROSPECTION_CLIENT_SECRET")];
            let mut vars = vec![("X_AUDIENCE", "api"), (&variable, value)];
            match name {
                "JWKS_FILE" => vars.extend([(&*template, "https://{tenant}.idp.example"), (&*trusted, "a")]),
                name if name.starts_with("INTROSPECTION") => {
                    vars.extend([(&*issuer, ISSUER), (&*client[0], "a"), (&*client[1], "b")])
                }
                _ => vars.push((&issuer, ISSUER)),
            }
            let found = faults(Config::from_vars("X", vars)).await;
            let fault = format!("{variable}: {fault}");
            assert!(found.len() == 1 && found[0].contains(&fault), "{fault}: {found:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_variable_that_is_not_text_is_refused() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    let os = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let vars = [
        (os(b"SCOPEGATE_ISSUER"), os(ISSUER.as_bytes())),
        (os(b"SCOPEGATE_AUDIENCE"), os(b"api")),
        (os(b"SCOPEGATE_PROFILE"), os(b"s3cret\xff")),
        (os(b"SCOPEGATE_\xff"), os(b"x")),
        (os(b"OTHER_\xff"), os(b"\xff")),
    ];
    let found = faults(Config::from_vars("SCOPEGATE", vars)).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "SCOPEGATE_PROFILE: is not UTF-8");
    assert!(found[1].starts_with("SCOPEGATE_\u{fffd}: is not a setting"));
}

#[tokio::test]
async fn a_setting_that_cannot_be_read_or_contradicts_another_is_a_fault() {
    for (settings, fault) in [
        (
            json!({ "profile": "auth9" }),
            "profile: \"auth9\" is not a profile; use one of auth0, auth0-rfc9068, cloudflare-access, cognito, dangerous-github-actions, duende, entra-v1, entra-v2, genauth, google, kanidm, keycloak, kubernetes, logto, node-oidc-provider, okta, ory-hydra, pingone, rfc9068, spring-authorization-server, zitadel",
        ),
        (
            json!({ "algorithms": ["ES256", "HS256"] }),
            "algorithms: \"HS256\" is not supported; use one of ES256, ES384, Ed25519, RS256, RS384, RS512, \
             PS256, PS384, PS512",
        ),
        (
            json!({ "algorithms": "none" }),
            "algorithms: \"none\" is not supported; use one of ES256, ES384, Ed25519, RS256, RS384, RS512, \
             PS256, PS384, PS512",
        ),
        (json!({ "algorithms": [] }), "algorithms: is an empty list; remove it for the default"),
        (json!({ "audience": [] }), "audience: is an empty list; remove it for the default"),
        (json!({ "authorized_parties": [] }), "authorized_parties: is an empty list; remove it for the default"),
        (json!({ "key_hosts": [] }), "key_hosts: is an empty list; remove it for the default"),
        (json!({ "scope_claim": [] }), "scope_claim: is an empty list; remove it for the default"),
        (
            json!({ "scope_grammar": "wild" }),
            "scope_grammar: \"wild\" is not a grammar; write \"exact\" or \"genauth\", or a table of scopes and what each implies",
        ),
        (json!({ "jwks_uri": JWKS_URL, "jwks_file": "/x" }), "jwks_uri: is given beside `jwks_file`; keep one of them"),
        (
            json!({ "trusted_tenants": ["a"] }),
            "trusted_tenants: is for tenants; remove it, or give a `template` instead of an `issuer`",
        ),
        (
            json!({ "max_live_tenants": 5 }),
            "max_live_tenants: is for tenants; remove it, or give a `template` instead of an `issuer`",
        ),
        (json!({ "template": "https://{tenant}.idp.example" }), "issuer: is given beside `template`; keep one of them"),
        (json!({ "jwks_header": { "value": "x" } }), "jwks_header.name: is missing"),
        (
            json!({ "jwks_header": { "name": "x" } }),
            "jwks_header.value: is missing; set it, or name the file that holds it",
        ),
        (
            json!({ "jwks_header": { "name": "x", "value": "x", "value_file": "/x" } }),
            "jwks_header.value: is given both directly and by a file; keep one of them",
        ),
        (
            json!({ "key_refresh": { "timeout": "5m" } }),
            "key_refresh.timeout: \"5m\" is not a duration; write a whole number and one of ms, s, min, h and d, such as \
             \"30s\", or a number of seconds",
        ),
        (
            json!({ "key_refresh": { "max_keys": -1 } }),
            "key_refresh.max_keys: \"-1\" is not a whole number, or is too large",
        ),
        (
            json!({ "key_refresh": { "max_keys": 1.5 } }),
            "key_refresh.max_keys: \"1.5\" is not a whole number, or is too large",
        ),
    ] {
        let mut config = with_issuer(settings.clone());
        // A second issuer, so that a faulty entry is not the only one.
        config
            .issuers
            .push(IssuerTable { issuer: Some(Address("https://b.example".into())), ..IssuerTable::default() });
        assert_eq!(faults(config).await, [format!("issuer \"https://as.example\": {fault}")], "{settings}");
    }
    let found = faults(with_issuer(json!({ "scope_grammar": { "a b": ["c"], "d": ["e f"], "g": "h" } }))).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("issuer \"https://as.example\": scope_grammar: of \"a b\": "), "{found:?}");
}

#[tokio::test]
async fn tenants_are_trusted_by_name_or_not_at_all() {
    let tenants = |settings: Value| {
        let mut entry = json!({ "template": "https://{tenant}.idp.example", "audience": "api" });
        let Value::Object(settings) = settings else { unreachable!() };
        entry.as_object_mut().unwrap().extend(settings);
        from_json(json!({ "issuers": [entry] }))
    };
    assert_eq!(faults(tenants(json!({ "trusted_tenants": ["a", "b-1"] }))).await, NONE);
    assert_eq!(faults(tenants(json!({ "trusted_tenants": "a", "jwks_uri": JWKS_URL }))).await, NONE);
    for (settings, fault) in [
        (json!({}), "trusted_tenants: is missing; name the tenants whose tokens are accepted"),
        (json!({ "trusted_tenants": [] }), "trusted_tenants: is missing; name the tenants whose tokens are accepted"),
        (
            json!({ "trusted_tenants": ["a", "b/c"] }),
            "trusted_tenants: \"b/c\" is not the name of a tenant; use up to 256 letters, digits and `-._~`",
        ),
        (
            json!({ "trusted_tenants": "a", "jwks_file": "/x" }),
            "jwks_file: is not for tenants, whose keys are found through their metadata or by `jwks_uri`",
        ),
        (
            json!({ "trusted_tenants": "a", "metadata_url": "https://idp.example/metadata" }),
            "metadata_url: is not for tenants, each of which has a metadata document of its own",
        ),
        (
            json!({ "trusted_tenants": "a", "introspection": { "client_id": "a", "client_secret": "b" } }),
            "introspection: is not for tenants; give the issuer an entry of its own",
        ),
    ] {
        assert_eq!(faults(tenants(settings)).await, [format!("tenants \"https://{{tenant}}.idp.example\": {fault}")]);
    }
}

#[tokio::test]
async fn an_entry_without_an_issuer_is_a_fault_that_says_which() {
    let fault = "issuer: is missing; give the identifier, or a `template` for many tenants";
    let none = "issuers: none is configured; add `[[issuers]]` with `issuer = \"https://...\"`, or in JSON \
                `\"issuers\": [{ \"issuer\": \"https://...\" }]`";
    assert_eq!(
        faults(from_json(json!({ "issuers": [{ "profile": "genauth" }] }))).await,
        [format!("issuers[0]: {fault}").as_str(), none]
    );
    for (variable, place) in
        [("SCOPEGATE_PROFILE", "SCOPEGATE_ISSUER"), ("SCOPEGATE_ISSUER_7_PROFILE", "SCOPEGATE_ISSUER_7")]
    {
        assert_eq!(
            faults(from_vars(&[(variable, "genauth")])).await,
            [
                format!("{place}: {fault}").as_str(),
                "SCOPEGATE_ISSUER: is missing; set it to the identifier of the issuer",
            ]
        );
    }
}

#[tokio::test]
async fn every_fault_is_named_at_once_with_those_of_the_builder() {
    let config = from_toml(
        r#"
        leeway = "10min"
        max_token_age = "soon"
        max_token_length = 0
        startup = "slow"
        unheard = "of"
        [key_refresh]
        cool_down = "never"
        [jwt_cache]
        max_bytes = "1k"
        max_entries = "-1"
        [[issuers]]
        issuer = "https://as .example"
        profile = "auth9"
        algorithms = ["HS256", "none"]
        jwks_uri = "https://as.example/jwks"
        jwks_file = "keys.json"
        jwks_header = { name = "x-api-key", value_file = "/nowhere/to/be/found" }
        key_refresh = { max_keys = 0, hourly = true }
        [[issuers]]
        template = "https://idp.example"
        trusted_tenants = []
        [[issuers]]
        scope_claim = []
        "#,
    );
    let found = faults(config).await;
    let beginnings = [
        "unheard: is not a setting",
        "max_token_age: \"soon\"",
        "startup: \"slow\"",
        "key_refresh.cool_down: \"never\"",
        "jwt_cache.max_bytes: \"1k\" is not a whole number",
        "jwt_cache.max_entries: \"-1\" is not a whole number",
        "issuer \"https://as .example\": jwks_uri: ",
        "issuer \"https://as .example\": profile: ",
        "issuer \"https://as .example\": algorithms: \"HS256\"",
        "issuer \"https://as .example\": algorithms: \"none\"",
        "issuer \"https://as .example\": jwks_header.value_file: the file \"/nowhere/to/be/found\" cannot be read: ",
        "issuer \"https://as .example\": key_refresh.hourly: ",
        "tenants \"https://idp.example\": trusted_tenants: is missing",
        "issuers[2]: issuer: is missing",
        "issuers[2]: scope_claim: is an empty list",
        // And the builder's own faults.
        "tenants \"https://idp.example\": the template has to have",
        "leeway: is over 5 min",
        "max_token_length: is 0",
        "issuer \"https://as .example\": the identifier has a colon",
        "issuer \"https://as .example\": has no audience",
        "issuer \"https://as .example\": the most keys of a set",
        "issuer \"https://tenant.example\": has no audience",
    ];
    for (found, beginning) in found.iter().zip(beginnings) {
        assert!(found.starts_with(beginning), "{found} / {beginning}");
    }
    assert_eq!(found.len(), beginnings.len(), "{found:#?}");
}

#[tokio::test]
async fn a_secret_reaches_the_issuer_and_is_shown_nowhere() {
    let folder = Folder::new("header");
    let file = folder.file("key", "s3cret\n");
    let url = format!("{JWKS_URL}?key=s3cret");
    let in_file = |header: Value| with_issuer(json!({ "jwks_uri": url, "jwks_header": header }));
    let in_variables = |name, value| {
        from_vars(&[
            ("SCOPEGATE_ISSUER", ISSUER),
            ("SCOPEGATE_AUDIENCE", "https://api.example"),
            ("SCOPEGATE_JWKS_URI", &url),
            ("SCOPEGATE_JWKS_HEADER_NAME", "x-api-key"),
            (name, value),
        ])
    };
    for config in [
        in_file(json!({ "name": "x-api-key", "value_file": file })),
        in_file(json!({ "name": "x-api-key", "value": "s3cret" })),
        in_variables("SCOPEGATE_JWKS_HEADER_VALUE_FILE", &file),
        in_variables("SCOPEGATE_JWKS_HEADER_VALUE", "s3cret"),
    ] {
        assert!(!format!("{config:#?}").contains("s3cret"), "{config:#?}");
        assert!(!shown(&config.clone().into_builder()).contains("s3cret"));
        let network = Network::with_issuer(&[]);
        network.put(&url, Answer::Is(200, jwks(&["a-es256"])));
        assert!(with_resource_server(&network, config, "a-es256", "at+jwt", json!({})).await.is_ok());
        assert_eq!(network.headers()["x-api-key"], "s3cret");
    }
}

#[tokio::test]
async fn a_secret_is_in_no_fault() {
    let folder = Folder::new("faulty");
    let file = folder.file("key", "s3cret\u{1}\n");
    for header in [
        json!({ "name": "x-api-key", "value_file": file }),
        json!({ "name": "x-api-key", "value": "s3cret", "value_file": file }),
        json!({ "name": "s3cret\n", "value": "x" }),
        json!({ "name": "x-api-key", "value": ["s3cret"] }),
        json!({ "name": { "s3cret": 1 }, "value": "s3cret" }),
        json!({ "name": "x-api-key", "valeu": "s3cret" }),
    ] {
        let config = with_issuer(json!({ "jwks_uri": JWKS_URL, "jwks_header": header }));
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        let found = faults(config).await;
        assert!(!found.is_empty() && !found.iter().any(|fault| fault.contains("s3cret")), "{found:?}");
    }
    let misspelt = from_toml("[[issuers]]\nissuer = \"https://as.example\"\njwks_header = { valeu = \"s3cret\" }");
    assert!(faults(misspelt).await.iter().all(|fault| !fault.contains("s3cret")));

    let vars = [
        ("SCOPEGATE_ISSUER", ISSUER),
        ("SCOPEGATE_AUDIENCE", "api"),
        ("SCOPEGATE_JWKS_URI", JWKS_URL),
        ("SCOPEGATE_JWKS_HEADER_NAME", "x-api-key"),
        ("SCOPEGATE_JWKS_HEADER_VALUE", "s3cret"),
        ("SCOPEGATE_JWKS_HEADER_VALUE_FILE", "/run/secrets/x"),
        ("SCOPEGATE_JWKS_HEADER_VALEU", "s3cret"),
    ];
    let config = from_vars(&vars);
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    let found = faults(config).await;
    assert_eq!(found.len(), 2, "the twins, and the misspelt one: {found:?}");
    assert!(found.iter().all(|fault| !fault.contains("s3cret")), "{found:?}");
}

#[tokio::test]
async fn plain_http_is_allowed_by_name() {
    let local = |vars: &[(&'static str, &'static str)]| {
        let mut all = vec![("SCOPEGATE_ISSUER", "http://127.0.0.1:9"), ("SCOPEGATE_AUDIENCE", "api")];
        all.extend(vars);
        from_vars(&all)
    };
    let name = "SCOPEGATE_DANGEROUS_ALLOW_HTTP_ON_LOOPBACK";
    assert_eq!(faults(local(&[(name, "true")])).await, NONE);
    assert_eq!(faults(local(&[])).await.len(), 1);
    assert_eq!(faults(local(&[(name, "false")])).await.len(), 1);
    let file = json!({ "issuer": "http://[::1]:9", "dangerous_allow_http_on_loopback": true });
    assert_eq!(faults(from_json(json!({ "audience": "api", "issuers": [file] }))).await, NONE);

    let inside = |settings: Value| {
        let issuer = extended(json!({ "issuer": "http://keycloak:8080/realms/x" }), settings);
        from_json(json!({ "audience": "api", "issuers": [issuer] }))
    };
    assert_eq!(faults(inside(json!({}))).await.len(), 1);
    for hosts in [json!("keycloak"), json!(["other", "keycloak"])] {
        assert_eq!(faults(inside(json!({ "dangerous_allow_http_for_host": hosts }))).await, NONE);
    }
    let vars = [
        ("SCOPEGATE_AUDIENCE", "api"),
        ("SCOPEGATE_ISSUER", "http://keycloak:8080"),
        ("SCOPEGATE_DANGEROUS_ALLOW_HTTP_FOR_HOST", "other, keycloak"),
    ];
    assert_eq!(faults(from_vars(&vars)).await, NONE);
    assert_eq!(
        faults(inside(json!({ "dangerous_allow_http_for_host": [] }))).await.len(),
        2,
        "an empty list is a slip"
    );
    let tenants = json!({
        "template": "http://keycloak/realms/{tenant}",
        "trusted_tenants": "shop",
        "dangerous_allow_http_for_host": "keycloak",
    });
    assert_eq!(faults(from_json(json!({ "audience": "api", "issuers": [tenants] }))).await, NONE);
}

#[tokio::test]
async fn meta_5_an_issuer_of_a_file_may_be_a_name_alone() {
    let name = json!({ "issuer": "http://adfs.corp.example/adfs/services/trust" });
    let built = |settings: Value| {
        faults(from_json(json!({ "audience": "api", "issuers": [extended(name.clone(), settings)] })))
    };
    assert_eq!(built(json!({ "jwks_uri": "https://adfs.corp.example/adfs/discovery/keys" })).await, NONE);
    assert_eq!(built(json!({ "metadata_url": "https://adfs.corp.example/metadata" })).await, NONE);
    assert_eq!(built(json!({})).await.len(), 1);
    let vars = [
        ("SCOPEGATE_AUDIENCE", "api"),
        ("SCOPEGATE_ISSUER", "Our issuer"),
        ("SCOPEGATE_METADATA_URL", "https://adfs.corp.example/metadata"),
    ];
    assert_eq!(faults(from_vars(&vars)).await, NONE);
    let tenants =
        json!({ "template": "urn:corp:{tenant}", "trusted_tenants": "a", "jwks_uri": "https://idp.example/{tenant}" });
    assert_eq!(faults(from_json(json!({ "audience": "api", "issuers": [tenants] }))).await, NONE);
}

#[tokio::test]
async fn times_and_limits_are_those_of_the_file() {
    let with = |setting: &str, value: Value| {
        let mut config = json!({ "audience": "https://api.example", "issuers": [{ "issuer": ISSUER }] });
        config[setting] = value;
        from_json(config)
    };
    let expired = json!({ "exp": 1_699_999_980_u64 });
    let old = json!({ "iat": 1_699_990_000_u64 });
    for (setting, value, changes, expected) in [
        ("leeway", json!("21s"), expired.clone(), None),
        ("leeway", json!("10s"), expired, Some(Reason::Expired)),
        ("max_token_age", json!("3h"), old.clone(), None),
        ("max_token_age", json!("1h"), old, Some(Reason::TokenTooOld)),
        ("max_token_length", json!(1000), json!({}), None),
        ("max_token_length", json!(100), json!({}), Some(Reason::TokenTooLong)),
        ("audience", json!(["x", "https://api.example"]), json!({}), None),
        ("audience", json!("x"), json!({}), Some(Reason::WrongAudience)),
    ] {
        let outcome = judged(with(setting, value.clone()), "a-es256", "at+jwt", changes).await;
        assert_eq!(outcome.err(), expected, "{setting} = {value}");
    }
    let unreachable = with("startup", json!("fail-fast"));
    assert_eq!(faults(unreachable).await.len(), 1, "its keys are asked for before it starts");
}

#[tokio::test]
async fn what_tokens_are_held_to_is_what_the_file_says() {
    let outcome = |settings: Value, key_id: &'static str, token_type: &'static str, changes: Value| async move {
        judged(with_issuer(settings), key_id, token_type, changes).await
    };
    let profile = json!({ "profile": "genauth" });
    assert!(outcome(profile.clone(), "a-es256", "JWT", json!({})).await.is_ok());
    assert_eq!(outcome(profile, "a-es256", "at+jwt", json!({})).await.err(), Some(Reason::WrongTokenType));
    assert_eq!(outcome(json!({}), "a-es256", "JWT", json!({})).await.err(), Some(Reason::WrongTokenType));

    let algorithms = json!({ "algorithms": "ES256" });
    assert!(outcome(algorithms.clone(), "a-es256", "at+jwt", json!({})).await.is_ok());
    assert_eq!(outcome(algorithms, "a-rs256", "at+jwt", json!({})).await.err(), Some(Reason::AlgorithmNotAllowed));

    let parties = json!({ "authorized_parties": ["other"] });
    assert!(outcome(parties.clone(), "a-es256", "at+jwt", json!({ "client_id": "other" })).await.is_ok());
    assert!(outcome(parties, "a-es256", "at+jwt", json!({})).await.is_err());

    let hosts = json!({ "key_hosts": "keys.example" });
    assert_eq!(outcome(hosts, "a-es256", "at+jwt", json!({})).await.err(), Some(Reason::KeysUnavailable));
}

#[tokio::test]
async fn scopes_are_read_as_the_file_says() {
    for (settings, claims, satisfied, not) in [
        (json!({}), json!({}), "read", "book:1:read"),
        (json!({ "scope_claim": "scp" }), json!({ "scp": ["write"] }), "write", "read"),
        (json!({ "scope_claim": ["a", "b"] }), json!({ "a": { "b": "write" } }), "write", "read"),
        (json!({ "scope_grammar": "genauth" }), json!({ "scope": "book:*" }), "book:1:read", "page:1:read"),
        (
            json!({ "scope_grammar": { "admin": ["write", "audit"], "write": "read" } }),
            json!({ "scope": "admin" }),
            "read",
            "other",
        ),
    ] {
        let token = judged(with_issuer(settings.clone()), "a-es256", "at+jwt", claims).await.unwrap();
        let has = |name: &'static str| token.satisfies(&crate::scope(name));
        assert!(has(satisfied) && !has(not), "{settings}");
    }
}

#[tokio::test]
async fn tenants_are_those_of_the_file() {
    let network = Network::new();
    for tenant in ["north", "east"] {
        let issuer = format!("https://{tenant}.idp.example");
        let metadata = json!({ "issuer": issuer, "jwks_uri": JWKS_URL });
        network.put(
            &format!("{issuer}/.well-known/oauth-authorization-server"),
            Answer::Is(200, metadata.to_string().into()),
        );
    }
    network.publish(&["a-es256"]);
    let config = || {
        let entry = json!({ "template": "https://{tenant}.idp.example", "trusted_tenants": ["north", "south"] });
        from_json(json!({ "audience": "https://api.example", "issuers": [entry] }))
    };
    let by = |issuer| json!({ "iss": issuer });
    assert!(
        with_resource_server(&network, config(), "a-es256", "at+jwt", by("https://north.idp.example")).await.is_ok()
    );
    network.requests();
    let stranger = with_resource_server(&network, config(), "a-es256", "at+jwt", by("https://east.idp.example")).await;
    assert_eq!(stranger.err(), Some(Reason::UnknownIssuer));
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn keys_are_read_from_the_file() {
    let folder = Folder::new("keys");
    let file = folder.file("jwks.json", jwks(&["a-es256"]));
    let vars = [("X_ISSUER", ISSUER), ("X_AUDIENCE", "https://api.example"), ("X_JWKS_FILE", &file)];
    for config in [with_issuer(json!({ "jwks_file": file })), Config::from_vars("X", vars)] {
        assert!(with_resource_server(&Network::new(), config, "a-es256", "at+jwt", json!({})).await.is_ok());
    }
}

#[test]
fn a_value_of_another_shape_is_an_error_of_the_reader_that_says_what_is_expected() {
    for (config, expected) in [
        (json!({ "leeway": [] }), "a number or a string"),
        (json!({ "leeway": true }), "a number or a string"),
        (json!({ "audience": 5 }), "a string, or a list of strings"),
        (json!({ "issuers": {} }), "a sequence"),
        (json!({ "issuers": [{ "scope_grammar": 5 }] }), "the name of a grammar, or a table"),
        (json!({ "issuers": [{ "dangerous_allow_http_on_loopback": "true" }] }), "a boolean"),
        (json!({ "issuers": [{ "introspection": true }] }), "a table of settings"),
        (json!({ "issuers": [{ "introspection": { "signed_responses": "true" } }] }), "a boolean"),
        (json!({ "issuers": [{ "introspection": { "introspect_jwts": true } }] }), "a number or a string"),
    ] {
        let error = serde_json::from_value::<Config>(config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_allow_list_of_null_does_not_allow_everything() {
    for field in ["authorized_parties", "key_hosts", "algorithms"] {
        let text = format!(r#"{{"audience":"a","issuers":[{{"issuer":"https://as.example","{field}":null}}]}}"#);
        assert!(serde_json::from_str::<Config>(&text).is_err(), "{field}");
    }
}

#[test]
fn an_introspection_of_null_is_not_one_that_was_left_out() {
    for entry in [
        json!({ "introspection": null }),
        json!({ "introspection": { "introspect_jwts": null } }),
        json!({ "introspection": { "token_prefixes": null } }),
        json!({ "introspection": { "signed_responses": null } }),
    ] {
        let text = json!({ "issuers": [entry] }).to_string();
        assert!(serde_json::from_str::<Config>(&text).is_err(), "{text}");
    }
}

/// The introspection of the only issuer, which has no faults.
fn introspection(mut config: Config) -> Introspection {
    let mut faults = config.faults;
    let table = config.issuers[0].introspection.take().unwrap();
    let introspection = table.read(&mut Place { prefix: String::new(), variables: None, faults: &mut faults });
    assert_eq!(faults, NONE);
    introspection
}

/// The variables with the settings of this table.
fn variables(prefix: &str, table: &Value) -> Vec<(String, String)> {
    let Value::Object(table) = table else { unreachable!() };
    let mut all = Vec::new();
    for (name, value) in table {
        let name = format!("{prefix}_{}", name.to_uppercase());
        match value {
            Value::Object(_) => all.extend(variables(&name, value)),
            Value::Array(elements) => {
                let elements: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
                all.push((name, elements.join(",")));
            }
            Value::String(text) => all.push((name, text.clone())),
            other => all.push((name, other.to_string())),
        }
    }
    all
}

fn asked_by_variables(table: &Value) -> Config {
    let issuer = ["ISSUER", "AUDIENCE"].map(|name| (format!("SCOPEGATE_{name}"), ISSUER.to_owned()));
    Config::from_vars("SCOPEGATE", issuer.into_iter().chain(variables("SCOPEGATE_INTROSPECTION", table)))
}

#[test]
fn every_setting_of_introspection_is_its_own() {
    let seconds = Duration::from_secs;
    let (cache, limits) = (CacheConfig::default, Limits::default);
    let plain = || Introspection::discovered(ClientAuthentication::client_secret_basic("orders-api", "s3cret"));
    let all = |introspection: &Introspection| {
        let Introspection { endpoint, parameters, token_type_hint, prefixes, .. } = introspection;
        let Introspection { signed, aliases, audience_waived, demands_token_type, .. } = introspection;
        let Introspection { scope_may_be_array, jwts, cache, limits, max_response, .. } = introspection;
        let whence = (endpoint, parameters, token_type_hint, prefixes);
        let demands = (signed, aliases, audience_waived, demands_token_type, scope_may_be_array);
        format!("{whence:?} {demands:?} {jwts:?} {cache:?} {limits:?} {max_response:?}")
    };
    let at = Introspection::at(
        "https://as.example/introspect",
        ClientAuthentication::client_secret_basic("orders-api", "s3cret"),
    );
    for (settings, expected) in [
        (json!({}), plain()),
        (json!({ "endpoint": "https://as.example/introspect" }), at),
        (json!({ "token_prefixes": ["ory_at_", "ory_"] }), plain().token_prefix("ory_at_").token_prefix("ory_")),
        (json!({ "token_prefixes": "ory_at_" }), plain().token_prefix("ory_at_")),
        (json!({ "token_type_hint": true }), plain()),
        (json!({ "token_type_hint": false }), plain().without_token_type_hint()),
        (json!({ "signed_responses": true }), plain().signed_responses()),
        (json!({ "signed_responses": false }), plain()),
        (json!({ "endpoint_hosts": ["a.example"] }), plain().endpoint_hosts(["a.example"])),
        (json!({ "issuer_aliases": ["a", "b"] }), plain().issuer_alias("a").issuer_alias("b")),
        (
            json!({ "dangerous_accept_responses_without_audience": true }),
            plain().dangerous_accept_responses_without_audience(),
        ),
        (json!({ "require_token_type": true }), plain().require_token_type()),
        (json!({ "scope_may_be_array": true }), plain().scope_may_be_array()),
        (json!({ "introspect_jwts": "where-required" }), plain()),
        (json!({ "introspect_jwts": "instead" }), plain().introspect_jwts(JwtIntrospection::Instead)),
        (json!({ "introspect_jwts": "10s" }), plain().introspect_jwts(JwtIntrospection::NoOlderThan(seconds(10)))),
        (json!({ "introspect_jwts": 0 }), plain().introspect_jwts(JwtIntrospection::NoOlderThan(seconds(0)))),
        (json!({ "cache": { "ttl": 1 } }), plain().cache(cache().ttl(seconds(1)))),
        (json!({ "cache": { "negative_ttl": 2 } }), plain().cache(cache().negative_ttl(seconds(2)))),
        (json!({ "cache": { "max_bytes": 65536 } }), plain().cache(cache().max_bytes(65_536))),
        (json!({ "cache": { "ttl": 0, "negative_ttl": 0, "max_bytes": 0 } }), plain().cache(CacheConfig::off())),
        (json!({ "limits": { "timeout": "1s" } }), plain().limits(limits().timeout(seconds(1)))),
        (json!({ "limits": { "max_in_flight": 2 } }), plain().limits(limits().max_in_flight(2))),
        (json!({ "limits": { "max_queued": 3 } }), plain().limits(limits().max_queued(3))),
        (json!({ "limits": { "breaker_threshold": 4 } }), plain().limits(limits().breaker_threshold(4))),
        (
            json!({ "limits": { "breaker_open_for": 5 } }),
            plain().limits(limits().breaker_open_for(seconds(5), seconds(30))),
        ),
        (
            json!({ "limits": { "breaker_max_open_for": 6 } }),
            plain().limits(limits().breaker_open_for(seconds(1), seconds(6))),
        ),
        (json!({ "max_response": 2048 }), plain().max_response(2048)),
    ] {
        let table = extended(json!({ "client_id": "orders-api", "client_secret": "s3cret" }), settings);
        for config in [with_issuer(json!({ "introspection": table })), asked_by_variables(&table)] {
            assert_eq!(all(&introspection(config)), all(&expected), "{table}");
        }
    }
    let table = json!({ "client_id": "orders-api", "client_secret": "s3cret",
                        "parameters": { "resource": "https://api.example", "tenant": "north" } });
    let expected = plain().parameter("resource", "https://api.example").parameter("tenant", "north");
    assert_eq!(all(&introspection(with_issuer(json!({ "introspection": table })))), all(&expected));
    let nothing = json!({ "client_id": "orders-api", "client_secret": "s3cret", "client_secret_file": null,
                          "endpoint": null, "token_type_hint": null, "issuer_aliases": null, "max_response": null,
                          "cache": { "ttl": null }, "limits": { "breaker_open_for": null } });
    assert_eq!(all(&introspection(with_issuer(json!({ "introspection": nothing })))), all(&plain()));
}

/// The credentials that a client sends: the header field and the form. Of an assertion, only the constant part.
fn sent(client: ClientAuthentication) -> (Option<String>, Vec<(String, String)>) {
    let authenticator = client.prepare(BACKENDS[0]).unwrap();
    let (mut headers, mut form) = (HeaderMap::new(), Vec::new());
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    authenticator.authenticate(ISSUER, now, &mut headers, &mut form).unwrap();
    let form = form.into_iter().map(|(name, value)| {
        let value = if name == "client_assertion" {
            let mut parts = value.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
            let header = String::from_utf8(parts.next().unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
            format!("{header} {} {}", claims["sub"], claims["aud"])
        } else {
            value.into_owned()
        };
        (name.to_owned(), value)
    });
    (headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()), form.collect())
}

#[test]
fn a_client_authenticates_by_the_method_of_the_file() {
    type By = ClientAuthentication;
    let folder = Folder::new("methods");
    let secret = "s3cret-that-is-32-bytes-long-or-more";
    let pem = private_pem("a-rsa-noalg");
    for (settings, expected) in [
        (json!({ "client_id": "api", "client_secret": secret }), By::client_secret_basic("api", secret)),
        (
            json!({ "client_authentication": "client_secret_basic", "client_id": "api", "client_secret": secret }),
            By::client_secret_basic("api", secret),
        ),
        (
            json!({ "client_authentication": "client_secret_post", "client_id": "api", "client_secret": secret }),
            By::client_secret_post("api", secret),
        ),
        (
            json!({ "client_authentication": "client_secret_jwt", "client_id": "api", "client_secret": secret }),
            By::client_secret_jwt("api", secret),
        ),
        (
            json!({ "client_authentication": "client_secret_jwt", "client_id": "api", "client_secret": secret,
                    "assertion_audience": "https://as.example/token" }),
            By::client_secret_jwt("api", secret).audience("https://as.example/token"),
        ),
        (
            json!({ "client_authentication": "private_key_jwt", "client_id": "api", "private_key": pem }),
            By::private_key_jwt("api", &pem),
        ),
        (
            json!({ "client_authentication": "private_key_jwt", "client_id": "api", "private_key": pem,
                    "algorithm": "PS384" }),
            By::private_key_jwt("api", &pem).algorithm(Algorithm::Ps384),
        ),
        (
            json!({ "client_authentication": "private_key_jwt", "client_id": "api", "private_key": pem,
                    "key_id": "1" }),
            By::private_key_jwt("api", &pem).key_id("1"),
        ),
        (
            json!({ "client_authentication": "private_key_jwt", "client_id": "api", "private_key": pem,
                    "assertion_audience": "https://as.example/token" }),
            By::private_key_jwt("api", &pem).audience("https://as.example/token"),
        ),
        (json!({ "client_authentication": "bearer", "bearer_token": secret }), By::bearer(secret)),
        (json!({ "client_authentication": "none", "client_id": "api" }), By::none("api")),
    ] {
        let mut in_files = settings.clone();
        for name in ["client_secret", "private_key", "bearer_token"] {
            if let Some(secret) = in_files.as_object_mut().unwrap().remove(name) {
                let file = folder.file(name, format!("{}\n", secret.as_str().unwrap()));
                in_files[format!("{name}_file")] = file.into();
            }
        }
        let expected = sent(expected);
        for table in [settings, in_files] {
            for config in [with_issuer(json!({ "introspection": table })), asked_by_variables(&table)] {
                assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
                assert_eq!(sent(introspection(config).client), expected, "{table}");
            }
        }
    }
    let certificate = json!({ "client_authentication": "tls_client_auth", "client_id": "api" });
    for config in [with_issuer(json!({ "introspection": certificate })), asked_by_variables(&certificate)] {
        assert!(introspection(config).client.prepare(BACKENDS[0]).unwrap().uses_tls());
    }
}

#[test]
fn keys_are_not_needed_where_the_issuer_is_asked_instead() {
    let asked = |settings: Value, introspection: Value| {
        let table = extended(json!({ "client_authentication": "none", "client_id": "api" }), introspection);
        shown(&with_issuer(extended(settings, json!({ "introspection": table }))).into_builder())
    };
    let plain = || Introspection::discovered(ClientAuthentication::none("api"));
    let with = |issuer: Issuer| shown(&ResourceServer::builder().audience("https://api.example").issuer(issuer));
    let instead = || plain().introspect_jwts(JwtIntrospection::Instead);
    for (settings, introspection, expected) in [
        (json!({}), json!({}), Issuer::discovered(ISSUER).introspection(plain())),
        (json!({}), json!({ "introspect_jwts": "instead" }), Issuer::introspected(ISSUER, plain())),
        (
            json!({}),
            json!({ "introspect_jwts": "instead", "signed_responses": true }),
            Issuer::discovered(ISSUER).introspection(instead().signed_responses()),
        ),
        (
            json!({ "jwks_uri": JWKS_URL }),
            json!({ "introspect_jwts": "instead" }),
            Issuer::with_jwks_uri(ISSUER, JWKS_URL).introspection(instead()),
        ),
        (
            json!({ "jwks_file": "/keys" }),
            json!({ "introspect_jwts": "instead" }),
            Issuer::with_jwks_file(ISSUER, "/keys").introspection(instead()),
        ),
    ] {
        assert_eq!(asked(settings.clone(), introspection.clone()), with(expected), "{settings} {introspection}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_introspection_is_a_fault_with_its_remedy() {
    let both = "is given both directly and by a file; keep one of them";
    let neither = "is missing; set it, or name the file that holds it";
    let no_id = "is missing; set the id that the issuer has for this API";
    let useless =
        |method: &str| format!("is not used by \"{method}\"; remove it, or choose another `client_authentication`");
    let (basic, none, bearer) = (useless("client_secret_basic"), useless("none"), useless("bearer"));
    let (jwt, tls, private) = (useless("client_secret_jwt"), useless("tls_client_auth"), useless("private_key_jwt"));
    let method = |name: &str, settings| extended(json!({ "client_authentication": name }), settings);
    let with = |settings| method("none", extended(json!({ "client_id": "api" }), settings));
    let secret = "s3cret-that-is-32-bytes-long-or-more";
    let pem = private_pem("a-es256");
    for (table, expected) in [
        (json!({}), vec![("client_id", no_id), ("client_secret", neither)]),
        (json!({ "client_id": "api" }), vec![("client_secret", neither)]),
        (json!({ "client_secret": secret }), vec![("client_id", no_id)]),
        (
            json!({ "client_id": "api", "client_secret": secret, "client_secret_file": "/x" }),
            vec![("client_secret", both)],
        ),
        (json!({ "client_id": "api", "client_secret": 5 }), vec![("client_secret", "is not a string")]),
        (
            json!({ "client_id": "api", "private_key_file": "/x" }),
            vec![("client_secret", neither), ("private_key_file", &basic)],
        ),
        (method("client_secret_post", json!({})), vec![("client_id", no_id), ("client_secret", neither)]),
        (
            method("client_secret_jwt", json!({ "client_id": "api", "assertion_audience": "x", "key_id": "1" })),
            vec![("client_secret", neither), ("key_id", &jwt)],
        ),
        (
            method("private_key_jwt", json!({ "algorithm": "HS256" })),
            vec![
                ("client_id", no_id),
                ("private_key", neither),
                (
                    "algorithm",
                    "\"HS256\" is not supported; use one of ES256, ES384, Ed25519, RS256, RS384, RS512, PS256, \
                     PS384, PS512",
                ),
            ],
        ),
        (
            method(
                "private_key_jwt",
                json!({ "client_id": "api", "private_key": pem, "private_key_file": "/x",
                                              "client_secret": secret }),
            ),
            vec![("private_key", both), ("client_secret", &private)],
        ),
        (method("bearer", json!({})), vec![("bearer_token", neither)]),
        (
            method("bearer", json!({ "bearer_token": secret, "bearer_token_file": "/x", "client_id": "api" })),
            vec![("bearer_token", both), ("client_id", &bearer)],
        ),
        (
            method("tls_client_auth", json!({ "private_key": pem, "private_key_file": "/x" })),
            vec![("client_id", no_id), ("private_key", &tls), ("private_key_file", &tls)],
        ),
        (method("none", json!({})), vec![("client_id", no_id)]),
        (
            with(json!({ "client_secret": secret, "client_secret_file": "/x", "bearer_token": "x",
                         "bearer_token_file": "/x", "key_id": "1", "algorithm": "ES256", "assertion_audience": "x" })),
            vec![
                ("client_secret", &none),
                ("client_secret_file", &none),
                ("bearer_token", &none),
                ("bearer_token_file", &none),
                ("key_id", &none),
                ("algorithm", &none),
                ("assertion_audience", &none),
            ],
        ),
        (
            method("client-secret-basic", json!({ "client_id": "api" })),
            vec![(
                "client_authentication",
                "\"client-secret-basic\" is not a method; use one of client_secret_basic, client_secret_post, \
                 client_secret_jwt, private_key_jwt, bearer, tls_client_auth, none",
            )],
        ),
        (
            with(json!({ "token_prefixes": [] })),
            vec![("token_prefixes", "is an empty list; remove it for the default")],
        ),
        (
            with(json!({ "issuer_aliases": [] })),
            vec![("issuer_aliases", "is an empty list; remove it for the default")],
        ),
        (with(json!({ "parameters": { "a\nb": 5 } })), vec![("parameters.a\\nb", "is not a string")]),
        (
            with(json!({ "introspect_jwts": "always" })),
            vec![(
                "introspect_jwts",
                "\"always\" is not a way to introspect JWTs; write \"where-required\", \"instead\", or how old a cached response may \
                 be, such as \"10s\"",
            )],
        ),
        (
            with(json!({ "max_response": "64k", "cache": { "max_bytes": -1 } })),
            vec![
                ("max_response", "\"64k\" is not a whole number, or is too large"),
                ("cache.max_bytes", "\"-1\" is not a whole number, or is too large"),
            ],
        ),
        (
            with(json!({ "limits": { "breaker_threshold": 4_294_967_296_u64, "max_in_flight": "many" } })),
            vec![
                ("limits.max_in_flight", "\"many\" is not a whole number, or is too large"),
                ("limits.breaker_threshold", "\"4294967296\" is not a whole number, or is too large"),
            ],
        ),
    ] {
        let expected: Vec<String> = expected
            .into_iter()
            .map(|(setting, fault)| format!("issuer \"https://as.example\": introspection.{setting}: {fault}"))
            .collect();
        assert_eq!(faults(with_issuer(json!({ "introspection": table }))).await, expected, "{table}");
    }
    for setting in
        ["cache.ttl", "cache.negative_ttl", "limits.timeout", "limits.breaker_open_for", "limits.breaker_max_open_for"]
    {
        let (table, name) = setting.split_once('.').unwrap();
        let found = faults(with_issuer(json!({ "introspection": with(json!({ table: { name: "5m" } })) }))).await;
        let beginning = format!("issuer \"https://as.example\": introspection.{setting}: \"5m\" is not a duration; ");
        assert!(found.len() == 1 && found[0].starts_with(&beginning), "{found:?}");
    }
}

#[tokio::test]
async fn the_faults_of_an_introspection_are_named_at_once_with_those_of_the_builder() {
    let table = json!({
        "client_secret_file": "/nowhere/to/be/found",
        "endpoint": "http://as.example/introspect",
        "parameters": { "token": "x" },
        "cache": { "ttl": "10min" },
        "max_response": 1,
    });
    let found = faults(with_issuer(json!({ "introspection": table }))).await;
    let beginnings = [
        "introspection.client_id: is missing",
        "introspection.client_secret_file: the file \"/nowhere/to/be/found\" cannot be read: ",
        "introspection remembers good tokens for more than 5 minutes",
        "introspection sends the form field `token` itself",
        "`max_response` is not between",
        "the introspection endpoint \"http://as.example/introspect\"",
    ];
    for (found, beginning) in found.iter().zip(beginnings) {
        assert!(found.starts_with(&format!("issuer \"https://as.example\": {beginning}")), "{found} / {beginning}");
    }
    assert_eq!(found.len(), beginnings.len(), "{found:#?}");

    let entry = json!({ "introspection": { "client_authentication": "none" } });
    let found = faults(from_json(json!({ "audience": "api", "issuers": [entry] }))).await;
    assert!(found.iter().any(|fault| fault.starts_with("issuers[0]: introspection.client_id: ")), "{found:?}");
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_with_the_secret_of_the_file() {
    let folder = Folder::new("asked");
    let file = folder.file("secret", "s3cret\n");
    let endpoint = "https://as.example/introspect?key=s3cret";
    // The network of these tests requires its own limit, which is that of key sets.
    let settings = json!({ "client_id": "orders-api", "endpoint": endpoint, "max_response": 524_288 });
    let with = |name: &str, value: &str| extended(settings.clone(), json!({ name: value }));
    for table in [with("client_secret", "s3cret"), with("client_secret_file", &file)] {
        for config in [with_issuer(json!({ "introspection": table })), asked_by_variables(&table)] {
            assert!(!format!("{config:#?}").contains("s3cret"), "{config:#?}");
            assert!(!shown(&config.clone().into_builder()).contains("s3cret"));
            let network = Network::new();
            let answer = json!({ "active": true, "sub": "alice", "client_id": "app", "scope": "read",
                                 "aud": ["https://api.example", ISSUER] });
            let fields = vec![("content-type", "application/json")];
            network.put(endpoint, Answer::With(200, fields, answer.to_string().into()));
            let builder = config.into_builder().fetch(network.clone()).clock(SetClock::new());
            let server = builder.build().await.unwrap();
            let request = Request::builder().header(AUTHORIZATION, "Bearer opaque").body(()).unwrap();
            assert!(server.authenticate(&request.into_parts().0).await.is_ok());
            assert_eq!(network.headers()[AUTHORIZATION], "Basic b3JkZXJzLWFwaTpzM2NyZXQ=");
        }
    }
}

#[tokio::test]
async fn a_secret_for_introspection_is_in_no_fault() {
    let folder = Folder::new("unasked");
    let file = folder.file("secret", "s3cret\u{1}\n");
    let by = |method: &str, settings| {
        let table = json!({ "client_authentication": method, "endpoint": "https://as.example/i?s3cret" });
        extended(table, settings)
    };
    for table in [
        by("client_secret_basic", json!({ "client_id": "a", "client_secret_file": file })),
        by("client_secret_basic", json!({ "client_id": "a", "client_secret": "s3cret", "client_secret_file": file })),
        by("client_secret_basic", json!({ "client_id": "a", "client_secret": ["s3cret"] })),
        by("client_secret_basic", json!({ "client_id": "a", "client_secert": "s3cret" })),
        by("client_secret_post", json!({ "client_secret": "s3cret" })),
        by("client_secret_jwt", json!({ "client_id": "a", "client_secret": "s3cret" })),
        by("private_key_jwt", json!({ "client_id": "a", "private_key": "s3cret" })),
        by("private_key_jwt", json!({ "client_id": "a", "private_key_file": file })),
        by("private_key_jwt", json!({ "client_id": "a", "private_key": { "s3cret": "s3cret" } })),
        by("bearer", json!({ "bearer_token": "s3cret s3cret" })),
        by("bearer", json!({ "bearer_token_file": file })),
        by("none", json!({ "client_id": "a", "client_secret": "s3cret", "private_key": "s3cret" })),
        by("basic", json!({ "client_id": "a", "client_secret": "s3cret" })),
        by("none", json!({ "client_id": "a", "parameters": { "client_secret": "s3cret" } })),
        by("none", json!({ "client_id": "a", "parameters": { "key": ["s3cret"] } })),
    ] {
        let config = with_issuer(json!({ "introspection": table }));
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        assert!(!shown(&config.clone().into_builder()).contains("s3cret"));
        let found = faults(config).await;
        assert!(!found.is_empty() && !found.iter().any(|fault| fault.contains("s3cret")), "{found:?}");
    }

    let table = json!({ "client_id": "a", "client_secret": "s3cret", "client_secret_file": file,
                        "client_secert": "s3cret", "private_key": "s3cret", "bearer_token": "s3cret" });
    let config = asked_by_variables(&table);
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    let found = faults(config).await;
    assert_eq!(found.len(), 4, "the twins, the misspelt one, and two of no use: {found:?}");
    assert!(found.iter().all(|fault| !fault.contains("s3cret")), "{found:?}");
}
