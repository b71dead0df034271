//! The command against an authorization server of another project, node-oidc-provider, which `npm ci` in
//! `tests/interop` installs.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

const AUDIENCE: &str = "https://api.example";

/// The provider's process, which ends with the test.
struct Provider {
    process: Child,
    issuer: String,
}

impl Provider {
    /// `None` where it is not installed, which `INTEROP=required` makes a failure.
    fn start() -> Option<Self> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "tests", "interop"].iter().collect();
        if !is_installed(&folder) {
            assert!(env::var_os("INTEROP").is_none_or(|wish| wish != "required"), "run `npm ci` in tests/interop");
            println!("node-oidc-provider: skipped, it is not installed: run `npm ci` in tests/interop");
            return None;
        }
        let mut command = Command::new("node");
        command.args(["provider.mjs", "--port", "0"]).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap();
        Some(Self { process, issuer: started["issuer"].as_str().unwrap().to_owned() })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn is_installed(folder: &Path) -> bool {
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    has_node && folder.join("node_modules/oidc-provider").is_dir()
}

fn scopegate(arguments: &[&str], input: &str) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// An access token, by the program that the provider's clients are registered for.
fn token(issuer: &str) -> String {
    let script = format!(
        "const body = new URLSearchParams({{ grant_type: 'client_credentials', resource: '{AUDIENCE}', \
         scope: 'message', \
         client_id: 'ES256', client_secret: 'a secret that is known to everybody who reads the tests' }});\n\
         const answer = await fetch('{issuer}/token', {{ method: 'POST', body }});\n\
         process.stdout.write((await answer.json()).access_token);"
    );
    let output = Command::new("node").args(["--input-type=module", "--eval", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn node_oidc_provider_has_no_fault_and_a_profile_that_fits_its_tokens() {
    let Some(provider) = Provider::start() else { return };
    let arguments = ["doctor", &provider.issuer, "--json", "--audience", AUDIENCE, "--token", "-"];
    let (status, json) = scopegate(&arguments, &token(&provider.issuer));
    assert_eq!(
        (status, &json["ok"], &json["explanation"]["verdict"]),
        (0, &json!(true), &json!("accepted")),
        "{json:#}"
    );
    let fits =
        |name: &str| json["profiles"].as_array().unwrap().iter().any(|p| p["profile"] == name && p["accepts"] == true);
    assert!(fits("node-oidc-provider"), "{json:#}");
    assert!(json["keys"].as_array().unwrap().iter().filter(|key| key["used"] == true).count() >= 5, "{json:#}");
    assert_eq!(json["introspection"]["invented_token"], "refused");
    assert!(json["configuration"].as_str().unwrap().contains(&provider.issuer));
}

#[test]
fn another_name_of_node_oidc_provider_is_named_as_its_fault() {
    let Some(provider) = Provider::start() else { return };
    let other = format!("{}/", provider.issuer);
    let (status, json) = scopegate(&["doctor", &other, "--json", "--audience", AUDIENCE], "");
    let findings = json["findings"].to_string();
    assert!(status == 1 && findings.contains("they differ only by the slash at the end"), "{json:#}");
    assert!(findings.contains(&format!("run `scopegate doctor {}`", provider.issuer)), "{json:#}");
}
