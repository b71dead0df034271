use super::*;
use crate::{
    BoxFuture,
    confirmation::{
        certificate::TrustedPeers,
        dpop::{ProofUse, UsedProof},
    },
    crypto::tests::{BACKENDS, jwks},
    custom::api_keys::ApiKeys,
    introspection::{ClientAuthentication, Introspection},
    jose::Algorithm,
    jwt::{Evidence, Profile},
    online::StoreError,
    redact,
    resource_server::tests::Network,
};

fn issuer() -> Issuer {
    Issuer::with_jwks("https://as.example", jwks(&["a-es256"]))
}

fn builder(issuer: Issuer) -> ResourceServerBuilder {
    ResourceServer::builder().issuer(issuer).audience("https://api.example").fetch(Network::new())
}

/// The faults of some settings; none where they can be built from.
async fn faults(builder: ResourceServerBuilder) -> Vec<String> {
    builder.build().await.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
}

async fn faults_of(issuer: Issuer) -> Vec<String> {
    faults(builder(issuer)).await
}

const NONE: [String; 0] = [];

#[tokio::test]
async fn an_issuer_and_an_audience_suffice() {
    assert_eq!(faults_of(issuer()).await, NONE);
    assert_eq!(faults_of(Issuer::discovered("https://as.example")).await, NONE);
    assert_eq!(faults_of(Issuer::with_jwks_uri("https://as.example", "https://keys.example/jwks?v=1")).await, NONE);
}

#[tokio::test]
async fn no_issuer_is_a_fault() {
    assert_eq!(
        faults(ResourceServer::builder().audience("api")).await,
        ["issuer: none is configured; name at least one, with `.issuer(Issuer::discovered(..))`"]
    );
}

#[tokio::test]
async fn the_same_issuer_twice_is_a_fault() {
    assert_eq!(
        faults(builder(issuer()).issuer(issuer())).await,
        [r#"issuer "https://as.example": is configured twice; give each issuer once, with all its audiences"#]
    );
    let other = Issuer::with_jwks("https://as.example/", jwks(&["a-es256"]));
    assert_eq!(faults(builder(issuer()).issuer(other)).await, NONE, "issuers compare exactly");
}

const A_NAME_ALONE: &str = "if it is a name alone, say where its metadata is with `.metadata_url(..)`, or its keys with `Issuer::with_jwks_uri`";
const INSIDE: &str =
    "must be https; for an issuer inside your own network, set `dangerous_allow_http_for_host` to this host";

#[tokio::test]
async fn meta_5_an_issuer_that_is_found_by_its_name_and_is_no_https_url_is_a_fault() {
    for (identifier, fault) in [
        ("http://as.example", INSIDE),
        ("https://as.example?x=1", "must not have a query"),
        ("https://as.example#x", "must not have a fragment"),
        ("https://user@as.example", "must not have user information"),
        ("as.example/tenant", "is not a valid URL"),
        ("", "is not a valid URL"),
    ] {
        let fault = format!("issuer {:?}: the identifier {fault}; {A_NAME_ALONE}", redact::url(identifier));
        assert_eq!(faults_of(Issuer::discovered(identifier)).await, [fault.as_str()]);
        let asked = Introspection::discovered(ClientAuthentication::none("api"));
        assert_eq!(faults_of(Issuer::introspected(identifier, asked.clone())).await, [fault.as_str()]);
        let keys = jwks(&["a-es256"]);
        assert_eq!(faults_of(Issuer::with_jwks(identifier, keys).introspection(asked)).await, [fault]);
    }
}

#[tokio::test]
async fn meta_5_an_issuer_that_nothing_is_fetched_from_may_have_any_name() {
    let asked = || Introspection::at("https://as.example/introspect", ClientAuthentication::none("api"));
    for name in [
        "http://adfs.corp.example/adfs/services/trust",
        "http://localhost:8080/realms/x",
        "https://as.example?tenant=x",
        "https://user@as.example/.well-known/x",
        "urn:corp:sts",
        "accounts.google.com",
        "Our issuer",
    ] {
        let file = Issuer::with_jwks_file(name, "keys.json");
        for issuer in [
            Issuer::with_jwks(name, jwks(&["a-es256"])),
            file.introspection(asked()),
            Issuer::with_jwks_uri(name, "https://keys.example/jwks"),
            Issuer::introspected(name, asked()),
            Issuer::discovered(name).metadata_url("https://as.example/metadata"),
        ] {
            assert_eq!(faults_of(issuer).await, NONE, "{name}");
        }
    }
    for (name, fault) in
        [("", "is empty"), (" https://as.example", "has a colon, and is not a URI (RFC 7519 section 2)")]
    {
        let found = faults_of(Issuer::with_jwks(name, jwks(&["a-es256"]))).await;
        assert_eq!(found, [format!("issuer {name:?}: the identifier {fault}")]);
    }
}

#[tokio::test]
async fn key_2_plain_http_is_a_fault_but_where_it_is_allowed_by_name() {
    let local = || Issuer::with_jwks_uri("http://127.0.0.1:9", "http://127.0.0.1:9/jwks");
    assert_eq!(faults_of(local().dangerous_allow_http_on_loopback()).await, NONE);
    assert_eq!(faults_of(local()).await.len(), 1, "the address of the keys");
    let remote = Issuer::discovered("http://as.example").dangerous_allow_http_on_loopback();
    assert_eq!(
        faults_of(remote).await,
        [format!("issuer \"http://as.example\": the identifier {INSIDE}; {A_NAME_ALONE}")]
    );

    let client = ClientAuthentication::none("api");
    for inside in [
        Issuer::discovered("http://keycloak:8080/realms/x"),
        Issuer::discovered("http://x").metadata_url("http://keycloak:8080/metadata"),
        Issuer::with_jwks_uri("http://x", "http://keycloak:8080/certs"),
        Issuer::introspected("http://x", Introspection::at("http://keycloak:8080/introspect", client)),
    ] {
        assert_eq!(faults_of(inside.clone()).await.len(), 1, "{inside:?}");
        assert_eq!(faults_of(inside.clone().dangerous_allow_http_for_host("other")).await.len(), 1, "{inside:?}");
        let allowed = inside.dangerous_allow_http_for_host("other").dangerous_allow_http_for_host("Keycloak");
        assert_eq!(faults_of(allowed.clone()).await, NONE, "{allowed:?}");
        let another = Issuer::with_jwks_uri("http://y", "http://keycloak:8080/certs");
        assert_eq!(faults(builder(allowed).issuer(another)).await.len(), 1, "it is allowed for one issuer");
    }
}

#[tokio::test]
async fn http_is_allowed_for_a_host_and_nothing_wider() {
    for other in ["", "*", "http://keycloak", "keycloak:8080", "keycloak/realms"] {
        assert_eq!(
            faults_of(issuer().dangerous_allow_http_for_host(other)).await,
            [format!(
                "issuer \"https://as.example\": http is allowed for {other:?}, which is no host; give it as in a URL, \
                 without scheme and port"
            )]
        );
    }
}

#[tokio::test]
async fn a_metadata_document_is_no_issuer() {
    let found = faults_of(Issuer::discovered("https://as.example/.well-known/openid-configuration")).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("give the issuer"), "{found:?}");
}

#[tokio::test]
async fn key_2_an_address_of_keys_that_is_no_https_url_is_a_fault() {
    assert_eq!(
        faults_of(Issuer::with_jwks_uri("https://as.example", "http://as.example/jwks")).await,
        [format!(r#"issuer "https://as.example": the JWKS URL "http://as.example/jwks" {INSIDE}"#)]
    );
}

#[tokio::test]
async fn jwt_3_no_audience_is_a_fault() {
    assert_eq!(
        faults(ResourceServer::builder().issuer(issuer())).await,
        [
            r#"issuer "https://as.example": has no audience; name this API as its tokens do in `aud`, with `.audience(..)`"#
        ]
    );
    assert_eq!(faults(ResourceServer::builder().issuer(issuer().audiences(["api"]))).await, NONE);
}

#[tokio::test]
async fn jwt_3_a_waived_audience_without_a_substitute_is_a_fault() {
    let waiving = |profile| issuer().profile(profile).dangerous_waive_audience();
    assert_eq!(faults_of(waiving(Profile::cognito()).authorized_parties(["app"])).await, NONE);
    assert_eq!(
        faults_of(waiving(Profile::cognito())).await,
        [
            r#"issuer "https://as.example": the profile "Amazon Cognito" is used without an audience, and nothing stands in for it; list the clients with `.authorized_parties(..)`"#
        ]
    );
    assert_eq!(
        faults_of(waiving(Profile::okta()).authorized_parties(["app"])).await,
        [
            r#"issuer "https://as.example": the profile "Okta" is used without an audience, and its tokens do not say in so many words that they are access tokens; leave out `.dangerous_waive_audience()`"#
        ]
    );
    let nameless = ResourceServer::builder().issuer(waiving(Profile::cognito()).authorized_parties(["app"]));
    assert!(faults(nameless).await[0].contains("has no audience"), "what is present is checked still");
}

#[tokio::test]
async fn google_s_bare_name_is_an_issuer_whose_keys_are_given() {
    let google = |issuer: Issuer| issuer.profile(Profile::google()).authorized_parties(["1"]);
    let keys = "https://www.googleapis.com/oauth2/v3/certs";
    assert_eq!(faults_of(google(Issuer::with_jwks_uri("accounts.google.com", keys))).await, NONE);
    assert_eq!(faults_of(google(Issuer::discovered("accounts.google.com"))).await.len(), 1);
    assert_eq!(
        faults_of(Issuer::with_jwks_uri("https://accounts.google.com", keys).profile(Profile::google())).await,
        [
            r#"issuer "https://accounts.google.com": the profile "Google" accepts service accounts of everybody; list those that may call with `.authorized_parties(..)`"#
        ]
    );
}

#[tokio::test]
async fn an_audience_that_is_empty_or_has_a_fragment_is_a_fault() {
    for audience in ["", "https://api.example#x", "https://api.example/#"] {
        let fault = format!("{audience:?} is empty, or has a fragment; RFC 8707 section 2 allows neither");
        let own = faults_of(issuer().audiences([audience])).await;
        assert_eq!(own, [format!("issuer \"https://as.example\": the audience {fault}")]);
        let builder = ResourceServer::builder().issuer(issuer()).audience("api").audience(audience);
        assert_eq!(faults(builder).await, [format!("audience: {fault}")]);
    }
    assert_eq!(faults_of(issuer().audiences(["api#1"])).await, NONE, "it is no URL");
    assert_eq!(faults_of(issuer().audiences(["urn:api"])).await, NONE);
    assert_eq!(faults_of(issuer().audiences(["https://api.example/v1"])).await, NONE);
}

#[tokio::test]
async fn an_audience_that_is_not_visible_ascii_is_a_fault() {
    for audience in ["caf\u{e9}", "api\n", "\u{7f}"] {
        assert_eq!(
            faults_of(issuer().audiences([audience])).await,
            [format!(
                "issuer \"https://as.example\": the audience {audience:?} has characters other than visible ASCII"
            )]
        );
    }
    assert_eq!(faults_of(issuer().audiences(["My API ~"])).await, NONE);
}

#[tokio::test]
async fn a_common_audience_is_checked_once_and_even_where_no_issuer_uses_it() {
    let fault = [r#"audience: "" is empty, or has a fragment; RFC 8707 section 2 allows neither"#];
    let other = Issuer::with_jwks("https://b.example", jwks(&["a-es256"]));
    assert_eq!(faults(builder(issuer()).issuer(other.clone()).audience("")).await, fault);
    assert_eq!(faults(builder(issuer().audiences(["a"])).issuer(other.audiences(["b"])).audience("")).await, fault);
    let keys = ResourceServer::builder().verifier(ApiKeys::new("https://api.example/keys", "sk_"));
    assert_eq!(faults(keys.audience("")).await, fault, "an audience of application verifiers alone");
}

#[tokio::test]
async fn jwt_8_an_age_of_zero_is_a_fault() {
    assert_eq!(
        faults(builder(issuer()).max_token_age(Duration::ZERO)).await,
        ["max_token_age: is zero, so that every token would be too old; leave it out for no limit"]
    );
    assert_eq!(faults(builder(issuer()).max_token_age(Duration::from_secs(1))).await, NONE);
}

#[tokio::test]
async fn an_empty_list_of_algorithms_is_a_fault() {
    let found = faults_of(Issuer::discovered("https://as.example").algorithms([])).await;
    assert_eq!(
        found,
        [
            r#"issuer "https://as.example": the list of algorithms is empty, so that every token would be refused; leave it out for the default"#
        ]
    );
}

#[tokio::test]
async fn an_empty_list_of_authorized_parties_is_a_fault() {
    assert_eq!(
        faults_of(issuer().authorized_parties([""; 0])).await,
        [
            r#"issuer "https://as.example": the list of authorized parties is empty, so that every token would be refused; leave it out to accept every client"#
        ]
    );
    assert_eq!(faults_of(issuer().authorized_parties(["app"])).await, NONE);
}

#[tokio::test]
async fn a_profile_that_accepts_nothing_is_a_fault() {
    assert_eq!(
        faults_of(issuer().profile(Profile::compat("mine"))).await,
        [
            r#"issuer "https://as.example": the profile "mine" accepts no `typ`; add `.accept_type(..)` or `.accept_absent_type()`"#
        ]
    );
}

#[tokio::test]
async fn at_2_a_profile_that_would_accept_id_tokens_is_a_fault() {
    let profile = Profile::compat("mine").accept_type("JWT");
    assert_eq!(
        faults_of(issuer().profile(profile.clone())).await,
        [
            r#"issuer "https://as.example": the profile "mine" would accept ID tokens; say with `.evidence(..)` how an access token is known"#
        ]
    );
    assert_eq!(faults_of(issuer().profile(profile.evidence(Evidence::scope_claim()))).await, NONE);
}

#[tokio::test]
async fn given_keys_that_are_no_jwk_set_are_a_fault() {
    assert_eq!(
        faults_of(Issuer::with_jwks("https://as.example", "{}")).await,
        [
            r#"issuer "https://as.example": the JWK Set has no array named `keys`; a single JWK goes into one: {"keys":[..]}"#
        ]
    );
    let more = KeyRefresh::default().max_keys(101);
    let set = format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(100));
    let given = || Issuer::with_jwks("https://as.example", set.clone());
    let found = [faults_of(given()).await, faults_of(given().key_refresh(more)).await];
    assert!(found[0][0].contains("more keys than `max_keys` allows"), "{found:?}");
    assert!(found[1][0].contains("none of the given keys can be used"), "{found:?}");
}

#[tokio::test]
async fn alg_9_a_key_source_chooses_its_algorithms_by_itself() {
    #[derive(Debug)]
    struct Source;
    impl crate::keys::KeySource for Source {
        fn snapshot(&self) -> Option<crate::keys::Snapshot> {
            None
        }
        fn refetch(
            &self,
            _: crate::keys::RefetchReason<'_>,
        ) -> crate::BoxFuture<'static, Result<Arc<crate::jose::KeySet>, crate::keys::KeysUnavailable>> {
            Box::pin(async { Err(crate::keys::KeysUnavailable::new("none")) })
        }
    }
    let issuer = Issuer::with_key_source("https://as.example", Source);
    assert_eq!(faults_of(issuer.clone()).await, NONE);
    let found = faults_of(issuer.dangerous_allow_several_algorithms_per_key()).await;
    assert!(found[0].contains("`dangerous_allow_several_algorithms_per_key` of the `JwkSet`"), "{found:?}");
}

#[tokio::test]
async fn given_keys_none_of_which_can_be_used_are_a_fault() {
    assert_eq!(
        faults_of(Issuer::with_jwks("https://as.example", jwks(&["a-enc"]))).await,
        [
            r#"issuer "https://as.example": none of the given keys can be used: [key "a-enc" is not used: its `use` is not `sig`]"#
        ]
    );
    assert_eq!(
        faults_of(issuer().algorithms([Algorithm::Rs256])).await,
        [
            r#"issuer "https://as.example": none of the given keys can be used: [key "a-es256" is not used: its `alg` is ES256, which is not on the issuer's list]"#
        ]
    );
}

#[tokio::test]
async fn jwt_6_a_leeway_over_five_minutes_is_a_fault() {
    assert_eq!(faults(builder(issuer()).leeway(Duration::from_secs(300))).await, NONE);
    assert_eq!(
        faults(builder(issuer()).leeway(Duration::from_millis(300_001))).await,
        ["leeway: is over 5 min; synchronize the clocks instead"]
    );
}

#[tokio::test]
async fn a_token_length_of_nothing_is_a_fault() {
    assert_eq!(
        faults(builder(issuer()).max_token_length(0)).await,
        ["max_token_length: is 0, so that every token would be refused; the default is 16384 bytes"]
    );
    assert_eq!(faults(builder(issuer()).max_token_length(1)).await, NONE);
}

#[tokio::test]
async fn bearer_14_a_token_header_of_other_credentials_is_a_fault() {
    let named = |name| faults(builder(issuer()).token_header(HeaderName::from_static(name)));
    assert_eq!(named("cf-access-jwt-assertion").await, NONE);
    assert_eq!(
        named("authorization").await,
        ["token_header: authorization is looked at anyway, and holds a scheme before the token; leave it out"]
    );
    assert_eq!(named("cookie").await.len(), 1);
}

#[test]
fn keys_to_be_fetched_need_a_runtime() {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    let outcome = |issuer| {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(builder(issuer).build()).poll(&mut context) {
            Poll::Ready(built) => built.map(drop).map_err(|error| error.to_string()),
            Poll::Pending => panic!("building waits for something"),
        }
    };
    assert_eq!(outcome(issuer()), Ok(()), "given keys need none");
    assert_eq!(
        outcome(Issuer::discovered("https://as.example")).unwrap_err(),
        "the resource server cannot be built:\n- issuer \"https://as.example\": its keys have to be fetched, and there \
         is no tokio runtime; build inside of one"
    );
}

#[cfg(not(feature = "reqwest"))]
#[tokio::test]
async fn keys_to_be_fetched_need_a_client() {
    let discovering = ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("api");
    assert_eq!(
        faults(discovering).await,
        ["fetch: there is no HTTP client; enable the feature `reqwest`, or give one with `.fetch(..)`"]
    );
    assert_eq!(faults(ResourceServer::builder().issuer(issuer()).audience("api")).await, NONE);
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_client_is_made_where_one_is_needed_and_none_was_given() {
    let provided = |mut builder: ResourceServerBuilder| {
        let mut faults = Faults::default();
        builder.provide_fetch(&mut faults);
        faults.none().unwrap();
        builder.fetch
    };
    let bare = || ResourceServer::builder().audience("api");
    let discovering = || bare().issuer(Issuer::discovered("https://as.example"));
    assert!(provided(discovering()).is_some());
    assert!(provided(bare().tenants(Tenants::trusting("all", |_| true))).is_some());
    assert!(provided(bare().issuer(issuer())).is_none());
    let given = discovering().fetch(Network::new());
    let client = given.fetch.clone().unwrap();
    assert!(Arc::ptr_eq(&provided(given).unwrap(), &client), "that one is used");
}

#[tokio::test]
async fn keys_in_a_file_need_no_client() {
    let issuer = Issuer::with_jwks_file("https://as.example", "keys.json");
    let server = ResourceServer::builder().issuer(issuer).audience("api").build().await.unwrap();
    assert_eq!(server.health().issuers().len(), 1);
}

#[tokio::test]
async fn a_refresh_for_every_issuer_is_checked_where_an_issuer_has_none_of_its_own() {
    let wrong = || KeyRefresh::default().cool_down(Duration::ZERO);
    let found = faults(builder(issuer()).key_refresh(wrong())).await;
    assert!(found.len() == 1 && found[0].contains("cool-down"), "{found:?}");
    assert_eq!(faults(builder(issuer().key_refresh(KeyRefresh::default())).key_refresh(wrong())).await, NONE);
}

#[tokio::test]
async fn requests_name_the_user_agent_that_was_given() {
    let network = Network::with_issuer(&["a-es256"]);
    let builder = ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("api");
    let named = builder.user_agent(HeaderValue::from_static("orders-api/1.2")).fetch(network.clone());
    named.startup(Startup::FailFast).build().await.unwrap();
    assert_eq!(network.headers()["user-agent"], "orders-api/1.2");
}

#[tokio::test]
async fn k_11_a_url_of_keys_is_at_a_host_for_keys() {
    let issuer = || Issuer::with_jwks_uri("https://as.example", "https://keys.example/jwks");
    let fault =
        r#"issuer "https://as.example": the JWKS URL "https://keys.example/jwks" is not at one of its hosts for keys"#;
    assert_eq!(faults_of(issuer().key_hosts(["as.example"])).await, [fault]);
    assert_eq!(faults_of(issuer().key_hosts(["as.example", "keys.example"])).await, NONE);
}

#[tokio::test]
async fn a_header_for_keys_is_none_that_is_sent_anyway() {
    let issuer = || Issuer::with_jwks_uri("https://as.example", "https://keys.example/jwks");
    for ours in ["accept", "Accept-Encoding", "host", "if-none-match", "if-modified-since", "range"] {
        let found = faults_of(issuer().jwks_header(ours, "value")).await;
        assert!(found.len() == 1 && found[0].ends_with("for its JWK Set is for us to send"), "{found:?}");
    }
    assert_eq!(faults_of(issuer().jwks_header("x-api-key", "value")).await, NONE);
}

#[tokio::test]
async fn a_name_of_a_verifier_is_its_own() {
    let keys = |name: &str, prefix: &str| ApiKeys::new(name, prefix);
    let named = || builder(issuer()).verifier(keys("https://api.example/keys", "a_"));
    assert_eq!(faults(named().verifier(keys("https://api.example/other", "b_"))).await, NONE);
    for taken in [
        named().verifier(keys("https://api.example/keys", "b_")),
        named().verifier(keys("https://as.example", "b_")),
        named()
            .tenants(Tenants::trusting("all", |name| name == "https://tenant.example"))
            .verifier(keys("https://tenant.example", "b_")),
    ] {
        let found = faults(taken).await;
        assert!(found.len() == 1 && found[0].contains("is called the same"), "{found:?}");
    }
}

#[tokio::test]
async fn intro_11_opaque_tokens_are_told_apart_by_prefixes_of_which_none_begins_another() {
    let asked = |name: &str, prefixes: &[&str]| {
        let at = Introspection::at("https://as.example/introspect", ClientAuthentication::none("api"));
        let introspection = prefixes.iter().fold(at, |introspection, prefix| introspection.token_prefix(*prefix));
        Issuer::introspected(name, introspection).audiences(["api"])
    };
    for (first, second, fault) in [
        (&[][..], &["b_"][..], None),
        (&["a_"], &["b_", "c_"], None),
        (&[], &[], Some("would be asked about the same opaque tokens")),
        (&["a_"], &["a_b_"], Some("a token may have both")),
        (&["a_b_"], &["a_"], Some("a token may have both")),
        (&["a_"], &["a_"], Some("a token may have both")),
    ] {
        let builder = builder(asked("https://a.example", first)).issuer(asked("https://b.example", second));
        let found = faults(builder).await;
        assert_eq!(found.len(), usize::from(fault.is_some()), "{found:?}");
        assert!(found.iter().all(|found| fault.is_some_and(|fault| found.contains(fault))), "{found:?}");
    }
}

#[tokio::test]
async fn names_of_this_api_are_listed_once() {
    let other = Issuer::with_jwks("https://b.example", jwks(&["a-es256"]));
    let builder = builder(issuer().audiences(["a", "b"]))
        .issuer(other.audiences(["b", "c"]))
        .issuer(Issuer::with_jwks("https://c.example", jwks(&["a-es256"])));
    let server = builder.build().await.unwrap();
    assert_eq!(server.audiences().collect::<Vec<_>>(), ["a", "b", "c", "https://api.example"]);
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let first = Issuer::with_jwks("", "[]").algorithms([]).authorized_parties([""; 0]);
    let second = Issuer::discovered("https://b.example").audiences([""]).profile(Profile::compat("mine"));
    let builder = ResourceServer::builder()
        .issuer(first)
        .issuer(second)
        .leeway(Duration::MAX)
        .max_token_length(0)
        .jwt_cache(JwtCacheConfig::default().max_bytes(64));
    let found = faults(builder.fetch(Network::new())).await;
    let settings: Vec<&str> = found.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
    assert_eq!(
        settings,
        [
            "leeway:",
            "max_token_length:",
            "jwt_cache:",
            "issuer",
            "issuer",
            "issuer",
            "issuer",
            "issuer",
            "issuer",
            "issuer"
        ],
        "{found:#?}"
    );
}

#[tokio::test]
async fn room_for_verdicts_is_none_or_enough_for_one() {
    for (bytes, entries, fault) in [
        (0, 1, None),
        (1, 0, None),
        (1, 1, Some("jwt_cache: max_bytes is 1; give 65536 at least, or 0 to cache nothing")),
        (65_535, 1, Some("jwt_cache: max_bytes is 65535; give 65536 at least, or 0 to cache nothing")),
        (65_536, 1, None),
    ] {
        let cache = JwtCacheConfig::default().max_bytes(bytes).max_entries(entries);
        let builder =
            ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("api").jwt_cache(cache);
        assert_eq!(faults(builder.fetch(Network::new())).await, fault.as_slice(), "{bytes}, {entries}");
    }
}

#[tokio::test]
async fn faults_are_listed_one_to_a_line() {
    let error = ResourceServer::builder().leeway(Duration::MAX).build().await.unwrap_err();
    let text = error.to_string();
    let (head, faults) = text.split_once('\n').unwrap();
    assert_eq!(head, "the resource server cannot be built:");
    assert_eq!(faults, error.faults().map(|fault| format!("- {fault}")).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn the_default_realm_is_the_first_audience_of_the_first_issuer() {
    let realm = async |builder: ResourceServerBuilder| {
        let server = builder.build().await.unwrap();
        server.default_realm().to_owned()
    };
    assert_eq!(realm(builder(issuer()).audience("second")).await, "https://api.example");
    assert_eq!(realm(builder(issuer().audiences(["own"]))).await, "own");
}

#[tokio::test]
async fn every_backend_can_be_chosen() {
    for &backend in BACKENDS {
        assert_eq!(faults(builder(issuer()).crypto(backend)).await, NONE);
    }
}

#[tokio::test]
async fn answers_are_held_to_what_the_introspection_and_its_issuer_are_set_to() {
    let at = || Introspection::at("https://as.example/introspect", ClientAuthentication::none("api"));
    let strict = at().require_token_type().issuer_alias("old").scope_may_be_array();
    let parties = Issuer::introspected("https://as.example", strict).authorized_parties(["app"]);
    for (issuer, is_set) in [(parties, true), (Issuer::introspected("https://as.example", at()), false)] {
        let server = builder(issuer).build().await.unwrap();
        let rules = &server.server().dispatch.issuers.introspector("https://as.example").unwrap().online.validation;
        assert_eq!((rules.demands_token_type, rules.scope_may_be_array), (is_set, is_set));
        assert_eq!((rules.aliases.len(), rules.authorized_parties.is_some()), (usize::from(is_set), is_set));
    }
}

#[tokio::test]
async fn dpop_that_is_set_twice_is_a_fault() {
    let named = || Dpop::new().public_url("https://api.example");
    let configured = || -> ResourceServerBuilder {
        let variables = [
            ("X_ISSUER", "https://as.example"),
            ("X_AUDIENCE", "https://api.example"),
            ("X_DPOP_PUBLIC_URL", "https://api.example"),
            ("X_DPOP_NONCES", "true"),
        ];
        crate::config::Config::from_vars("X", variables).into_builder().fetch(Network::new())
    };
    for once in [builder(issuer()).dpop(named()), configured()] {
        assert_eq!(faults(once).await, NONE);
    }
    for twice in [builder(issuer()).dpop(named()).dpop(named()), configured().dpop(named())] {
        assert!(faults(twice).await[0].starts_with("dpop: is set twice"));
    }
}

#[tokio::test]
async fn a_certificate_binding_that_is_set_twice_is_a_fault() {
    let peers = || TrustedPeers::addresses(["10.0.0.1"]);
    let binding = || CertificateBinding::new().client_cert_header(peers());
    let configured = || -> ResourceServerBuilder {
        let variables = [
            ("X_ISSUER", "https://as.example"),
            ("X_AUDIENCE", "https://api.example"),
            ("X_CERTIFICATE_BINDING_SOURCE", "connection"),
        ];
        crate::config::Config::from_vars("X", variables).into_builder().fetch(Network::new())
    };
    for once in [builder(issuer()).certificate_binding(binding()), configured()] {
        assert_eq!(faults(once).await, NONE);
    }
    for twice in [
        builder(issuer()).certificate_binding(binding()).certificate_binding(CertificateBinding::new()),
        configured().certificate_binding(binding()),
    ] {
        let found = faults(twice).await;
        assert!(found.len() == 1 && found[0].starts_with("certificate_binding: is set twice"), "{found:?}");
    }
}

#[tokio::test]
async fn a_store_of_used_proofs_without_dpop_is_a_fault() {
    #[derive(Debug)]
    struct Store;

    impl ReplayStore for Store {
        fn insert_if_absent(&self, _: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
            Box::pin(std::future::ready(Ok(ProofUse::Repeated)))
        }
    }

    let found = faults(builder(issuer()).replay_store(Store)).await;
    assert!(found.len() == 1 && found[0].starts_with("replay_store: DPoP is not switched on"), "{found:?}");
    let dpop = Dpop::new().public_url("https://api.example");
    assert_eq!(faults(builder(issuer()).replay_store(Store).dpop(dpop)).await, NONE);
}
