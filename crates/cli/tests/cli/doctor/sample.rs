//! What a sample token decides.

use serde_json::{Value, json};

use super::{AUDIENCE, assert_found, doctor, findings, levels};
use crate::rig::{Folder, Issuer, run_with_input};

/// The JSON about a token.
fn tried(issuer: &Issuer, token: &str, more: &[&str]) -> Value {
    run_with_input(&[&["doctor", issuer.identifier(), "--json", "--token", "-"], more].concat(), token).json()
}

fn configuration(json: &Value) -> &str {
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
