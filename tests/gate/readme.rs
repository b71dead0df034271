//! What the README says of the code. Its examples are compiled as documentation tests of this package.

use scopegate_core::ErrorKind;

const README: &str = include_str!("../../README.md");

#[test]
fn the_status_table_is_the_table_of_the_code() {
    let row = |start: &str| {
        let line = README.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no row {start}"));
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    for (start, kind) in [
        ("| malformed or several credentials", ErrorKind::InvalidRequest),
        ("| no credentials", ErrorKind::MissingCredentials),
        ("| a bad token", ErrorKind::InvalidToken),
        ("| a good token without the scope", ErrorKind::InsufficientScope),
        ("| a token that cannot be judged now", ErrorKind::Unavailable),
        ("| a route that is wired wrongly", ErrorKind::Misconfigured),
    ] {
        let cells = row(start);
        assert!(cells[1].starts_with(kind.status().as_str()), "{cells:?}");
        assert_eq!(cells[2].contains("error=\""), kind.code().is_some(), "{cells:?}");
        assert!(kind.code().is_none_or(|code| cells[2].contains(&format!("error=\"{code}\""))), "{cells:?}");
        assert_eq!(cells[3], kind.grpc_status().to_string(), "{cells:?}");
    }
}

#[test]
fn the_first_program_has_twelve_lines() {
    let program = README.split("```").nth(1).expect("a program");
    let lines = program.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
    assert_eq!(lines, 12);
    assert!(program.contains("ResourceServer::discover") && program.contains("RequireScope::new(\"message\")"));
}

#[test]
fn the_commands_are_the_two_that_ci_and_newcomers_run() {
    for command in ["cargo run -p message-api", "cargo test --workspace"] {
        assert!(README.contains(&format!("```sh\n{command}\n```")), "{command}");
    }
}
