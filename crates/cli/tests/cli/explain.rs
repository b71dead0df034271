//! `explain`.

use crate::rig::{Folder, Issuer, bad, good, http, run, run_with_input};

const AUDIENCE: &str = "https://api.example";

#[test]
fn a_token_of_the_running_issuer_is_explained_by_the_configuration_of_its_service() {
    let issuer = Issuer::start(&[]);
    let url = issuer.identifier().to_owned();
    let explain = |options: &[&str], input: &str| {
        run_with_input(&[&["explain", "--issuer", &url, "--audience", AUDIENCE], options].concat(), input)
    };
    let token = issuer.token(&["--scope", "message", "--subject", "alice"]);
    let accepted = explain(&["--scope", "message"], &token);
    assert_eq!((accepted.status, accepted.stderr.as_str()), (0, ""), "{}", accepted.stdout);
    assert!(accepted.stdout.starts_with("accepted\n") && !accepted.stdout.contains("alice"), "{}", accepted.stdout);
    assert!(explain(&["--show-claims"], &token).stdout.contains("alice"));

    let lacking = explain(&["--scope", "message admin"], &format!("Authorization: Bearer {token}"));
    assert_eq!(lacking.status, 1);
    assert!(
        lacking.stdout.contains("refused: 403 insufficient_scope")
            && lacking.stdout.contains("Remedy (client): ask the issuer for the scope")
    );

    let curl = format!("curl -i \\\n -H 'Authorization: Bearer {token}' https://api.example/messages");
    assert_eq!(explain(&[], &curl).status, 0);

    let expired = explain(&["--json"], &issuer.token(&["--expired"]));
    assert_eq!(
        (expired.status, &expired.json()["reason"], &expired.json()["status"]),
        (1, &"expired".into(), &401.into())
    );
    // No request needs the key of a token that has expired, and an explanation fetches it.
    let steps = expired.json()["steps"].as_array().unwrap().clone();
    let signature = steps.iter().find(|step| step["step"] == "signature").unwrap();
    assert_eq!((&signature["status"], signature["checks"].as_array().unwrap().len()), (&"passed".into(), 1));
    for ended in [accepted, lacking] {
        assert!(!ended.stdout.contains(&token) && !ended.stdout.contains(token.rsplit('.').next().unwrap()));
    }
}

#[test]
fn a_configuration_in_a_file_and_keys_in_a_file_do() {
    let folder = Folder::new("explain");
    let (keys, config, set) = (folder.path("keys.json"), folder.path("scopegate.toml"), folder.path("jwks.json"));
    let issuer = Issuer::start(&["--keys", &keys]);
    let (url, token) = (issuer.identifier().to_owned(), issuer.token(&["--scope", "message"]));
    let answer = http(url.strip_prefix("http://").unwrap(), "/jwks.json", "");
    std::fs::write(&set, answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = format!("audience = {AUDIENCE:?}\n[[issuers]]\nissuer = {url:?}\njwks_file = {set:?}\n");
    std::fs::write(&config, text).unwrap();
    drop(issuer);
    assert!(good(&["explain", "--config", &config, &token]).starts_with("accepted"));
    assert!(
        good(&["explain", "--issuer", &url, "--audience", AUDIENCE, "--jwks", &set, &token]).starts_with("accepted")
    );
    let other = run(&["explain", "--issuer", &url, "--audience", "https://api.example/", "--jwks", &set, &token]);
    assert_eq!(other.status, 1);
    assert!(other.stdout.contains("they differ only by the slash at the end"), "{}", other.stdout);
    let unreachable = run(&["explain", "--issuer", &url, "--audience", AUDIENCE, &token]);
    assert!(unreachable.stdout.starts_with("refused: 503 keys_unavailable"), "{}", unreachable.stdout);
    assert_eq!(unreachable.status, 3, "nothing was decided");
}

#[test]
fn what_cannot_be_explained_is_an_error_that_shows_no_token() {
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for arguments in [
        &["explain", TOKEN][..],
        &["explain", "--issuer", "https://as.example", TOKEN],
        &["explain", "--config", "/nonexistent", TOKEN],
        &["explain", "--issuer", "not a URL", "--audience", "a", TOKEN],
        &["explain", "--issuer", "https://as.example", "--audience", "a", "--profile", "none", TOKEN],
        &["explain", "--issuer", "https://as.example", "--audience", "a", "--scope", "\"", TOKEN],
        &["explain", "--issuer", "https://as.example", "--audience", "a", "--method", "A B", TOKEN],
        &["explain", "--issuer", "https://as.example", "--audience", "a", "--url", "http://[", TOKEN],
        &["explain", "--issuer", "https://as.example", "--audience", "a", ""],
        &["explain", "--issuer", "https://as.example", "--audience", "a", "this is garbage!!"],
    ] {
        let error = bad(2, arguments);
        assert!(!error.contains(TOKEN) && error.len() > 40, "{error}");
    }
}

#[test]
fn what_has_no_token_in_it_is_not_judged() {
    const SERVICE: [&str; 5] = ["explain", "--issuer", "https://as.example", "--audience", "a"];
    for (input, remedy) in [
        ("this is garbage!!", "this is no token, which is made of ASCII letters, digits and `-._~+/=` alone"),
        ("Authorization: Basic YWxpY2U6c2VjcmV0", "the scheme of `Authorization` is Basic"),
        ("Basic YWxpY2U6c2VjcmV0", "the scheme of `Authorization` is Basic"),
        ("Authorization: YWxpY2U6c2VjcmV0", "does not begin with `Bearer` or `DPoP`"),
        ("curl https://a.example/", "no header has a token: send it as `Authorization: Bearer <token>`"),
    ] {
        for scope in [&[][..], &["--scope", "message"]] {
            let ended = run_with_input(&[&SERVICE, scope].concat(), input);
            assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{input}");
            assert!(ended.stderr.contains(remedy) && !ended.stderr.contains("YWxpY2U6c2VjcmV0"), "{}", ended.stderr);
        }
    }
}

#[test]
fn options_of_an_issuer_are_refused_beside_a_configuration() {
    let folder = Folder::new("explain-options");
    let file = folder.file("scopegate.toml", "audience = \"a\"\n[[issuers]]\nissuer = \"https://as.example\"\n");
    for source in [&["--config", &file][..], &["--env"]] {
        for (option, value, setting) in
            [("--audience", "x", "audience"), ("--profile", "keycloak", "profile"), ("--jwks", "x", "jwks_file")]
        {
            let error = bad(2, &[&["explain"], source, &[option, value, "token"]].concat());
            let expected =
                format!("`{option}` belongs to `--issuer`, and `{}` has its own settings: leave out", source[0]);
            assert!(error.contains(&expected) && error.contains(&format!("set `{setting}` there")), "{error}");
        }
    }
}

#[test]
fn a_file_without_public_keys_is_an_error_of_the_command_line() {
    let folder = Folder::new("explain-jwks");
    let private = folder.path("private.json");
    drop(Issuer::start(&["--keys", &private]));
    for (file, fault) in [
        (folder.path("missing.json"), "cannot be read"),
        (private, "has private keys, and a service has the public ones alone"),
        (folder.file("none.json", "{ \"keys\": [] }"), "has no keys"),
        (folder.file("text.json", "keys"), "has no keys: the JWK Set is not one JSON object"),
        (folder.file("other.json", "{ \"keys\": [{ \"kty\": \"X\" }] }"), "has no key that can be used: key number 0"),
    ] {
        let error = bad(2, &["explain", "--issuer", "https://as.example", "--audience", "a", "--jwks", &file, "a.b.c"]);
        assert!(error.starts_with(&format!("error: {file:?} {fault}")) && error.contains("`jwks_uri`"), "{error}");
    }
}
