//! What every command has in common.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{bad, good, readme, run, scopegate};

const COMMANDS: [&str; 9] = ["issuer", "token", "rotate", "revoke", "check", "explain", "doctor", "completions", "man"];

#[test]
fn help_fits_a_screen_and_names_the_exit_status() {
    let help = good(&["--help"]);
    assert!(help.lines().count() <= 26, "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    let (_, statuses) = help.split_once("Exit status:\n").unwrap();
    assert_eq!(statuses.lines().count(), 4);
    for line in statuses.lines() {
        let (status, meaning) = line.trim().split_once("  ").unwrap();
        assert!(readme().contains(&format!("| {status} | {meaning} |")), "{line}");
        assert!(COMMANDS.iter().all(|command| good(&["man", command]).contains(meaning)), "{line}");
    }
    for command in COMMANDS {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {help}");
        assert!(readme().contains(&format!("| `scopegate {command}")), "{command}");
        let own = good(&[command, "--help"]);
        assert!(own.contains(&format!("Usage: scopegate {command}")) && own.contains("--json"), "{own}");
    }
    assert_eq!(good(&["--version"]), format!("scopegate {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_no_command_is_an_error() {
    assert!(bad(2, &["tokn"]).contains("'token'"), "it says what was probably meant");
    assert_eq!(run(&[]).status, 2);
    let json: Value = serde_json::from_str(&bad(2, &["--json", "tokn"])).unwrap();
    assert!(json["error"].as_str().unwrap().starts_with("unrecognized subcommand 'tokn'"), "{json}");
}

#[test]
fn completions_are_for_five_shells() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = good(&["completions", shell]);
        assert!(script.contains("scopegate") && script.contains("not-yet-valid"), "{shell}");
        // The other two complete no values of options.
        let has_values = ["bash", "fish", "zsh"].contains(&shell);
        assert_eq!(script.contains("node-oidc-provider"), has_values, "the names of profiles: {shell}");
        let json: Value = serde_json::from_str(&good(&["completions", "--json", shell])).unwrap();
        assert_eq!(json["script"].as_str().unwrap().trim_end(), script.trim_end());
    }
    assert!(bad(2, &["completions", "tcsh"]).contains("possible values: bash"));
}

#[test]
fn there_is_a_manual_page_of_every_command() {
    assert!(good(&["man"]).contains(".TH scopegate 1"));
    for command in COMMANDS {
        let page = good(&["man", command]);
        assert!(page.contains(&format!(".TH scopegate-{command} 1")), "{page}");
        assert!(page.contains("\\-\\-json"), "{page}");
        assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
        assert!(page.contains(".SH \"EXIT STATUS\"\n"), "{page}");
    }
    let json: Value = serde_json::from_str(&good(&["man", "--json"])).unwrap();
    assert!(json["page"].as_str().unwrap().contains(".TH scopegate 1"));
    assert!(bad(2, &["man", "tokn"]).contains("possible values: issuer, token"));
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    for arguments in [&["--help"][..], &["token", "--help"], &["tokn"], &["man", "tokn"], &["check", "/no/such/file"]] {
        let ended = run(arguments);
        assert!(!(ended.stdout + &ended.stderr).contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut child = scopegate(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_scopegate")).args(["man"]).stdout(full).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("standard output cannot be written to"), "{errors}");
}
