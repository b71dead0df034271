//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::process::Command;

use printed_lines::{Running, answer, status};

/// The number of printed lines.
const LINES: usize = 23;

fn start() -> Running {
    Running::start(Command::new(env!("CARGO_BIN_EXE_social-login")).env("PORT", "0"), LINES)
}

/// The URL of this provider's stand-in.
fn stand_in<'a>(running: &'a Running, provider: &str) -> &'a str {
    let line = running.introduction.iter().find(|line| line.contains(provider)).unwrap();
    line.split(' ').next().unwrap()
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    let running = start();
    let answers = running.run_lines();
    for (expected, members) in [
        ("a JWT of the issuer", [r#""issuer":"http://127.0.0.1:"#, r#""kind":"jwt""#]),
        ("a token of GitHub", [r#""issuer":"https://github.com""#, r#""kind":"github","subject":"583231""#]),
        ("a token of QQ", [r#""issuer":"https://graph.qq.com""#, r#""kind":"qq","subject":"9B1C3A57D2E84F60""#]),
        (
            "a token of WeChat, in",
            [r#""issuer":"https://api.weixin.qq.com""#, r#""kind":"wechat","subject":"openid-of-li""#],
        ),
        ("verified again", [r#""issuer":"https://github.com""#, r#""kind":"github","subject":"583231""#]),
    ] {
        let answer = answer(&answers, expected);
        assert!(members.iter().all(|member| answer.contains(member)), "{answer}");
    }

    let tokens: Vec<String> = running
        .lines
        .iter()
        .filter_map(|(_, line)| Some(line.split_once("Bearer ")?.1.split('\'').next()?.to_owned()))
        .collect();
    let log = running.log();
    assert!(log.contains("it is no token of this app"), "{log}");
    for secret in tokens.iter().map(String::as_str).chain(["a-secret-of-this-example"]) {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn outage_of_a_provider_is_503_and_affects_no_other() {
    let running = start();
    let of = ["a token of GitHub", "a token of QQ", "a token of WeChat, in"].map(|kind| running.line(kind));
    let stand_ins = ["api.github.com", "graph.qq.com", "api.weixin.qq.com"].map(|name| stand_in(&running, name));
    let switch = |stand_in: &str, to: &str| assert_eq!(status(&format!("curl -i -X POST '{stand_in}/{to}'")), "200");

    for (stand_in, token) in stand_ins.into_iter().zip(of) {
        switch(stand_in, "outage");
        assert_eq!(status(token), "503", "{token}");
        assert_eq!(status(running.line("a JWT of the issuer")), "200");
        switch(stand_in, "recover");
        assert_eq!(status(token), "200", "{token}");
        // The results are cached, so the outage has no effect on them.
        switch(stand_in, "outage");
        assert_eq!(status(token), "200", "{token}");
    }
}

#[test]
fn cached_result_of_a_token_is_for_its_user_only() {
    let running = start();
    let (of_user, of_another) = (running.line("a token of WeChat, in"), running.line("to another user"));
    for _ in 0..2 {
        assert_eq!(status(of_user), "200");
        assert_eq!(status(of_another), "401");
    }
}

#[test]
fn unknown_provider_header_is_401() {
    let running = start();
    for provider in ["github", "QQ", "wechat, qq", ""] {
        let line = running.line("a token of QQ").replace("Provider: qq", &format!("Provider: {provider}"));
        assert_eq!(status(&line), "401", "{line}");
    }
    let two = running.line("a token of QQ").replace("-H 'X-", "-H 'X-Token-Provider: wechat' -H 'X-");
    assert_eq!(status(&two), "401", "{two}");
    for provider in ["qq", "wechat", "github"] {
        let line =
            running.line("a token of GitHub").replace(" 'http", &format!(" -H 'X-Token-Provider: {provider}' 'http"));
        assert!(["400", "401"].contains(&status(&line).as_str()), "{line}");
    }
}

#[test]
fn a_wrong_environment_is_explained() {
    let output = Command::new(env!("CARGO_BIN_EXE_social-login")).env("PORT", "http").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("it has to be a number from 0 to 65535"), "{errors}");
}

#[test]
fn help_names_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_social-login")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("PORT"), "{help}");
}
