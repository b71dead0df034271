//! What the README and the guide say of the code. Their examples are compiled as documentation tests of this package.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use axum::{body::Body, routing::get};
use http::{Request, header::AUTHORIZATION};
use scopegate_axum::{AccessToken, Issuer, ProtectedRouter, ResourceServer, config::Config, jwt::Profile, scope};
use scopegate_core::ErrorKind;
use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys};
use scopegate_tests::LoopbackFetch;
use tower::ServiceExt as _;

const README: &str = include_str!("../../README.md");
const ERRORS: &str = include_str!("../../docs/guide/errors.md");
const CONFIGURATION: &str = include_str!("../../docs/guide/configuration.md");

/// The README and the pages of the guide.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = fs::read_dir(root.join("docs/guide")).expect("the guide").map(|entry| entry.expect("a page").path());
    guide.chain([root.join("README.md")]).collect()
}

/// The blocks of code in a page that are of this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n'))
        .filter(|(name, _)| *name == language)
        .map(|(_, code)| code)
        .collect()
}

#[test]
fn the_status_table_is_the_table_of_the_code() {
    let row = |start: &str| {
        let line = ERRORS.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no row {start}"));
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
fn the_first_program_is_short_and_has_a_profile_and_a_scope() {
    let program = blocks(README, "rust,no_run")[0];
    let lines: Vec<_> = program.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.iter().filter(|line| **line != "}").count(), 11);
    assert!(program.contains("Issuer::discover") && program.contains(".profile(jwt::Profile::"));
    assert!(program.contains("ProtectedRouter::new") && program.contains("scope("));
}

#[test]
fn the_readme_is_short() {
    assert!(README.lines().count() <= 170);
    for (i, block) in README.split("```").skip(1).step_by(2).enumerate() {
        let width = if i < 3 { 90 } else { 100 }; // The first three are on the first screen.
        assert_eq!(block.lines().filter(|line| line.len() > width).collect::<Vec<_>>(), Vec::<&str>::new());
    }
}

#[test]
fn code_in_the_guide_fits_a_hundred_columns() {
    for path in pages().iter().filter(|path| !path.ends_with("README.md")) {
        let page = fs::read_to_string(path).expect("a page");
        for code in ["rust", "rust,no_run", "toml", "sh"].iter().flat_map(|language| blocks(&page, language)) {
            assert_eq!(code.lines().find(|line| line.len() > 100), None, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn an_id_token_gets_the_401_of_the_readme() {
    let mint = Mint::new("https://sso.example/realms/shop", SigningKeys::generate([SigningAlgorithm::Es256]));
    let issuer = Issuer::with_jwks("https://sso.example/realms/shop", mint.jwks_json()).profile(Profile::keycloak());
    let server = ResourceServer::builder().issuer(issuer).audience("orders").build().await.expect("good settings");
    let hello = async |token: AccessToken| format!("hello, {:?}", token.subject());
    let app = ProtectedRouter::new(server).route("/", scope("orders:read"), get(hello)).into_router();

    let id_token = mint.token().audience("orders").typ("JWT").claim("typ", "ID").claim("azp", "orders").issue();
    let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {id_token}"));
    let answer = app.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let challenge = answer.headers()["www-authenticate"].to_str().expect("ASCII");
    let expected = format!("HTTP/1.1 {} www-authenticate: {challenge}", answer.status());
    let shown = blocks(README, "http")[0].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(shown, expected);
}

#[test]
fn the_commands_are_the_two_that_everyone_runs_first() {
    let commands: Vec<_> = blocks(README, "sh").into_iter().flat_map(str::lines).collect();
    for command in ["cargo run -p message-api", "cargo test --workspace"] {
        assert!(commands.contains(&command), "{command}");
    }
}

#[tokio::test]
async fn the_settings_in_the_guide_are_accepted() {
    let files = blocks(CONFIGURATION, "toml");
    assert!(!files.is_empty());
    for file in files {
        // The secret is in a file of the reader's.
        let file = file.replace("client_secret_file = \"/run/secrets/my-api\"", "client_secret = \"a secret\"");
        let config: Config = toml::from_str(&file.replace("startup = \"10s\"", "")).expect("TOML");
        config.into_builder().fetch(LoopbackFetch).build().await.unwrap_or_else(|error| panic!("{error}\n{file}"));
    }
}

#[test]
fn links_of_the_guide_lead_to_files_and_headings() {
    let anchors = |page: &str| -> BTreeSet<String> {
        let headings =
            page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        headings.map(|text| text.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
    };
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            let found = anchor.is_empty() || anchors(&fs::read_to_string(&target).expect("a page")).contains(anchor);
            assert!(found, "{}: {link}", path.display());
        }
    }
}
