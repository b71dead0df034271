//! `token`.

use serde_json::{Value, json};

use crate::rig::{Folder, Issuer, Service, bad, claims, good, header, run};

#[test]
fn a_token_of_the_issuer_and_one_of_its_file_differ_in_nothing_but_their_ids() {
    let folder = Folder::new("same");
    let file = folder.path("keys.json");
    let issuer = Issuer::start(&["--keys", &file]);
    let service = Service::start(&issuer.variables());
    let options = [
        "--scope",
        "message",
        "--scope",
        "admin other",
        "--subject",
        "alice",
        "--client-id",
        "web",
        "--claim",
        "tenant=acme",
        "--claim",
        "roles:=[\"admin\"]",
        "--ttl",
        "1h",
    ];
    let asked = issuer.token(&options);
    let signed = issuer.token(&[&options[..], &["--keys", &file]].concat());
    for token in [&asked, &signed] {
        assert_eq!(service.status("/messages", token), "200");
        assert_eq!(service.get("/me", token).lines().last(), Some("alice"));
        let claims = claims(token);
        assert_eq!(
            (&claims["tenant"], &claims["roles"], &claims["scope"], &claims["client_id"]),
            (&json!("acme"), &json!(["admin"]), &json!("message admin other"), &json!("web"))
        );
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    }
    let without_ids = |token: &str| {
        let mut claims = claims(token);
        for name in ["jti", "iat", "exp"] {
            claims.as_object_mut().unwrap().remove(name).unwrap();
        }
        (header(token), claims)
    };
    assert_eq!(without_ids(&asked), without_ids(&signed));
}

#[test]
fn keys_sign_without_a_running_issuer() {
    let folder = Folder::new("offline");
    let file = folder.path("keys.json");
    drop(Issuer::start(&["--keys", &file]));
    let token = good(&["token", "--keys", &file, "--port", "9123"]);
    assert_eq!(claims(&token)["iss"], "http://127.0.0.1:9123");
}

#[test]
fn the_defaults_are_a_valid_token_without_a_scope() {
    let issuer = Issuer::start(&["--audience", "orders"]);
    let token = issuer.token(&[]);
    let claims = claims(&token);
    assert_eq!((&claims["aud"], &claims["sub"], claims.get("scope")), (&json!("orders"), &json!("user-1"), None));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(header(&token)["typ"], "at+jwt");
    let service = Service::start(&issuer.variables());
    assert_eq!((service.status("/me", &token), service.status("/messages", &token)), ("200".into(), "403".into()));
}

#[test]
fn audiences_and_absent_claims_are_as_asked_for() {
    let issuer = Issuer::start(&[]);
    let audiences = |options: &[&str]| claims(&issuer.token(options)).get("aud").cloned();
    assert_eq!(audiences(&["--audience", "a"]), Some(json!("a")));
    assert_eq!(audiences(&["--audience", "a", "--audience", "b"]), Some(json!(["a", "b"])));
    assert_eq!(audiences(&["--without", "aud"]), None);
    assert_eq!(claims(&issuer.token(&["--claim", "exp:=5"]))["exp"], 5);
}

#[test]
fn json_has_the_token_and_its_end() {
    let issuer = Issuer::start(&[]);
    let json: Value = serde_json::from_str(&issuer.token(&["--json"])).unwrap();
    assert_eq!(json["issuer"], issuer.identifier());
    assert_eq!(json["expires_at"], claims(json["token"].as_str().unwrap())["exp"]);
}

#[test]
fn an_id_token_is_refused_under_either_name_of_the_option() {
    let issuer = Issuer::start(&[]);
    let service = Service::start(&issuer.variables());
    for option in ["--id-token", "--for-id-token"] {
        let token = issuer.token(&[option]);
        assert_eq!((header(&token)["typ"].as_str(), service.status("/me", &token).as_str()), (Some("JWT"), "401"));
    }
}

#[test]
fn wrong_options_are_explained() {
    for (arguments, remedy) in [
        (&["--claim", "tenant"][..], "write NAME=TEXT, or NAME:=JSON"),
        (&["--claim", "level:=three"], "is not JSON"),
        (&["--claim", "=acme"], "the name of the claim is missing"),
        (&["--scope", "a\"b"], "RFC 6749, section 3.3"),
        (&["--scope", "a  b"], "separate several by single spaces"),
        (&["--scope", ""], "a scope is made of"),
        (&["--ttl", "5"], "such as 5m"),
        (&["--ttl", "0s"], "--expired"),
        (&["--expired", "--ttl", "5m"], "cannot be used with"),
        (&["--expired", "--not-yet-valid"], "cannot be used with"),
        (&["--opaque", "--keys", "keys.json"], "cannot be used with"),
        (&["--opaque", "--id-token"], "cannot be used with"),
        (&["--shape", "okta", "--id-token"], "cannot be used with"),
        (&["--shape", "octa"], "possible values: auth0, cognito"),
        (&["--port", "0"], "1..=65535"),
        (&["--claim", "sub=a", "--subject", "b"], "the claim \"sub\" is set twice: leave out one"),
        (&["--claim", "scope=a", "--scope", "b"], "the claim \"scope\" is set twice"),
        (&["--claim", "a=1", "--claim", "a=2"], "the claim \"a\" is set twice"),
        (&["--without", "aud", "--audience", "a"], "the claim \"aud\" is set twice"),
        (&["message"], "unexpected argument"),
    ] {
        let error = bad(2, &[&["token"], arguments].concat());
        assert!(error.starts_with("error: ") && error.contains(remedy), "{arguments:?}: {error}");
    }
}

#[test]
fn a_malformed_file_of_keys_is_explained() {
    let folder = Folder::new("malformed");
    for (content, why) in [
        ("-----BEGIN PRIVATE KEY-----", "not a JWK Set: a JSON object with an array `keys`"),
        ("{\"keys\":[]}", "has no key for signatures"),
        ("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0IGtleQ\"}]}", "neither P-256, P-384, Ed25519 nor RSA"),
    ] {
        let error = bad(1, &["token", "--keys", &folder.file("keys.json", content)]);
        assert!(error.contains(why) && error.contains("name the file") && !error.contains("c2Vj"), "{error}");
    }
    let error = bad(1, &["token", "--keys", &folder.path("missing.json")]);
    assert!(error.contains(" cannot be read: ") && error.contains("name the file that `scopegate issuer"), "{error}");
}

#[test]
fn no_error_has_a_token_in_it() {
    let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    let opaque = "-7fMp0CWm4R2oPYqJ4hKQA";
    for token in [jwt, opaque] {
        for arguments in [
            &["revoke", "--port", "1", token][..],
            &["revoke", "--port", "1", "a", token],
            &["revoke", "--port", token, "a"],
            &["rotate", token],
            &["token", token],
            &["token", "--claim", token],
            &["token", "--ttl", token],
            &["token", "--json", "--ttl", token],
            &["token", "--shape", token],
            &["completions", token],
            &["man", token],
            &[token],
        ] {
            let ended = run(arguments);
            assert!(ended.status != 0 && ended.stdout.is_empty(), "{ended:?}");
            assert!(!ended.stderr.contains(token) && !ended.stderr.is_empty(), "{ended:?}");
        }
        for arguments in [&["check", jwt][..], &["token", "--keys", jwt]] {
            let error = run(arguments).stderr;
            assert!(error.contains("[redacted]") && !error.contains(jwt), "{error}");
        }
        let joined = run(&["token", &format!("--ttl={token}")]);
        assert!(joined.status == 2 && !joined.stderr.contains(token), "{joined:?}");
    }
}
