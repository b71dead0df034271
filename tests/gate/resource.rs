//! RFC 8707, RFC 9068 section 3: the audience, compared exactly.

use scopegate_axum::{Authenticate, Issuer, Reason, ResourceServer, Tenants, api_keys::ApiKeys};
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, Network, clock, issuer, mint};

/// An API with these audiences.
async fn called<const N: usize>(audiences: [&str; N]) -> Api {
    let builder = ResourceServer::builder().clock(clock()).issuer(issuer());
    let builder = audiences.into_iter().fold(builder, |builder, audience| builder.audience(audience));
    Api::behind(builder.build().await.unwrap())
}

#[tokio::test]
async fn res_1_a_token_for_any_alias_passes() {
    let api = called(["https://h/r", "urn:h:r"]).await;
    for audience in ["https://h/r", "urn:h:r"] {
        Ask::get("/me").bearer(mint().token().audience(audience).issue()).of(&api.router).await.assert_pass();
    }
    let among_others = mint().token().audiences(["https://other.example", "urn:h:r"]).issue();
    Ask::get("/me").bearer(among_others).of(&api.router).await.assert_pass();
    assert_eq!(api.calls(), 3);
}

#[tokio::test]
async fn res_1_audiences_compare_exactly() {
    let api = called(["https://h/r", "urn:h:r"]).await;
    for audience in [
        "https://h/r/",
        "https://h/",
        "https://h",
        "https://h/r?",
        "https://h/r#",
        "https://H/r",
        "https://h/R",
        "HTTPS://h/r",
        "https://h:443/r",
        "https://h/%72",
        "http://h/r",
        "https://h/r ",
        " https://h/r",
        "https://h/r urn:h:r",
        "https://h/r/x",
        "URN:h:r",
        "h",
        "",
        "*",
    ] {
        let token = mint().token().audience(audience).issue();
        Ask::get("/me").bearer(token).of(&api.router).await.assert_401(Reason::WrongAudience);
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn res_1_a_trailing_slash_is_another_name_that_can_be_configured() {
    let api = called(["https://h/r", "https://h/r/"]).await;
    for audience in ["https://h/r", "https://h/r/"] {
        Ask::get("/me").bearer(mint().token().audience(audience).issue()).of(&api.router).await.assert_pass();
    }
}

#[tokio::test]
async fn res_1_an_audience_with_a_fragment_cannot_be_configured() {
    for audience in ["https://h/r#f", "https://h/r#", "urn:h:r#f", "api+v1:r#f"] {
        let builder = ResourceServer::builder().issuer(issuer());
        let error = builder.audience(AUDIENCE).audience(audience).build().await.unwrap_err().to_string();
        assert!(error.contains("has a fragment"), "{error}");
        let own = ResourceServer::builder().issuer(issuer().audiences([audience]));
        assert!(own.build().await.is_err(), "{audience}");
    }
}

#[tokio::test]
async fn res_2_missing_audience_fails_the_build() {
    let error = ResourceServer::builder().issuer(issuer()).build().await.unwrap_err().to_string();
    assert!(error.contains("has no audience; name this API as its tokens do in `aud`"), "{error}");
    assert!(ResourceServer::builder().issuer(issuer()).audience("").build().await.is_err());
}

#[tokio::test]
async fn res_2_an_audience_that_could_be_no_realm_cannot_be_configured() {
    let keys = || ApiKeys::new("https://api.example/keys", "sk_");
    for audience in ["", "caf\u{e9}", "a\r\nb", "a\tb", "\u{7f}", "\0"] {
        let own = || issuer().audiences(["urn:own"]);
        let tenants = || Tenants::trusting("tenants", |_| true);
        for (whose, builder) in [
            ("an issuer", ResourceServer::builder().issuer(issuer()).audience(audience)),
            ("one issuer of its own", ResourceServer::builder().issuer(issuer().audiences([audience]))),
            ("nobody", ResourceServer::builder().issuer(own()).audience(audience)),
            ("the last", ResourceServer::builder().issuer(own()).audience("urn:a").audience(audience)),
            ("a verifier", ResourceServer::builder().verifier(keys()).audience(audience)),
            (
                "a verifier beside an issuer",
                ResourceServer::builder().issuer(own()).verifier(keys()).audience(audience),
            ),
            ("tenants", ResourceServer::builder().tenants(tenants()).audience(audience)),
            (
                "tenants of their own",
                ResourceServer::builder().tenants(tenants().settings(|issuer| issuer.audiences([audience]))),
            ),
        ] {
            let error = builder.fetch(Network::new(&clock())).build().await.expect_err(whose).to_string();
            let named = [format!("- audience: {audience:?} "), format!(": the audience {audience:?} ")];
            assert!(named.iter().any(|fault| error.contains(fault)), "{whose}: {error}");
        }
    }
    let built = ResourceServer::builder().verifier(keys()).audience("My API").build().await.expect("good settings");
    let challenge = Ask::get("/me").of(&Api::behind(built).router).await.challenge().map(str::to_owned);
    assert_eq!(challenge.as_deref(), Some(r#"Bearer realm="My API""#));
}

#[tokio::test]
async fn jwt_3_one_issuer_without_an_audience_fails_the_build() {
    let other = Issuer::with_jwks("https://other.example", mint().jwks_json());
    let builder = ResourceServer::builder().issuer(issuer().audiences([AUDIENCE])).issuer(other);
    let error = builder.build().await.unwrap_err().to_string();
    assert!(error.contains("https://other.example") && !error.contains(ISSUER), "{error}");
}

#[tokio::test]
async fn res_1_the_audiences_of_an_issuer_replace_the_common_ones() {
    let builder = ResourceServer::builder().clock(clock()).issuer(issuer().audiences(["urn:own"]));
    let api = Api::behind(builder.audience(AUDIENCE).build().await.unwrap());
    Ask::get("/me").bearer(mint().token().audience("urn:own").issue()).of(&api.router).await.assert_pass();
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_401(Reason::WrongAudience);
}

#[tokio::test]
async fn chal_2_the_realm_is_the_first_audience_unless_it_is_named() {
    let server = |builder: scopegate_axum::ResourceServerBuilder| async move {
        builder.audience("https://h/first").audience("urn:h:second").build().await.unwrap()
    };
    let common = server(ResourceServer::builder().issuer(issuer())).await;
    assert_eq!(common.default_realm(), "https://h/first");
    let own = server(ResourceServer::builder().issuer(issuer().audiences(["urn:own"]))).await;
    assert_eq!(own.default_realm(), "urn:own");

    let api = Api::behind(common.clone());
    assert_eq!(Ask::get("/me").of(&api.router).await.challenge(), Some(r#"Bearer realm="https://h/first""#));
    let api = Api::behind_layer(Authenticate::new(common).realm("named"));
    assert_eq!(Ask::get("/me").of(&api.router).await.challenge(), Some(r#"Bearer realm="named""#));
}
