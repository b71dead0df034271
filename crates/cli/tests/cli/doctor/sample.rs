//! What a sample token decides.

use serde_json::json;

use super::{AUDIENCE, assert_found, findings};
use crate::rig::{Folder, Issuer, run_with_input};

/// The JSON about a token.
fn tried(issuer: &Issuer, token: &str, more: &[&str]) -> serde_json::Value {
    run_with_input(&[&["doctor", issuer.identifier(), "--json", "--token", "-"], more].concat(), token).json()
}

fn configuration(json: &serde_json::Value) -> &str {
    json["configuration"].as_str().unwrap()
}

#[test]
fn a_profile_that_weakens_a_check_is_chosen_by_the_user_alone() {
    let issuer = Issuer::start(&[]);
    let token = issuer.token(&[
        "--shape",
        "auth0",
        "--claim",
        "repository_id=1",
        "--without",
        "scope",
        "--without",
        "azp",
        "--claim",
        "jti=1",
    ]);
    let json = tried(&issuer, &token, &["--audience", AUDIENCE]);
    assert_found(
        &json,
        "fault",
        "only a profile that weakens a check accepts the sample token: dangerous-github-actions",
    );
    assert!(!configuration(&json).contains("profile"), "{json}");

    let named = tried(&issuer, &token, &["--audience", AUDIENCE, "--profile", "dangerous-github-actions"]);
    assert_eq!((&named["ok"], &named["profile"]), (&json!(true), &json!("dangerous-github-actions")), "{named}");
    let warned = "# It weakens a check, as its documentation says: demand more of each token, as that shows.\n\
                  profile = \"dangerous-github-actions\"\n";
    assert!(configuration(&named).contains(warned), "{named}");
}

#[test]
fn a_token_that_is_refused_decides_nothing() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-forged");
    let token =
        |arguments: &[&str]| issuer.token(&[&["--scope", "message", "--shape", "keycloak"], arguments].concat());
    let forged = |token: String| {
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", "A".repeat(86))
    };
    for sample in [
        forged(token(&["--audience", "https://evil.example"])),
        forged(token(&["--audience", "https://evil.example", "--expired"])),
        issuer.token(&["--scope", "message", "--audience", "https://evil.example", "--id-token"]),
    ] {
        let file = folder.path("forged.toml");
        let ended =
            run_with_input(&["doctor", issuer.identifier(), "--token", "-", "--save", &file, "--json"], &sample);
        let json = ended.json();
        assert_eq!((ended.status, &json["profile"], &json["saved_to"]), (1, &json!("rfc9068"), &json!(null)));
        assert!(!configuration(&json).contains("evil") && !configuration(&json).contains("keycloak"), "{json}");
        assert!(ended.stderr.contains("is not written, since there are faults"), "{}", ended.stderr);
        assert!(!std::path::Path::new(&file).exists());
    }
    let late = tried(&issuer, &token(&["--expired", "--audience", AUDIENCE]), &[]);
    assert!(configuration(&late).contains("keycloak") && configuration(&late).contains(AUDIENCE), "{late}");
}

#[test]
fn of_several_audiences_the_user_names_one() {
    let issuer = Issuer::start(&[]);
    let token =
        issuer.token(&["--scope", "message", "--audience", "account", "--audience", "https://my.example/\u{9b}"]);
    let json = tried(&issuer, &token, &[]);
    let asked = findings(&json).into_iter().filter(|(level, _)| level == "warning").collect::<Vec<_>>();
    assert!(matches!(&asked[..], [(_, text)] if text.contains("account, https://my.example/")), "{asked:?}");
    let written = "# Write the one that is your service here. The sample token is for these:\n\
                   #   \"account\"\n#   \"https://my.example/\\U0000009B\"\naudience = \"https://api.example\"\n";
    assert!(configuration(&json).contains(written), "{json}");
    let named = tried(&issuer, &token, &["--audience", "account"]);
    assert!(configuration(&named).contains("audience = \"account\"\n"), "{named}");
}
