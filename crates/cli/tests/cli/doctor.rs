//! `doctor`.

mod hostile;
mod introspection;
mod sample;
mod saving;

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    rig::{Ended, Folder, Issuer, Service, bad, ended, good, readme, run, run_with_input, scopegate},
    stand_in::{Answer, StandIn, ed25519, key_set, p256},
};

const AUDIENCE: &str = "https://api.example";

fn doctor(issuer: &str, more: &[&str]) -> Ended {
    run(&[&["doctor", "--json", issuer, "--audience", AUDIENCE], more].concat())
}

/// Level and text of each finding.
fn findings(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| !text(&finding["remedy"]).is_empty()), "each has a remedy: {json}");
    findings.iter().map(|finding| (text(&finding["level"]), text(&finding["text"]))).collect()
}

#[track_caller]
fn assert_found(json: &Value, level: &str, part: &str) {
    let findings = findings(json);
    let found = findings.iter().any(|(of, text)| of == level && text.contains(part));
    assert!(found, "{level}: {part}: {findings:#?}");
}

fn levels(json: &Value, level: &str) -> usize {
    findings(json).iter().filter(|(of, _)| of == level).count()
}

fn rsa(id: &str, bytes: usize) -> Value {
    let modulus = URL_SAFE_NO_PAD.encode(vec![0xc5; bytes]);
    json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": modulus, "e": "AQAB" })
}

fn symmetric(id: &str) -> Value {
    json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": "c2VjcmV0LXRoYXQtaXMtcHVibGlzaGVk" })
}

#[test]
fn an_embedded_issuer_has_no_fault_and_a_service_that_starts_from_the_configuration_accepts_its_tokens() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor");
    for (shape, profile) in [("rfc9068", "rfc9068"), ("keycloak", "keycloak")] {
        let token = issuer.token(&["--scope", "message", "--shape", shape, "--audience", AUDIENCE]);
        let file = folder.path(&format!("{shape}.toml"));
        let ended = run_with_input(&["doctor", issuer.identifier(), "--json", "--token", "-", "--save", &file], &token);
        let json = ended.json();
        assert_eq!((ended.status, ended.stderr.as_str(), &json["ok"]), (0, "", &json!(true)), "{json}");
        assert_eq!((levels(&json, "fault"), levels(&json, "warning")), (0, 0), "{json}");
        assert_eq!((&json["profile"], &json["explanation"]["verdict"]), (&json!(profile), &json!("accepted")));
        assert!(!ended.stdout.contains(token.rsplit('.').next().unwrap()), "no signature is shown");

        let configuration = fs::read_to_string(&file).unwrap();
        assert_eq!(json["configuration"], configuration);
        assert!(configuration.contains("audience = \"https://api.example\""), "that of the token: {configuration}");
        assert_eq!(good(&["check", &file]), format!("{file}: no fault"));
        let service = Service::configured(&file);
        assert_eq!(service.status("/messages", &token), "200");
        let other = if shape == "keycloak" { "rfc9068" } else { "keycloak" };
        let other = issuer.token(&["--scope", "message", "--shape", other]);
        assert_eq!(service.status("/messages", &other), "401");
    }
}

#[test]
fn a_token_that_fits_several_profiles_leaves_the_choice_to_the_user() {
    let issuer = Issuer::start(&[]);
    let token = issuer.token(&["--scope", "message", "--shape", "auth0"]);
    let tried = |more: &[&str]| {
        let base = ["doctor", issuer.identifier(), "--json", "--audience", AUDIENCE, "--token", "-"];
        run_with_input(&[&base[..], more].concat(), &token).json()
    };
    let json = tried(&[]);
    assert_found(&json, "warning", "the sample token is accepted with the profile auth0");
    let chosen = tried(&["--profile", "genauth"]);
    assert_eq!((levels(&chosen, "warning"), &chosen["profile"]), (0, &json!("genauth")), "{chosen}");
    assert!(chosen["configuration"].as_str().unwrap().contains("profile = \"genauth\""));
    let refused = tried(&["--profile", "keycloak"]);
    assert_found(&refused, "fault", "the profile keycloak refuses the sample token: wrong_token_type");

    let several = issuer.token(&["--scope", "message", "--shape", "keycloak"]);
    let json = run_with_input(&["doctor", issuer.identifier(), "--json", "--token", "-"], &several).json();
    assert_found(&json, "warning", "several audiences, one of which is this service: https://api.example, account");
    assert_eq!((levels(&json, "warning"), &json["profile"]), (1, &json!("keycloak")), "{json}");
    let untried = doctor(issuer.identifier(), &["--profile", "okta"]).json();
    assert!(untried["configuration"].as_str().unwrap().contains("profile = \"okta\""), "{untried}");
}

#[test]
fn the_embedded_issuer_is_described() {
    let issuer = Issuer::start(&[]);
    let json = doctor(issuer.identifier(), &[]).json();
    let documents = json["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 2);
    for document in documents {
        assert_eq!((&document["status"], &document["issuer_matches"]), (&json!(200), &json!(true)));
        assert_eq!(document["content_type"], "application/json");
    }
    let keys: Vec<_> = json["keys"].as_array().unwrap().iter().map(|key| key["algorithm"].as_str().unwrap()).collect();
    assert!(["ES256", "ES384", "Ed25519"].iter().all(|algorithm| keys.contains(algorithm)), "{keys:?}");
    assert_eq!(
        json["caching"],
        json!({ "requested_seconds": null, "applied_seconds": 300, "changed_seconds_ago": null })
    );
    assert_eq!(
        (&json["clock"]["issuer_ahead_seconds"], &json["introspection"]["invented_token"]),
        (&json!(0), &json!("refused"))
    );
    assert_found(&json, "note", "plain http, which is allowed on this machine alone");
    let documented = readme().lines().find(|line| line.starts_with("| `doctor` |")).unwrap().to_owned();
    for member in json.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("`{member}`")), "{member}: {documented}");
    }
    assert_found(
        &json,
        "note",
        "the endpoint was asked without credentials and answered 401 Unauthorized, as it should",
    );
    assert_found(&json, "note", "no token was tried");

    let text = run(&["doctor", issuer.identifier()]);
    assert_eq!(text.status, 0);
    for part in [
        "Metadata\n  200      application/json",
        "used     kid ",
        "ES384, P-384\n",
        ": Ed25519\n",
        "for 5 min",
        "clocks of the issuer and of this machine agree",
        "  warning  the audience is not known",
        "Verdict: no fault, 1 warning",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let folder = Folder::new("doctor-placeholder");
    let json = run(&["doctor", "--json", issuer.identifier()]).json();
    let file = folder.file("placeholder.toml", json["configuration"].as_str().unwrap());
    assert_eq!(good(&["check", &file]), format!("{file}: no fault"));
}

#[test]
fn opaque_tokens_are_asked_about_with_the_credentials_of_the_service() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-opaque");
    let secret = folder.file("secret", "test-secret\n");
    let token = issuer.token(&["--scope", "message", "--opaque"]);
    let base = ["doctor", issuer.identifier(), "--json", "--audience", AUDIENCE, "--token", "-"];
    let without = run_with_input(&base, &token);
    assert_eq!(without.status, 1);
    assert_found(&without.json(), "fault", "the sample token is opaque, and without credentials");
    assert_eq!(without.json()["profiles"], json!(null), "profiles do not matter");
    let text = run_with_input(&["doctor", issuer.identifier(), "--token", "-"], &token).stdout;
    assert!(text.contains("\nSample token\n  opaque: profiles do not matter\n\nFindings"), "{text}");
    assert!(text.contains("name `--client-id` and `--client-secret-file`") && !text.contains("keycloak"), "{text}");

    let file = folder.path("opaque.toml");
    let with = ["--client-id", "test-client", "--client-secret-file", &secret, "--save", &file];
    let ended = run_with_input(&[&base[..], &with].concat(), &token);
    let json = ended.json();
    assert_found(&json, "note", "the sample token is accepted");
    assert_eq!((ended.status, &json["introspection"]["invented_token"]), (0, &json!("inactive")), "{json}");
    assert_eq!(Service::configured(&file).status("/messages", &token), "200");

    fs::write(&secret, "another").unwrap();
    let ended = run_with_input(&[&base[..], &with[..4]].concat(), &token);
    assert_eq!(ended.status, 1);
    assert_found(&ended.json(), "fault", "refuses our own credentials with the status 401");
    assert_found(&ended.json(), "fault", "the sample token is refused: issuer_unavailable");
}

#[test]
fn the_file_of_a_secret_is_found_from_every_folder() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-relative");
    let secret = folder.file("secret", "test-secret\n");
    let client = ["--client-id", "test-client", "--client-secret-file", "secret"];
    let mut command = scopegate(&[&["doctor", "--json", issuer.identifier()], &client[..]].concat());
    let json = ended(command.current_dir(folder.path(""))).json();
    let configuration = json["configuration"].as_str().unwrap();
    assert!(configuration.contains(&format!("client_secret_file = {secret:?}\n")), "{configuration}");
}

#[test]
fn a_token_that_no_profile_accepts_is_a_fault_and_one_that_came_too_late_is_none() {
    let issuer = Issuer::start(&[]);
    let tried = |arguments: &[&str]| {
        let token = issuer.token(arguments);
        let ended =
            run_with_input(&["doctor", issuer.identifier(), "--json", "--audience", AUDIENCE, "--token", "-"], &token);
        (ended.status, ended.json())
    };
    let (status, json) = tried(&["--id-token"]);
    assert_eq!((status, &json["explanation"]["verdict"]), (1, &json!("refused")));
    assert_found(&json, "fault", "no profile accepts the sample token: ");
    let (status, json) = tried(&["--audience", "https://other.example"]);
    assert_eq!(status, 1);
    assert_found(&json, "fault", "no profile accepts the sample token: wrong_audience");
    let (status, json) = tried(&["--expired"]);
    assert_eq!((status, &json["profile"]), (0, &json!("rfc9068")));
    assert_found(&json, "warning", "fits the profile rfc9068, at another time: exp");

    for (token, status) in [("", 2), (" \n", 2), ("no token", 1), ("x\u{7f}\u{0}", 1)] {
        let ended = run_with_input(&["doctor", issuer.identifier(), "--json", "--token", "-"], token);
        assert_eq!(ended.status, status, "{token:?}: {ended:?}");
    }
}

#[test]
fn every_fault_of_a_stand_in_is_named_at_once() {
    let mut private = p256("private");
    private["d"] = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE".into();
    let mut nameless = ed25519("");
    nameless.as_object_mut().unwrap().remove("kid");
    nameless.as_object_mut().unwrap().remove("alg");
    let keys = json!({ "keys": [
        rsa("short", 128), private, symmetric("hs"), p256("twice"), ed25519("twice"), nameless,
        { "kty": "RSA", "kid": "e", "use": "enc", "n": "AQAB", "e": "AQAB" },
    ] });
    let ten_minutes_ago = httpdate::fmt_http_date(
        scopegate_core::clock::Clock::now(&scopegate_core::clock::SystemClock) - Duration::from_secs(630),
    );
    let server = StandIn::start("/t", |origin| {
        let document = json!({
            "issuer": format!("{origin}/t/"),
            "jwks_uri": format!("{origin}/keys"),
            "id_token_signing_alg_values_supported": ["HS256"],
        });
        vec![
            (
                "/.well-known/oauth-authorization-server/t",
                Answer::status(302, "").header("location", "https://other.example/login?state=s3cret"),
            ),
            (
                "/.well-known/openid-configuration/t",
                Answer::of("text/html; charset=utf-8", "<!doctype html><title>Sign in</title>"),
            ),
            (
                "/t/.well-known/openid-configuration",
                Answer::of("text/plain", document.to_string()).header("date", &*ten_minutes_ago),
            ),
            (
                "/keys",
                Answer::of("text/plain", keys.to_string())
                    .header("cache-control", "no-store")
                    .header("date", &*ten_minutes_ago),
            ),
        ]
    });
    let ended = doctor(&server.issuer, &[]);
    let json = ended.json();
    assert_eq!((ended.status, &json["ok"], &json["configuration"]), (1, &json!(false), &json!(null)));
    for (level, part) in [
        ("fault", "the answer is a redirect (302 Found) to https://other.example/login, which is not followed"),
        ("fault", "the metadata document is not one JSON object"),
        ("warning", "the Content-Type of the metadata document is text/html; charset=utf-8"),
        ("fault", "the metadata document names another issuer, "),
        ("fault", "(they differ by the slash at the end alone)"),
        ("warning", "the Content-Type of the metadata document is text/plain"),
        ("warning", "none of the issuer's signature algorithms is supported: HS256"),
        ("warning", "the Content-Type of the key set is text/plain"),
        ("warning", "key \"short\" is not used: its modulus has 1024 bits, and at least 2048 are needed"),
        ("fault", "key \"private\" is not used: it has a private member"),
        ("fault", "key \"hs\" is not used: it is symmetric"),
        ("note", "key \"e\" is not used: its `use` is not `sig`"),
        ("warning", "several keys have the kid twice"),
        ("warning", "1 of 7 keys have no kid"),
        ("note", "a key has no alg"),
        ("warning", "the headers forbid to cache the keys"),
        ("fault", "the issuer's clock is 10 min behind this machine's: more than the leeway of 60 s"),
    ] {
        assert_found(&json, level, part);
    }
    assert!(!ended.stdout.contains("s3cret") && !ended.stdout.contains("870MB6"), "secrets are not shown");
    let sample = run_with_input(&["doctor", "--json", &server.issuer, "--token", "-"], "a-token");
    assert_found(&sample.json(), "warning", "the sample token was not tried, since a service has no keys for it");
    assert_eq!(run(&["doctor", &server.issuer]).stdout.lines().last(), Some("Verdict: 6 faults, 8 warnings"));
}

#[test]
fn each_fault_of_a_document_or_a_key_set_is_named() {
    let good = || key_set(&[p256("a")]);
    let at = |path: &'static str, answer: Answer| move |_: &str| vec![(path, answer)];
    let long = "x".repeat(513 * 1024);
    let oauth = "/.well-known/oauth-authorization-server";
    for (server, level, part) in [
        (StandIn::with(json!({ "jwks_uri": null }), good()), "fault", "the metadata document has no `jwks_uri`"),
        (
            StandIn::with(json!({ "jwks_uri": "http://keys.example/jwks" }), good()),
            "fault",
            "the `jwks_uri` of the metadata document must be https",
        ),
        (
            StandIn::with(json!({ "issuer": "https://other.example" }), good()),
            "fault",
            "names another issuer, https://other.example",
        ),
        (StandIn::with(json!({ "issuer": null }), good()), "fault", "the metadata document has no `issuer`"),
        (StandIn::with(json!({ "x": long }), good()), "fault", "the metadata document is longer than 524288 bytes"),
        (StandIn::start("", |_| vec![]), "fault", "there is no metadata document at any of the well-known addresses"),
        (StandIn::start("", |_| vec![(oauth, Answer::status(503, ""))]), "fault", "the answer has the status 503"),
        (
            StandIn::with(json!({}), Answer::status(404, "")),
            "fault",
            "the answer to a request for the keys has the status 404",
        ),
        (
            StandIn::with(json!({}), Answer::status(301, "").header("location", "/other")),
            "fault",
            "the keys are redirected (301",
        ),
        (StandIn::with(json!({}), Answer::of("text/html", "<html>")), "fault", "the JWK Set is not one JSON object"),
        (StandIn::with(json!({}), Answer::json(&json!([p256("a")]))), "fault", "the JWK Set is not one JSON object"),
        (
            StandIn::with(json!({}), Answer::of("application/json", long.clone())),
            "fault",
            "the key set is longer than 524288 bytes",
        ),
        (StandIn::with(json!({}), key_set(&[])), "fault", "the key set has no key that can be used"),
        (StandIn::with(json!({}), key_set(&[rsa("a", 128)])), "fault", "the key set has no key that can be used"),
        (
            StandIn::with(json!({ "jwks_uri": "http://127.0.0.1:1/jwks" }), good()),
            "fault",
            "the keys cannot be fetched: the request failed",
        ),
        (
            StandIn::with(json!({ "introspection_endpoint": "http://as.example/i" }), good()),
            "warning",
            "the `introspection_endpoint` of the metadata document must be https",
        ),
        (
            StandIn::with_more(json!({}), good(), at(oauth, Answer::status(302, "").header("location", "/x"))),
            "warning",
            "the answer is a redirect (302",
        ),
        (
            StandIn::with_more(json!({}), good(), |origin: &str| {
                let other = json!({ "issuer": origin, "jwks_uri": format!("{origin}/old") });
                vec![(oauth, Answer::json(&other)), ("/old", key_set(&[p256("a")]))]
            }),
            "warning",
            "the documents name different keys",
        ),
        (
            StandIn::with(json!({}), good().header("cache-control", "no-store")),
            "warning",
            "the headers forbid to cache the keys",
        ),
        (
            StandIn::with(json!({}), key_set(&[p256("a")]).header("age", "400")),
            "note",
            "the headers ask for 200 s, which the bounds make 5 min",
        ),
        (StandIn::with(json!({}), Answer::json(&json!({ "keys": [p256("a")] }))), "note", "no header says how long"),
    ] {
        let ended = doctor(&server.issuer, &[]);
        let json = ended.json();
        assert_found(&json, level, part);
        let is_fault = level == "fault";
        assert_eq!((ended.status, json["configuration"].is_null()), (i32::from(is_fault), is_fault), "{part}: {json}");
    }
}

#[test]
fn intro_3_an_endpoint_that_calls_an_invented_token_active_is_a_fault() {
    let asked = |answer: Answer| {
        let document = json!({ "introspection_endpoint": "ORIGIN/introspect" });
        let server = StandIn::with_more(document, key_set(&[p256("a")]), |_| vec![("/introspect", answer)]);
        let ended = doctor(&server.issuer, &[]);
        (ended.status, ended.json())
    };
    for active in
        [json!({ "active": true }), json!({ "active": true, "aud": AUDIENCE, "sub": "alice", "client_id": "web" })]
    {
        let (status, json) = asked(Answer::json(&active));
        assert_eq!((status, &json["introspection"]["invented_token"]), (1, &json!("active")));
        assert_found(&json, "fault", "the endpoint says of a token that nobody has issued that it is active");
    }
    let (status, json) = asked(Answer::json(&json!({ "active": false })));
    assert_eq!(status, 0);
    assert_found(&json, "warning", "the endpoint answers a client that does not authenticate");
    let (status, json) = asked(Answer::status(401, ""));
    assert_eq!(status, 0);
    assert_found(
        &json,
        "note",
        "the endpoint was asked without credentials and answered 401 Unauthorized, as it should",
    );
    for (answer, part) in [
        (Answer::status(500, ""), "with the status 500"),
        (Answer::status(302, "").header("location", "/login"), "redirects with the status 302"),
        (Answer::of("text/html", "<html>"), "not of the media type application/json"),
    ] {
        let (status, json) = asked(answer);
        assert_eq!((status, &json["introspection"]["invented_token"]), (0, &json!("unusable")));
        assert_found(&json, "warning", part);
    }
}

#[test]
fn algorithms_beyond_the_default_are_configured_where_a_key_is_for_them() {
    let mut key = rsa("a", 256);
    key["alg"] = "RS512".into();
    key["n"] = MODULUS.into();
    let json = doctor(&StandIn::with(json!({}), key_set(&[key, p256("b")])).issuer, &[]).json();
    assert_eq!(levels(&json, "fault"), 0, "{json}");
    assert!(json["configuration"].as_str().unwrap().contains("algorithms = [\"ES256\", \"RS512\"]"), "{json}");
}

/// The modulus of RFC 7517, appendix A.1.
const MODULUS: &str = "\
    0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB\
    ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
    KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_\
    xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

#[test]
fn where_nothing_answers_one_sentence_says_so() {
    let ended = run(&["doctor", "http://127.0.0.1:1"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (1, ""));
    assert!(
        ended.stdout.contains("fault    nothing answers at 127.0.0.1:1: ") && ended.stdout.contains("start the issuer")
    );
    assert!(ended.stdout.ends_with("\nVerdict: 1 fault\n"), "{}", ended.stdout);
    let json = run(&["doctor", "--json", "http://127.0.0.1:1"]).json();
    for name in ["keys", "caching", "clock", "introspection", "profiles", "profile", "explanation"] {
        assert_eq!(json.get(name), Some(&json!(null)), "{name} is there, without a value");
    }
    assert_eq!((levels(&json, "fault"), &json["configuration"]), (1, &json!(null)));
}

#[test]
fn key_2_nothing_is_fetched_from_what_is_no_issuer() {
    for (issuer, part) in [
        ("http://as.example", "must be https"),
        ("http://localhost:9", "must be https"),
        ("https://as.example?x", "must not have a query"),
        ("https://user@as.example", "must not have user information"),
        ("as.example", "must begin with https://"),
    ] {
        let ended = doctor(issuer, &[]);
        assert_eq!((ended.status, ended.json()["documents"].is_null()), (1, true), "{issuer}");
        assert_found(&ended.json(), "fault", part);
    }
}

#[test]
fn what_was_meant_is_named() {
    for (address, issuer) in [
        ("https://as.example/t/.well-known/openid-configuration", "https://as.example/t"),
        ("https://as.example/.well-known/oauth-authorization-server/t", "https://as.example/t"),
    ] {
        let error = bad(2, &["doctor", address]);
        let expected = format!("this is the address of a document; the issuer is likely {issuer}\n");
        assert!(error.contains(&expected), "{error}");
    }
    let localhost = run(&["doctor", "http://localhost:9417"]);
    assert!(localhost.stdout.contains("write 127.0.0.1 for localhost"), "{}", localhost.stdout);
}

#[test]
fn a_file_is_replaced_by_force_alone_and_written_only_with_a_configuration() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-save");
    let file = folder.file("kept.toml", "mine");
    let base = ["doctor", issuer.identifier(), "--save", &file];
    let kept = run(&base);
    assert_eq!((kept.status, kept.stdout.as_str(), fs::read_to_string(&file).unwrap().as_str()), (2, "", "mine"));
    assert!(kept.stderr.contains("exists") && kept.stderr.contains("`--force`"), "{}", kept.stderr);
    let replaced = run(&[&base[..], &["--force"]].concat());
    assert!(
        replaced.status == 0 && replaced.stdout.contains(&format!("\nConfiguration, saved to {file}\n")),
        "{replaced:?}"
    );
    assert!(fs::read_to_string(&file).unwrap().contains(issuer.identifier()));

    let new = folder.path("new.toml");
    let ended = run(&["doctor", "http://127.0.0.1:1", "--save", &new]);
    assert!(ended.status == 1 && ended.stderr.contains("is not written") && fs::read(&new).is_err(), "{ended:?}");
    for wrong in [
        &["--force"][..],
        &["--profile", "keykloak"],
        &["--client-id", "a"],
        &["--client-secret-file", "a"],
        &["--audience", " a"],
    ] {
        assert_eq!(run(&[&["doctor", "https://as.example"], wrong].concat()).status, 2, "{wrong:?}");
    }
}

#[test]
fn a_slow_answer_is_announced_and_a_terminal_gets_no_control_characters() {
    let slow = Answer::json(&json!({ "issuer": "\u{1b}[2J", "jwks_uri": "https://\u{1b}[31m" }))
        .after(Duration::from_millis(1500));
    let server = StandIn::start("", |_| vec![("/.well-known/openid-configuration", slow)]);
    let ended = ended(&mut scopegate(&["doctor", &server.issuer]));
    let url = format!("{}/.well-known/openid-configuration", server.issuer);
    assert_eq!(ended.stderr, format!("waiting for {url} ...\n"));
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}
