//! `issuer`, `rotate` and `revoke`.

use std::{fs, net::TcpListener, process::Command};

use serde_json::{Value, json};

use crate::rig::{
    Folder, Issuer, Running, Service, bad, ended, free_port, good, http, post, run, run_with_input, scopegate,
};

fn published(issuer: &Issuer) -> Vec<String> {
    let answer = http(&format!("127.0.0.1:{}", issuer.port), "/jwks.json", "");
    let jwks: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_variables_that_are_printed_are_for_a_shell() {
    let port = free_port();
    let mut process = Running::start(&mut scopegate(&["issuer", "--port", &port, "--audience", "my api"]));
    let mut lines = Vec::new();
    loop {
        let line = process.line();
        if line.starts_with("A token for it: ") {
            assert_eq!(line, format!("A token for it: scopegate token --port {port} --scope message"));
            break;
        }
        lines.push(line);
    }
    for endpoint in ["/.well-known/openid-configuration", "/jwks.json", "/token", "/introspect", "/revoke", "/rotate"] {
        let url = format!("http://127.0.0.1:{port}{endpoint}");
        assert!(lines.iter().any(|line| line.ends_with(&format!(" {url}"))), "{endpoint}: {lines:?}");
    }
    let exports: Vec<_> = lines.iter().filter(|line| line.starts_with("export ")).map(String::as_str).collect();
    let script = exports.join("\n") + "\nenv";
    let environment =
        ended(Command::new("sh").env_clear().env("PATH", std::env::var_os("PATH").unwrap()).args(["-c", &script]));
    let mut set: Vec<_> = environment.stdout.lines().filter(|line| line.starts_with("SCOPEGATE_")).collect();
    set.sort_unstable();
    assert_eq!(
        set,
        [
            "SCOPEGATE_AUDIENCE=my api",
            "SCOPEGATE_DANGEROUS_ALLOW_HTTP_ON_LOOPBACK=true",
            "SCOPEGATE_INTROSPECTION_CLIENT_ID=test-client",
            "SCOPEGATE_INTROSPECTION_CLIENT_SECRET=test-secret",
            &format!("SCOPEGATE_ISSUER=http://127.0.0.1:{port}"),
            "SCOPEGATE_KEY_REFRESH_COOL_DOWN=1s",
        ]
    );
}

#[test]
fn keys_in_a_file_survive_a_restart_and_a_rotation() {
    let folder = Folder::new("restart");
    let file = folder.path("keys.json");
    let first = Issuer::start(&["--keys", &file]);
    let before = published(&first);
    good(&["rotate", "--port", &first.port]);
    let rotated = published(&first);
    assert_eq!((rotated.len(), &rotated[3..]), (6, &before[..]), "the old keys stay published");
    drop(first);

    let second = Issuer::start(&["--keys", &file]);
    assert_eq!(published(&second), rotated);
    let dropped: Value =
        serde_json::from_str(&good(&["rotate", "--drop-old", "--json", "--port", &second.port])).unwrap();
    let kids: Vec<_> = dropped["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!((kids.len(), kids), (3, published(&second).iter().map(String::as_str).collect()));
    assert!(published(&second).iter().all(|kid| !rotated.contains(kid)));
}

#[cfg(unix)]
#[test]
fn the_file_of_keys_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("mode");
    let file = folder.path("keys.json");
    let _issuer = Issuer::start(&["--keys", &file]);
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_a_file_each_start_has_new_keys() {
    assert_ne!(published(&Issuer::start(&[])), published(&Issuer::start(&[])));
}

#[test]
fn a_taken_port_is_explained() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = bad(1, &["issuer", "--port", &port.to_string()]);
    assert!(error.starts_with(&format!("error: 127.0.0.1:{port} cannot be listened on: ")), "{error}");
    assert!(error.contains("choose another port, such as `--port "), "{error}");
    let json = bad(1, &["issuer", "--json", "--port", &port.to_string()]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(format!("error: {}\n", json["error"].as_str().unwrap()), error);
}

#[test]
fn no_option_lets_it_listen_elsewhere() {
    for option in ["--host", "--address", "--bind"] {
        let error = bad(2, &["issuer", option, "0.0.0.0"]);
        assert!(error.contains(&format!("unexpected argument '{option}'")), "{error}");
    }
}

#[cfg(target_os = "linux")] // Where all of 127.0.0.0/8 is there.
#[test]
fn it_listens_on_one_address() {
    let issuer = Issuer::start(&[]);
    let elsewhere = TcpListener::bind(("127.0.0.2", issuer.port.parse().unwrap()));
    assert!(elsewhere.is_ok(), "it has the port of 127.0.0.1 alone: {elsewhere:?}");
}

#[test]
fn a_file_that_cannot_be_used_is_explained_and_left_alone() {
    let folder = Folder::new("unusable");
    let malformed = folder.file("malformed.json", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0IGtleQ\"}]}");
    let error = bad(1, &["issuer", "--port", "0", "--keys", &malformed]);
    assert!(error.contains("is not a JWK Set of private keys: ") && error.contains("name another file"), "{error}");
    assert!(!error.contains("c2VjcmV0"), "{error}");
    assert!(fs::read_to_string(&malformed).unwrap().contains("c2VjcmV0"));

    let error = bad(1, &["issuer", "--port", "0", "--keys", &folder.path("")]);
    assert!(
        error.contains(" cannot be read: ") && error.contains("name a file that can be read and written"),
        "{error}"
    );
    let error = bad(1, &["issuer", "--port", "0", "--keys", &folder.path("no/keys.json")]);
    assert!(error.contains(" cannot be created: ") && error.contains("name a file that can be read"), "{error}");
}

#[test]
fn an_audience_that_no_variable_can_hold_is_refused() {
    for audience in ["", "a,b", " a", "ä"] {
        assert!(bad(2, &["issuer", "--audience", audience]).contains("without commas"), "{audience:?}");
    }
    assert!(bad(2, &["issuer", "--port", "65536"]).contains("65536"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_in_good_order() {
    let issuer = Issuer::start(&[]);
    assert!(ended(Command::new("sh").args(["-c", &format!("kill -INT {}", issuer.process.id())])).status == 0);
    assert_eq!(issuer.process.wait(), 0);
}

#[test]
fn a_service_accepts_tokens_by_the_new_keys() {
    let issuer = Issuer::start(&[]);
    let service = Service::start(&issuer.variables());
    let before = issuer.token(&["--scope", "message"]);
    assert_eq!(service.status("/messages", &before), "200");
    let text = good(&["rotate", "--port", &issuer.port]);
    assert!(text.starts_with(&format!("The keys of {}, ", issuer.identifier())), "{text}");
    let after = issuer.token(&["--scope", "message"]);
    // So soon after the start, the first attempt may lie within the cool-down of a second.
    assert!((0..2).any(|_| service.status("/messages", &after) == "200"));
    assert_eq!(service.status("/messages", &before), "200", "its key is published still");
}

#[test]
fn a_service_refuses_a_revoked_token() {
    let issuer = Issuer::start(&[]);
    let service = Service::start(&issuer.variables());
    let [first, second] = [(); 2].map(|()| issuer.token(&["--scope", "message", "--opaque"]));
    assert_eq!(service.status("/messages", &issuer.token(&["--scope", "message", "--opaque"])), "200");
    let revoked = run(&["revoke", &first, "--port", &issuer.port]);
    assert_eq!(
        (revoked.status, revoked.stdout.as_str()),
        (0, "The issuer reports the token as inactive from now on.\n")
    );
    // From standard input, with the line break of `scopegate token`.
    let revoked = run_with_input(&["revoke", "-", "--json", "--port", &issuer.port], &format!("{second}\n"));
    assert_eq!((revoked.status, revoked.stdout.as_str()), (0, "{\"inactive\":true,\"jwt\":false}\n"));
    for token in [first, second] {
        assert_eq!(service.status("/messages", &token), "401");
    }
}

#[test]
fn a_token_may_begin_like_an_option() {
    let issuer = Issuer::start(&[]);
    for token in ["-7fMp0CWm4R2oPYqJ4hKQA", "--fMp0CWm4R2oPYqJ4hKQA", "-hXYZ"] {
        let said = good(&["revoke", "--port", &issuer.port, token]);
        assert_eq!(said, "The issuer reports the token as inactive from now on.", "{token}");
    }
}

#[test]
fn whoever_revokes_a_jwt_is_told_who_accepts_it_still() {
    let issuer = Issuer::start(&[]);
    let service = Service::start(&issuer.variables());
    let token = issuer.token(&["--scope", "message"]);
    let said = good(&["revoke", "--port", &issuer.port, &token]);
    assert!(
        said.contains("It is a JWT: services that verify it themselves, without introspection, accept it"),
        "{said}"
    );
    assert_eq!(service.status("/messages", &token), "200");
    let json: Value =
        serde_json::from_str(&good(&["revoke", "--json", "--port", &issuer.port, &token])).expect("an object");
    assert_eq!(json, json!({ "inactive": true, "jwt": true }));
}

#[test]
fn there_has_to_be_a_token_to_revoke() {
    for input in ["", "\n"] {
        let ended = run_with_input(&["revoke", "-"], input);
        assert_eq!(ended.status, 2);
        assert!(ended.stderr.contains("there is no token"), "{}", ended.stderr);
    }
    let ended = run_with_input(&["revoke", "-"], &"x".repeat(100_000));
    assert_eq!((ended.status, ended.stderr.contains("xxx")), (2, false));
}

#[test]
fn without_an_issuer_the_remedy_is_named() {
    let port = free_port();
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for arguments in [&["token"][..], &["rotate"], &["revoke", token]] {
        let error = bad(1, &[arguments, &["--port", &port]].concat());
        assert!(error.starts_with(&format!("error: no issuer answers at http://127.0.0.1:{port} (")), "{error}");
        assert!(error.contains("start `scopegate issuer`") && !error.contains(token), "{error}");
    }
}

#[test]
fn another_server_is_told_from_an_issuer() {
    // The service answers 404 to all of it.
    let issuer = Issuer::start(&[]);
    let service = Service::start(&issuer.variables());
    let port = service.url.rsplit(':').next().unwrap();
    let token = "7fMp0CWm4R2oPYqJ4hKQAA";
    for arguments in [&["token"][..], &["rotate"], &["revoke", token]] {
        let error = bad(1, &[arguments, &["--port", port]].concat());
        assert!(error.contains("is no `scopegate issuer` (404 Not Found)") && !error.contains(token), "{error}");
    }
}

/// The endpoint's answer, as JSON.
fn playground(issuer: &Issuer, endpoint: &str, body: &str) -> Value {
    let answer = post(&format!("127.0.0.1:{}", issuer.port), &format!("/playground/{endpoint}"), body);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn the_page_is_beside_the_issuer_with_an_api_of_its_own() {
    let issuer = Issuer::start(&["--audience", "my api"]);
    let authority = format!("127.0.0.1:{}", issuer.port);
    assert_eq!(issuer.description["page"], format!("http://{authority}/"));
    let page = http(&authority, "/", "");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("text/html"), "{page}");

    let answer = http(&authority, "/playground/state", "");
    let state: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&state["issuer"], &state["audience"]), (&issuer.identifier().into(), &"my api".into()));
    assert_eq!(state["variables"].as_array().unwrap().len(), 6);
    let routes: Vec<_> = state["routes"].as_array().unwrap().iter().map(|route| route["access"].as_str()).collect();
    assert_eq!(routes, [Some("public"), Some("authenticated"), Some("scope message")]);

    for kind in ["jwt", "opaque", "api_key"] {
        let token = playground(&issuer, "token", &format!(r#"{{"kind": "{kind}", "scope": "message"}}"#));
        let header = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
        let answer = http(&authority, "/messages", &header);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{kind}: {answer}");
    }
    // A token of the command is accepted by this API, too.
    let token = issuer.token(&["--scope", "profile"]);
    let answer = http(&authority, "/messages", &format!("Authorization: Bearer {token}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let (_, id) = answer.split_once("x-request-id: ").unwrap();
    let log = http(&authority, &format!("/playground/log/{}", id.lines().next().unwrap()), "");
    assert!(log.contains("insufficient_scope"), "{log}");
}

#[test]
fn the_page_stays_up_while_the_issuer_is_down() {
    let issuer = Issuer::start(&[]);
    let authority = format!("127.0.0.1:{}", issuer.port);
    let token = playground(&issuer, "token", r#"{"kind": "jwt", "scope": "message"}"#);
    let header = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    assert_eq!(playground(&issuer, "outage", "{}")["issuer_is_up"], false);
    assert!(http(&authority, "/jwks.json", "").starts_with("HTTP/1.1 503 "));
    assert!(http(&authority, "/messages", &header).starts_with("HTTP/1.1 200 "));
    assert_eq!(playground(&issuer, "recover", "{}")["issuer_is_up"], true);
    assert!(http(&authority, "/jwks.json", "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_rotation_by_the_page_is_kept_in_the_file_of_keys() {
    let folder = Folder::new("page");
    let file = folder.path("keys.json");
    let issuer = Issuer::start(&["--keys", &file]);
    playground(&issuer, "rotate", "{}");
    let rotated = published(&issuer);
    assert_eq!(rotated.len(), 6);
    drop(issuer);
    assert_eq!(published(&Issuer::start(&["--keys", &file])), rotated);
}
