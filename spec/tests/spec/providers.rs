//! Profiles of known issuers, as `providers.md` describes them: AT-2, SCOPE-6, JWT-3.

use scopegate_spec::{ClientClaim, Evidence, Grammar, Profile, Required, ScopeClaim};
use serde_json::{Value, json};

use crate::rig::*;

fn named(name: &str) -> ClientClaim {
    ClientClaim::Named(name.to_owned())
}

fn present(name: &str) -> Evidence {
    Evidence::Present(name.to_owned())
}

fn one_of(name: &str, values: &[&str]) -> Evidence {
    Evidence::OneOf(name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
}

fn auth0() -> Profile {
    let evidence = vec![Evidence::Scope, present("permissions"), present("gty")];
    Profile { client: named("azp"), ..Profile::compat(&[Some("JWT")], evidence) }.waive(Required::TokenId)
}

fn cognito() -> Profile {
    Profile::compat(&[None], vec![one_of("token_use", &["access"])])
}

fn entra_v2() -> Profile {
    let same = Evidence::Same("oid".to_owned(), "sub".to_owned());
    let profile = Profile::compat(&[Some("JWT")], vec![Evidence::Scope, one_of("idtyp", &["app"]), same]);
    let scope_claims = vec![ScopeClaim::named("scp", true, false)];
    Profile { client: named("azp"), scope_claims, ..profile }.waive(Required::TokenId)
}

fn genauth() -> Profile {
    let client = ClientClaim::NamedOrSoleAudience("azp".to_owned());
    let profile = Profile { client, ..Profile::compat(&[Some("JWT")], vec![Evidence::Scope]) };
    profile.waive(Required::Subject).waive(Required::TokenId)
}

fn google() -> Profile {
    let same = Evidence::Same("azp".to_owned(), "sub".to_owned());
    let profile = Profile { client: named("azp"), ..Profile::compat(&[Some("JWT")], vec![same]) };
    Profile { scope_claims: Vec::new(), ..profile }.waive(Required::TokenId)
}

fn hydra() -> Profile {
    let scope_claims = vec![ScopeClaim::named("scp", true, true), ScopeClaim::named("scope", true, true)];
    Profile { scope_claims, ..Profile::compat(&[Some("JWT")], vec![Evidence::Scope]) }
}

/// The claim `typ` says what a token is, so a `nonce` is no mark.
fn keycloak() -> Profile {
    let evidence = vec![one_of("typ", &["Bearer", "DPoP"])];
    Profile { client: named("azp"), marks: false, ..Profile::compat(&[Some("JWT"), Some("at+jwt")], evidence) }
}

fn kubernetes() -> Profile {
    let subject = Evidence::Prefix("sub".to_owned(), "system:serviceaccount:".to_owned());
    let evidence = vec![Evidence::All(vec![present("kubernetes.io"), subject])];
    let profile = Profile { client: ClientClaim::None, ..Profile::compat(&[None], evidence) };
    Profile { scope_claims: Vec::new(), ..profile }.waive(Required::TokenId)
}

fn okta() -> Profile {
    let scope_claims = vec![ScopeClaim::named("scp", false, true)];
    Profile { client: named("cid"), scope_claims, ..Profile::compat(&[None], vec![Evidence::Scope]) }
}

fn spring() -> Profile {
    let scope_claims = vec![ScopeClaim::named("scope", false, true)];
    let client = ClientClaim::SoleAudience;
    Profile { client, scope_claims, ..Profile::compat(&[None], vec![Evidence::Scope]) }.waive(Required::TokenId)
}

/// A rig with this profile, and a token of these claims alone beside `iss`, `aud`, `exp`, `iat`, `sub`.
fn send(profile: &Profile, typ: &str, members: Value) -> scopegate_spec::Decision {
    let mut rig = Rig::new();
    rig.issuer().profile = profile.clone();
    let members = with(json!({ "scope": DROP, "client_id": DROP, "jti": DROP }), members);
    rig.bearer(&token(json!({ "typ": typ }), members))
}

#[test]
fn at_2_access_tokens_of_known_issuers_pass_and_their_id_tokens_do_not() {
    let service = "system:serviceaccount:a:b";
    for (name, profile, typ, access, id) in [
        ("auth0", auth0(), "JWT", json!({ "azp": "web", "scope": "a" }), json!({ "azp": "web" })),
        (
            "auth0 machine",
            auth0(),
            "JWT",
            json!({ "azp": "m", "gty": "client-credentials" }),
            json!({ "azp": "m", "gty": "" }),
        ),
        (
            "cognito",
            cognito(),
            DROP,
            json!({ "client_id": "web", "jti": "1", "token_use": "access" }),
            json!({ "client_id": "web", "jti": "1", "token_use": "id" }),
        ),
        ("entra", entra_v2(), "JWT", json!({ "azp": "web", "scp": "a" }), json!({ "azp": "web", "roles": ["a"] })),
        ("entra app", entra_v2(), "JWT", json!({ "azp": "m", "oid": "alice" }), json!({ "azp": "m", "oid": "other" })),
        ("genauth", genauth(), "JWT", json!({ "scope": "a" }), json!({})),
        (
            "genauth machine",
            genauth(),
            "JWT",
            json!({ "scope": "a", "sub": DROP, "azp": "m" }),
            json!({ "sub": DROP, "azp": "m" }),
        ),
        ("google", google(), "JWT", json!({ "azp": "alice" }), json!({ "azp": "web" })),
        (
            "hydra",
            hydra(),
            "JWT",
            json!({ "client_id": "web", "jti": "1", "scp": ["a"] }),
            json!({ "client_id": "web", "jti": "1" }),
        ),
        (
            "keycloak",
            keycloak(),
            "JWT",
            json!({ "azp": "web", "jti": "1", "typ": "Bearer", "nonce": "n" }),
            json!({ "azp": "web", "jti": "1", "typ": "ID" }),
        ),
        (
            "keycloak",
            keycloak(),
            "at+jwt",
            json!({ "azp": "web", "jti": "1", "typ": "DPoP" }),
            json!({ "azp": "web", "jti": "1" }),
        ),
        (
            "kubernetes",
            kubernetes(),
            DROP,
            json!({ "sub": service, "kubernetes.io": { "pod": {} } }),
            json!({ "sub": service }),
        ),
        (
            "okta",
            okta(),
            DROP,
            json!({ "cid": "web", "jti": "1", "scp": ["a"] }),
            json!({ "cid": "web", "jti": "1", "scp": [] }),
        ),
        ("spring", spring(), DROP, json!({ "scope": ["a"] }), json!({ "scope": [] })),
    ] {
        let decision = send(&profile, typ, access.clone());
        assert_eq!((name, decision.status, decision.rule), (name, 200, ""));
        assert_eq!((name, send(&profile, typ, id.clone()).status), (name, 401));
        if !["keycloak", "cognito"].contains(&name) {
            bad_token(&send(&profile, typ, with(access, json!({ "nonce": "n", "at_hash": "h" }))), "JWT-11");
        }
        // The strict profile refuses them all.
        assert_eq!(send(&Profile::rfc9068(), typ, id).status, 401);
    }
}

#[test]
fn jwt_4_the_sample_of_genauth_has_expired() {
    let sample = include_str!("genauth.jwt").trim();
    let mut rig = Rig::new();
    rig.issuer().profile = genauth();
    rig.issuer().grammar = Grammar::GenAuth;
    rig.issuer().identifier = "https://steam-talk.authing.cn/oidc".to_owned();
    bad_token(&rig.bearer(sample), "KEY-3");
    let claims = scopegate_spec::jws::parse(sample).unwrap().claims;
    rig.issuer().audiences = vec!["60193c610f9117e7cb049159".to_owned()];
    let resigned = |claims: Value| {
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "ec" }).to_string();
        mint_raw(&EC, "ES256", header, claims.to_string())
    };
    bad_token(&rig.bearer(&resigned(claims.clone().into())), "JWT-4");
    let caller = rig.bearer(&resigned(with(claims.into(), json!({ "exp": NOW + 1 })))).caller.unwrap();
    assert!(caller.scope.contains("message"));
}
