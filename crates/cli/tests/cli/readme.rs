//! The three commands of README.md, as they are printed there but for the ports.

use serde_json::Value;

use crate::rig::{Running, Service, free_port, readme, run, scopegate};

/// The lines of the README's block of commands with this text in it.
fn block(text: &str) -> Vec<String> {
    let readme = readme();
    let mut blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(text)).unwrap().replace(" \\\n  ", " ").lines().map(str::to_owned).collect()
}

/// The arguments of a command: words, some of them in double quotes.
fn words(command: &str) -> Vec<&str> {
    let quoted = command.split('"').enumerate();
    quoted
        .flat_map(|(index, part)| if index % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

#[test]
fn three_commands_give_a_200() {
    let lines = block("/messages");
    let [issuer, service, curl] = &lines[..] else { panic!("there are three commands: {lines:?}") };
    let port = free_port();

    let mut process = Running::start(scopegate(&words(issuer)[1..]).args(["--port", &port]));
    // It serves once it has said so.
    assert_eq!(process.line(), format!("The page to try tokens: http://127.0.0.1:{port}/"));

    let service = service.replace(":9000", &format!(":{port}"));
    let (variables, program) = service.split_once(" cargo run ").unwrap();
    assert_eq!(program, "-p scopegate-cli --example service");
    let variables: Vec<_> = variables.split(' ').map(|variable| variable.split_once('=').unwrap()).collect();
    let service = Service::start(&variables);

    let (_, rest) = curl.split_once("\"Authorization: Bearer $(scopegate ").unwrap();
    let (token, url) = rest.split_once(")\" http://127.0.0.1:3000").unwrap();
    let token = run(&[&words(token)[..], &["--port", &port]].concat());
    let answer = service.get(url, token.stdout.trim_end());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn the_tokens_of_the_readme_are_made_and_a_service_answers_as_it_says() {
    let issuer = crate::rig::Issuer::start(&[]);
    let folder = crate::rig::Folder::new("readme");
    let service = Service::start(&issuer.variables());
    let token = |line: &String| {
        let arguments: Vec<_> = words(line)[2..].iter().map(|word| word.to_string()).collect();
        issuer.token(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };

    let file = folder.path("keys.json");
    let with_keys = crate::rig::Issuer::start(&["--keys", &file]);
    let lines = block("--subject alice");
    let accepted: Vec<_> = lines.iter().filter(|line| !line.contains("--keys") && !line.contains("keycloak")).collect();
    assert_eq!((lines.len(), accepted.len()), (4, 2));
    for line in accepted {
        assert_eq!(service.status("/messages", &token(line)), "200", "{line}");
    }

    let offline = lines.iter().find(|line| line.contains("--keys")).unwrap().replace("keys.json", &file);
    let arguments = [&words(&offline)[1..], &["--port", &with_keys.port]].concat();
    let trusting = Service::start(&with_keys.variables());
    assert_eq!(trusting.status("/messages", run(&arguments).stdout.trim_end()), "200");

    let keycloak = lines.iter().find(|line| line.contains("keycloak")).unwrap();
    let variables = [&issuer.variables()[..], &[("SCOPEGATE_PROFILE", "keycloak")]].concat();
    assert_eq!(Service::start(&variables).status("/messages", &token(keycloak)), "200");
    assert_eq!(service.status("/messages", &token(keycloak)), "401");

    let refused = block("--expired");
    let mut reasons: Vec<_> = refused.iter().map(|line| reason(&service.get("/messages", &token(line)))).collect();
    assert_eq!(
        reasons,
        ["expired", "not_yet_valid", "wrong_token_type", "wrong_audience", "missing_claim", "insufficient_scope"]
    );
    reasons.dedup();
    assert_eq!(reasons.len(), refused.len());
}

/// The reason in the problem document of a refusal.
fn reason(answer: &str) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    problem["type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
}
