//! `check`.

use serde_json::{Value, json};

use crate::rig::{Ended, Folder, bad, ended, good, readme, run, run_with_input, scopegate};

const GOOD: &str = r#"
    audience = "https://api.example"
    startup = "fail-fast" # Which waits for the issuer where something is started.

    [[issuers]]
    issuer = "https://127.0.0.1:1/oidc"
    profile = "keycloak"
"#;

const FIVE_FAULTS: &str = r#"
    audience = "https://api.example"
    leeway = "10min"
    max_tokn_age = "1h"

    [[issuers]]
    issuer = "http://sso.example"
    profile = "keykloak"
    scope_grammar = "exactly"
"#;

fn check(content: &str) -> Ended {
    run_with_input(&["check", "-"], content)
}

fn faults(ended: &Ended) -> Vec<String> {
    let json = ended.json();
    json["faults"].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_configuration_without_a_fault_is_good_though_its_issuer_is_out_of_reach() {
    let folder = Folder::new("good");
    let file = folder.file("scopegate.toml", GOOD);
    let ended = run(&["check", &file]);
    assert_eq!(ended, Ended { status: 0, stdout: format!("{file}: no fault\n"), stderr: String::new() });
    let json = r#"{ "audience": "https://api.example", "issuers": [{ "issuer": "https://sso.example" }] }"#;
    assert_eq!(check(json).status, 0);
    let ended = run(&["check", "--json", &file]);
    assert_eq!(ended.json(), json!({ "ok": true, "checked": file, "faults": [] }));
}

#[test]
fn every_fault_is_reported_at_once() {
    let folder = Folder::new("faults");
    let file = folder.file("scopegate.toml", FIVE_FAULTS);
    let ended = run(&["check", "--json", &file]);
    let faults = faults(&ended);
    assert_eq!((ended.status, ended.json()["ok"].as_bool(), faults.len()), (1, Some(false), 5), "{faults:?}");
    for part in ["max_tokn_age: ", "leeway", "must be https", "keykloak", "exactly"] {
        assert_eq!(faults.iter().filter(|fault| fault.contains(part)).count(), 1, "{part}: {faults:?}");
    }

    let text = run(&["check", &file]);
    let expected =
        format!("{file}: 5 faults\n{}", faults.iter().map(|fault| format!("- {fault}\n")).collect::<String>());
    assert_eq!((text.status, text.stdout, text.stderr), (1, expected, String::new()));
}

#[test]
fn what_is_neither_toml_nor_json_is_an_error_with_a_place_and_is_not_quoted() {
    let folder = Folder::new("syntax");
    for (content, fault) in [
        ("audience = \"api\"\nleeway = s3cret-value\n", "is not TOML: "),
        ("[[issuers]]\nclient_secret = \"s3cret-value\n", "is not TOML: "),
        ("{ \"audience\": \"api\",\n \"leeway\": s3cret-value }", "is not JSON: "),
        ("{\n} s3cret-value", "is not JSON: "),
    ] {
        let file = folder.file("configuration", content);
        let explained = ["explain", "--config", &file, "token"];
        for error in [bad(2, &["check", &file]), bad(2, &explained)] {
            assert!(error.starts_with(&format!("error: {file}: {fault}")) && error.contains(" at line 2"), "{error}");
            assert!(error.contains("correct this first") && !error.contains("s3cret"), "{error}");
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_is_expected_and_its_place() {
    for (content, fault) in [
        ("audience = \"api\"\nissuers = 5\n", "issuers: expected a sequence, found a number at line 2 column 11"),
        ("uniform_refusals = \"s3cret\"\n", "uniform_refusals: expected a boolean, found a string at line 1 column 20"),
        (
            "[[issuers]]\nkey_refresh = { timeout = [\"s3cret\"] }\n",
            "issuers[0].key_refresh.timeout: expected a number or a string, found a list at line 2 column 27",
        ),
        (
            "{ \"issuers\": [{}, { \"issuer\": 5 }] }",
            "issuers[1].issuer: expected a string, found a number at line 1 column ",
        ),
        ("{ \"audience\": \"a\", \"audience\": \"b\" }", "duplicate field `audience` at line 1 column "),
    ] {
        let ended = check(content);
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.stdout.starts_with(&format!("-: 1 fault\n- {fault}")), "{}", ended.stdout);
        assert!(ended.stdout.contains("correct this first") && !ended.stdout.contains("s3cret"), "{}", ended.stdout);
    }
}

#[test]
fn an_empty_configuration_has_faults() {
    for empty in ["", "{}"] {
        let ended = check(empty);
        assert!(
            ended.status == 1 && ended.stdout.contains("- issuers: none is configured; add `[[issuers]]`"),
            "{ended:?}"
        );
    }
}

#[test]
fn files_of_secrets_are_read() {
    let folder = Folder::new("secrets");
    let content = |secret: &str| {
        format!("{GOOD}\n[issuers.introspection]\nclient_id = \"api\"\nclient_secret_file = \"{secret}\"\n")
    };
    assert_eq!(check(&content(&folder.file("secret", "hush\n"))).status, 0);
    let ended = check(&content(&folder.path("missing")));
    assert!(ended.status == 1 && ended.stdout.contains("cannot be read"), "{ended:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_command_line() {
    let folder = Folder::new("unreadable");
    for file in [folder.path("missing.toml"), folder.path(""), folder.path("binary")] {
        std::fs::write(folder.path("binary"), [0xff, 0xfe, 0]).unwrap();
        let ended = run(&["check", &file]);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{file}");
        assert!(ended.stderr.contains(" cannot be read: ") && ended.stderr.contains("`--env`"), "{}", ended.stderr);
    }
    for arguments in [&["check"][..], &["check", "a.toml", "--env"]] {
        assert_eq!(run(arguments).status, 2, "{arguments:?}");
    }
}

#[test]
fn variables_are_checked_as_well() {
    let variables = [("SCOPEGATE_ISSUER", "https://sso.example"), ("SCOPEGATE_AUDIENCE", "api")];
    let good = ended(scopegate(&["check", "--env"]).envs(variables));
    assert_eq!((good.status, good.stdout.as_str()), (0, "the variables SCOPEGATE_*: no fault\n"));

    let bad = ended(scopegate(&["check", "--env", "--json"]).envs(variables).env("SCOPEGATE_LEWAY", "1s"));
    assert_eq!(bad.status, 1);
    assert!(faults(&bad)[0].starts_with("SCOPEGATE_LEWAY: is not a setting"), "{:?}", faults(&bad));

    let other = [("MY_API_ISSUER", "https://sso.example"), ("MY_API_AUDIENCE", "api")];
    for prefix in ["MY_API", "MY_API_"] {
        let other = ended(scopegate(&["check", &format!("--env={prefix}")]).envs(other));
        assert_eq!((other.status, other.stdout.as_str()), (0, "the variables MY_API_*: no fault\n"));
    }
    let none: Value = ended(&mut scopegate(&["check", "--env", "--json"])).json();
    assert_eq!(none["ok"], false);
}

#[test]
fn the_example_has_no_fault_and_neither_has_what_is_optional_in_it() {
    let folder = Folder::new("example");
    let example = good(&["check", "--example"]);
    let file = folder.file("example.toml", &example);
    assert_eq!(good(&["check", &file]), format!("{file}: no fault"));

    let secret = folder.file("secret", "hush\n");
    // A comment that is a sentence has a space behind its sign.
    let all: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let all = all.join("\n").replace("/run/secrets/introspection", &secret);
    assert!(all.contains("\nleeway = ") && all.contains("\n[issuers.introspection]\n"), "{all}");
    let file = folder.file("all.toml", &all);
    assert_eq!(good(&["check", &file]), format!("{file}: no fault"));
    assert!(readme().contains("`scopegate check --example`"), "and the README names it");
}

#[test]
fn faults_name_settings_and_no_calls() {
    for content in ["[issuer]\nissuer = \"https://as.example\"\n", "issuer = \"https://as.example\"\n"] {
        let ended = check(content);
        assert!(ended.stdout.contains("add `[[issuers]]` with `issuer = \"https://...\"`"), "{}", ended.stdout);
        assert!(!ended.stdout.contains("::") && !ended.stdout.contains("(..)"), "{}", ended.stdout);
    }
    let none = ended(&mut scopegate(&["check", "--env"])).stdout;
    assert!(none.contains("- SCOPEGATE_ISSUER: is missing; set it to the identifier of the issuer"), "{none}");
    let misplaced = check(&format!("{GOOD}leeway = \"3s\"\n")).stdout;
    assert!(misplaced.contains("leeway: is not a setting; `leeway` belongs at the top of the file"), "{misplaced}");
    let unread = check(&format!("{GOOD}[issuers.introspection]\nclient_id = \"a\"\nclient_secret_file = \"/none\"\n"));
    assert!(
        unread.stdout.contains("introspection.client_secret_file: the file \"/none\" cannot be read"),
        "{unread:?}"
    );
}
