use std::time::Duration;

use http::{Request, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::*;
use crate::{
    BuildError, Reason, StartUp, VerifiedToken,
    crypto::tests::{jwks, token},
    resource_server::tests::{Answer, ISSUER, JWKS_URL, Network, SetClock},
};

const EXAMPLE: &str = include_str!("example.toml");

/// A folder that is there for one test.
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

/// The least that can be built, with other settings of its issuer besides.
fn with_issuer(settings: Value) -> Config {
    let mut issuer = json!({ "issuer": ISSUER });
    let Value::Object(settings) = settings else { unreachable!() };
    issuer.as_object_mut().unwrap().extend(settings);
    from_json(json!({ "audience": "https://api.example", "issuers": [issuer] }))
}

async fn faults(config: Config) -> Vec<String> {
    let outcome = config.into_builder().fetch(Network::new()).build().await;
    outcome.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
}

const NONE: [String; 0] = [];

fn shown(builder: &ResourceServerBuilder) -> String {
    format!("{builder:#?}")
}

/// Has the issuer's keys judge a token of these claims, besides those that every token has.
async fn judged(config: Config, key_id: &str, token_type: &str, changes: Value) -> Result<VerifiedToken, Reason> {
    judged_by(&Network::with_issuer(&["a-es256", "a-rs256"]), config, key_id, token_type, changes).await
}

async fn judged_by(
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

/// What the example of the docs says, in code.
fn example_in_code() -> ResourceServerBuilder {
    let refresh = KeyRefresh::default()
        .cool_down(Duration::from_secs(60))
        .interval(Duration::from_secs(300), Duration::from_secs(3600));
    ResourceServer::builder()
        .audience("https://api.example")
        .leeway(Duration::from_secs(30))
        .max_token_age(Duration::from_secs(12 * 60 * 60))
        .max_token_length(8192)
        .start_up(StartUp::WaitAtMost(Duration::from_secs(10)))
        .key_refresh(refresh.clone())
        .issuer(
            Issuer::discover("https://tenant.example/oidc")
                .algorithms([Algorithm::Rs256, Algorithm::Es256])
                .authorized_parties(["web", "mobile"])
                .scope_grammar(
                    ImpliedScopes::new().imply("admin", ["write"]).unwrap().imply("write", ["read"]).unwrap(),
                ),
        )
        .issuer(
            Issuer::with_jwks_uri("https://steam-talk.genauth.ai/oidc", "https://keys.example/jwks")
                .audience("60193c610f9117e7cb049159")
                .profile(Profile::genauth())
                .scope_grammar(GenAuthScopes)
                .jwks_header("x-api-key", "s3cret")
                .key_hosts(["keys.example"])
                .key_refresh(refresh.timeout(Duration::from_millis(500)).max_keys(10)),
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
    let builder = from_toml(&EXAMPLE.replace("/run/secrets/jwks-key", &secret)).into_builder();
    assert_eq!(shown(&builder), shown(&example_in_code()));
    let built = builder.start_up(StartUp::Lazy).fetch(Network::new()).build().await;
    assert_eq!(built.unwrap().default_realm(), "https://api.example");

    let found = faults(from_toml(EXAMPLE)).await;
    assert_eq!(found.len(), 1, "the secret is not on this machine: {found:?}");
}

#[test]
fn json_and_toml_that_say_the_same_make_the_same() {
    let secret = Folder::new("same");
    let secret = secret.file("jwks-key", "s3cret\n");
    let toml = EXAMPLE.replace("/run/secrets/jwks-key", &secret);
    let json = json!({
        "audience": ["https://api.example"],
        "leeway": 30,
        "max_token_age": "720min",
        "max_token_length": "8192",
        "start_up": 10,
        "key_refresh": { "cool_down": 60, "max_interval": "60min" },
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
        ("SCOPEGATE_START_UP", "10s"),
        ("SCOPEGATE_KEY_REFRESH_COOL_DOWN", "1min"),
        ("SCOPEGATE_KEY_REFRESH_MAX_INTERVAL", "1h"),
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
    ];
    let toml = EXAMPLE
        .replace("/run/secrets/jwks-key", &secret)
        .replace("scope_grammar = { admin = [\"write\"], write = [\"read\"] }\n", "");
    let expected = shown(&from_toml(&toml).into_builder());
    assert_eq!(shown(&from_vars(&vars).into_builder()), expected);
    assert_eq!(shown(&Config::from_vars("SCOPEGATE_", vars).into_builder()), expected, "the underscore may be given");
}

#[test]
fn every_setting_of_the_refresh_of_keys_is_its_own() {
    let refresh = json!({
        "cool_down": 1, "min_interval": 2, "max_interval": 3, "max_stale": 4, "timeout": 5, "max_document": 6000,
        "max_keys": 7,
    });
    let expected = KeyRefresh::default()
        .cool_down(Duration::from_secs(1))
        .interval(Duration::from_secs(2), Duration::from_secs(3))
        .max_stale(Duration::from_secs(4))
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
fn nothing_is_what_the_builder_has_by_default() {
    let default = shown(&ResourceServer::builder());
    assert_eq!(shown(&from_toml("").into_builder()), default);
    assert_eq!(shown(&from_vars(&[]).into_builder()), default);
    let issuer = shown(&ResourceServer::discover(ISSUER));
    assert_eq!(shown(&from_vars(&[("SCOPEGATE_ISSUER", ISSUER)]).into_builder()), issuer);
    let plain = json!({ "scope_grammar": "exact", "profile": "rfc9068", "dangerous_allow_http_on_loopback": false });
    assert_eq!(
        shown(&with_issuer(plain).into_builder()),
        shown(&ResourceServer::discover(ISSUER).audience("https://api.example"))
    );
}

#[test]
fn code_may_go_on_where_the_file_ends() {
    let config = from_toml("leeway = \"10s\"\n[[issuers]]\nissuer = \"https://as.example\"");
    let builder = config.into_builder().leeway(Duration::from_secs(5)).audience("added");
    let in_code = ResourceServer::discover(ISSUER).leeway(Duration::from_secs(5)).audience("added");
    assert_eq!(shown(&builder), shown(&in_code));
}

#[tokio::test]
async fn a_setting_that_is_unknown_is_refused_at_every_level() {
    for (config, setting) in [
        (json!({ "leewya": 5 }), "leewya"),
        (json!({ "issuer": ISSUER }), "issuer"),
        (json!({ "key_refresh": { "timeuot": { "deep": [1] } } }), "key_refresh.timeuot"),
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
            json!({ "issuers": [{ "template": "https://{tenant}.idp.example", "trusted_tenants": "a", "a\nb": null }] }),
            "tenants \"https://{tenant}.idp.example\": a\\nb",
        ),
    ] {
        let fault = format!("{setting}: is no setting; check its spelling, and the table that it is in");
        {
            let mut config = from_json(config);
            config.audience = Some(List(vec!["api".into()]));
            if config.issuers.is_empty() {
                config.issuers.push(IssuerTable { issuer: Some(Address(ISSUER.into())), ..IssuerTable::default() });
            }
            assert_eq!(faults(config).await, [fault.as_str()]);
        }
    }
}

#[tokio::test]
async fn a_variable_that_is_unknown_is_refused() {
    for name in [
        "SCOPEGATE_",
        "SCOPEGATE_AUDIENCES",
        "SCOPEGATE_issuer",
        "SCOPEGATE_KEY_REFRESH_",
        "SCOPEGATE_KEY_REFRESH_TIME",
        "SCOPEGATE_PROFILE_FILE",
        "SCOPEGATE_ISSUER_",
        "SCOPEGATE_ISSUER_X",
        "SCOPEGATE_ISSUER_01_PROFILE",
        "SCOPEGATE_ISSUER_+1_PROFILE",
        "SCOPEGATE_ISSUER_65536",
        "SCOPEGATE_ISSUER_1_ISSUER",
        "SCOPEGATE_ISSUER_1_LEEWAY",
        "SCOPEGATE_ISSUER_1_KEY_REFRESH_X",
        "SCOPEGATE_JWKS_HEADER_NAME_FILE",
        "SCOPEGATE_SERVICE_HOST",
    ] {
        let vars = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api"), (name, "x")];
        assert_eq!(
            faults(from_vars(&vars)).await,
            [format!("{name}: is no setting; check its spelling, or choose another prefix if it is somebody else's")]
        );
    }
}

#[tokio::test]
async fn the_variables_of_the_process_are_read() {
    // Cargo sets some, none of which is a setting.
    let found = faults(Config::from_env("CARGO")).await;
    assert!(found.iter().any(|fault| fault.starts_with("CARGO_MANIFEST_DIR: is no setting")), "{found:?}");
}

#[tokio::test]
async fn a_variable_that_cannot_be_read_is_refused() {
    let good = [("SCOPEGATE_ISSUER", ISSUER), ("SCOPEGATE_AUDIENCE", "api")];
    assert_eq!(faults(from_vars(&good)).await, NONE);
    for (name, value, fault) in [
        ("SCOPEGATE_PROFILE", "", "is empty; unset it for the default"),
        ("SCOPEGATE_ALGORITHMS", "RS256,,ES256", "has an empty element; separate the elements by single commas"),
        ("SCOPEGATE_ALGORITHMS", "RS256,", "has an empty element; separate the elements by single commas"),
        ("SCOPEGATE_DANGEROUS_ALLOW_HTTP_ON_LOOPBACK", "1", "\"1\" is neither \"true\" nor \"false\""),
    ] {
        let vars = [good[0], good[1], (name, value)];
        assert_eq!(faults(from_vars(&vars)).await, [format!("{name}: {fault}")]);
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
    assert!(found[1].starts_with("SCOPEGATE_\u{fffd}: is no setting"));
}

#[tokio::test]
async fn a_setting_that_cannot_be_read_or_contradicts_another_is_a_fault() {
    for (settings, fault) in [
        (
            json!({ "profile": "auth9" }),
            "profile: \"auth9\" is none; these are: auth0, auth0-rfc9068, cloudflare-access, cognito, dangerous-github-actions, duende, entra-v1, entra-v2, genauth, google, kanidm, keycloak, kubernetes, logto, node-oidc-provider, okta, ory-hydra, pingone, rfc9068, spring-authorization-server, zitadel",
        ),
        (
            json!({ "algorithms": ["ES256", "HS256"] }),
            "algorithms: \"HS256\" is none that can be used; these can: ES256, ES384, Ed25519, RS256, RS384, RS512, \
             PS256, PS384, PS512",
        ),
        (
            json!({ "algorithms": "none" }),
            "algorithms: \"none\" is none that can be used; these can: ES256, ES384, Ed25519, RS256, RS384, RS512, \
             PS256, PS384, PS512",
        ),
        (json!({ "algorithms": [] }), "algorithms: is an empty list; leave it out for the default"),
        (json!({ "audience": [] }), "audience: is an empty list; leave it out for the default"),
        (json!({ "authorized_parties": [] }), "authorized_parties: is an empty list; leave it out for the default"),
        (json!({ "key_hosts": [] }), "key_hosts: is an empty list; leave it out for the default"),
        (json!({ "scope_claim": [] }), "scope_claim: is an empty list; leave it out for the default"),
        (
            json!({ "scope_grammar": "wild" }),
            "scope_grammar: \"wild\" is none; write \"exact\" or \"genauth\", or a table of scopes and what each implies",
        ),
        (
            json!({ "jwks_uri": JWKS_URL, "jwks_file": "/x" }),
            "jwks_uri: is given beside `jwks_file`; the keys come from one of them",
        ),
        (
            json!({ "trusted_tenants": ["a"] }),
            "trusted_tenants: is for tenants, which have a `template` instead of an `issuer`",
        ),
        (
            json!({ "max_live_tenants": 5 }),
            "max_live_tenants: is for tenants, which have a `template` instead of an `issuer`",
        ),
        (
            json!({ "template": "https://{tenant}.idp.example" }),
            "issuer: is given beside `template`; an entry is one issuer or many tenants",
        ),
        (json!({ "jwks_header": { "value": "x" } }), "jwks_header.name: is missing"),
        (
            json!({ "jwks_header": { "name": "x" } }),
            "jwks_header.value: is missing; give it, or the file that it is in",
        ),
        (
            json!({ "jwks_header": { "name": "x", "value": "x", "value_file": "/x" } }),
            "jwks_header.value: is given by itself and by a file; keep one of them",
        ),
        (
            json!({ "key_refresh": { "timeout": "5m" } }),
            "key_refresh.timeout: \"5m\" is no duration; write a whole number and one of ms, s, min, h and d, such as \
             \"30s\", or a number of seconds",
        ),
        (
            json!({ "key_refresh": { "max_keys": -1 } }),
            "key_refresh.max_keys: \"-1\" is no whole number, or too great a one",
        ),
        (
            json!({ "key_refresh": { "max_keys": 1.5 } }),
            "key_refresh.max_keys: \"1.5\" is no whole number, or too great a one",
        ),
    ] {
        let mut config = with_issuer(settings.clone());
        // So that an entry which comes to nothing is not the only one.
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
    for (settings, fault) in [
        (json!({}), "trusted_tenants: is missing; name the tenants whose tokens are accepted"),
        (json!({ "trusted_tenants": [] }), "trusted_tenants: is missing; name the tenants whose tokens are accepted"),
        (
            json!({ "trusted_tenants": ["a", "b/c"] }),
            "trusted_tenants: \"b/c\" is no tenant's name: up to 256 letters, digits, and `-._~`",
        ),
        (
            json!({ "trusted_tenants": "a", "jwks_uri": JWKS_URL }),
            "jwks_uri: is not for tenants, whose keys are found through their metadata",
        ),
        (
            json!({ "trusted_tenants": "a", "jwks_file": "/x" }),
            "jwks_file: is not for tenants, whose keys are found through their metadata",
        ),
    ] {
        assert_eq!(faults(tenants(settings)).await, [format!("tenants \"https://{{tenant}}.idp.example\": {fault}")]);
    }
}

#[tokio::test]
async fn an_entry_without_an_issuer_is_a_fault_that_says_which() {
    let fault = "issuer: is missing; give the identifier, or a `template` for many tenants";
    let none = "issuer: none is configured; name at least one, with `ResourceServer::discover`, `.issuer(..)` or in the configuration";
    assert_eq!(
        faults(from_json(json!({ "issuers": [{ "profile": "genauth" }] }))).await,
        [format!("issuers[0]: {fault}").as_str(), none]
    );
    for (variable, place) in
        [("SCOPEGATE_PROFILE", "SCOPEGATE_ISSUER"), ("SCOPEGATE_ISSUER_7_PROFILE", "SCOPEGATE_ISSUER_7")]
    {
        assert_eq!(faults(from_vars(&[(variable, "genauth")])).await, [format!("{place}: {fault}").as_str(), none]);
    }
}

#[tokio::test]
async fn every_fault_is_named_at_once_with_those_of_the_builder() {
    let config = from_toml(
        r#"
        leeway = "10min"
        max_token_age = "soon"
        max_token_length = 0
        start_up = "slow"
        unheard = "of"
        [key_refresh]
        cool_down = "never"
        [[issuers]]
        issuer = "http://as.example"
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
        "unheard: is no setting",
        "max_token_age: \"soon\"",
        "start_up: \"slow\"",
        "key_refresh.cool_down: \"never\"",
        "issuer \"http://as.example\": jwks_uri: ",
        "issuer \"http://as.example\": profile: ",
        "issuer \"http://as.example\": algorithms: \"HS256\"",
        "issuer \"http://as.example\": algorithms: \"none\"",
        "issuer \"http://as.example\": jwks_header.value: the file \"/nowhere/to/be/found\" cannot be read: ",
        "issuer \"http://as.example\": key_refresh.hourly: ",
        "tenants \"https://idp.example\": trusted_tenants: is missing",
        "issuers[2]: issuer: is missing",
        "issuers[2]: scope_claim: is an empty list",
        // And the builder's own.
        "tenants \"https://idp.example\": the template has to have",
        "leeway: 600s is over 5 minutes",
        "max_token_length: is 0",
        "issuer \"http://as.example\": the identifier must be https",
        "issuer \"http://as.example\": has no audience",
        "issuer \"http://as.example\": the most keys of a set",
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
        assert!(judged_by(&network, config, "a-es256", "at+jwt", json!({})).await.is_ok());
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
    let unreachable = with("start_up", json!("fail-fast"));
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
    assert!(judged_by(&network, config(), "a-es256", "at+jwt", by("https://north.idp.example")).await.is_ok());
    network.requests();
    let stranger = judged_by(&network, config(), "a-es256", "at+jwt", by("https://east.idp.example")).await;
    assert_eq!(stranger.err(), Some(Reason::UnknownIssuer));
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn keys_are_read_from_the_file() {
    let folder = Folder::new("keys");
    let file = folder.file("jwks.json", jwks(&["a-es256"]));
    let vars = [("X_ISSUER", ISSUER), ("X_AUDIENCE", "https://api.example"), ("X_JWKS_FILE", &file)];
    for config in [with_issuer(json!({ "jwks_file": file })), Config::from_vars("X", vars)] {
        assert!(judged_by(&Network::new(), config, "a-es256", "at+jwt", json!({})).await.is_ok());
    }
}

#[test]
fn a_value_of_another_shape_is_an_error_of_the_reader_that_says_what_is_expected() {
    for (config, expected) in [
        (json!({ "leeway": [] }), "a number or a text"),
        (json!({ "leeway": true }), "a number or a text"),
        (json!({ "audience": 5 }), "a text, or a list of texts"),
        (json!({ "issuers": {} }), "a sequence"),
        (json!({ "issuers": [{ "scope_grammar": 5 }] }), "the name of a grammar, or a table"),
        (json!({ "issuers": [{ "dangerous_allow_http_on_loopback": "true" }] }), "a boolean"),
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
