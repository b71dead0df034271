//! The instructions of a request, beside the signature check alone, as callgrind counts them: the same in every run, whatever
//! else the machine does. It detects regressions that a clock does not.
//!
//! `cargo bench -p scopegate-instructions` compares with `baseline`, and fails where a request takes over five per cent more;
//! `-- --write` writes a new baseline. It needs Valgrind.
//!
//! Valgrind emulates a processor with AVX2 and without AVX-512.

#![allow(missing_docs, reason = "a benchmark has no API")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    pin::pin,
    process::{Command, ExitCode},
    task::{Context, Poll, Waker},
};

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use scopegate_axum::{Authenticate, Issuer, JwtCacheConfig, RequireScope, ResourceServer};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, TokenBuilder};
use tower::{Layer as _, Service, service_fn};

const ISSUER: &str = "https://tenant.example/oidc";
const AUDIENCE: &str = "https://api.example";
/// The divisor of every count.
const ALONE: &str = "signature-alone";
const CALLS: usize = 200;
/// The permitted excess over the baseline.
const TOLERANCE: f64 = 0.05;

type Error = Box<dyn std::error::Error>;

/// Makes the token of a request, if it has one, from a valid one.
type Token = fn(TokenBuilder) -> Option<String>;

/// The measured requests, and whether the JWT cache is on.
const REQUESTS: [(&str, Token, bool); 10] = [
    ("remembered", |token| Some(token.issue()), true),
    ("not-remembered", |token| Some(token.issue()), false),
    ("forbidden", |token| Some(token.scope("profile").issue()), true),
    ("no-credentials", |_| None, true),
    ("garbage", |_| Some("garbage".to_owned()), true),
    ("expired", |token| Some(token.expired().issue()), true),
    ("wrong-audience", |token| Some(token.audience("https://other.example").issue()), true),
    ("wrong-issuer", |token| Some(token.claim("iss", "https://other.example").issue()), true),
    ("unknown-key", |token| Some(token.key_id("unknown").issue()), true),
    ("bad-signature", |token| Some(token.tampered_signature().issue()), true),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().position(|argument| argument == "--only") {
        Some(place) => only(arguments.get(place + 1).map_or("", String::as_str)).await,
        None => compare(arguments.iter().any(|argument| argument == "--write")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts everything and compares it with the baseline.
fn compare(write: bool) -> Result<bool, Error> {
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline");
    let alone = count(ALONE)?;
    println!("{:18} {:>12} {:>10} {:>10}", "", "instructions", "/ alone", "baseline");
    println!("{ALONE:18} {alone:>12.0}");
    let known = if write { BTreeMap::new() } else { read(&baseline)? };
    let (mut counted, mut is_good) = (String::new(), true);
    for (name, ..) in REQUESTS {
        let instructions = count(name)?;
        let share = instructions / alone;
        counted += &format!("{name} {share:.5}\n");
        let (before, verdict) = match known.get(name) {
            Some(before) if share > before * (1.0 + TOLERANCE) => (Some(before), "  MORE than before"),
            Some(before) if share < before * (1.0 - TOLERANCE) => {
                (Some(before), "  less than before: run with --write")
            }
            None if !write => (None, "  not in the baseline: run with --write"),
            before => (before, ""),
        };
        is_good &= verdict.is_empty() || verdict.starts_with("  less");
        let before = before.map_or_else(String::new, |before| format!("{before:.5}"));
        println!("{name:18} {instructions:>12.0} {share:>10.5} {before:>10}{verdict}");
    }
    if write {
        fs::write(
            &baseline,
            format!("# Instructions for a request, as shares of the signature check alone.\n{counted}"),
        )?;
    }
    Ok(is_good)
}

fn read(baseline: &Path) -> Result<BTreeMap<String, f64>, Error> {
    let text = fs::read_to_string(baseline).map_err(|error| format!("{}: {error}", baseline.display()))?;
    let entries = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, share) = line.split_once(' ').ok_or_else(|| format!("the baseline has a line {line:?}"))?;
        Ok((name.to_owned(), share.parse()?))
    });
    entries.collect()
}

/// The instructions of one request, by this program run again under callgrind.
fn count(name: &str) -> Result<f64, Error> {
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{name}"));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*::counted"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(env::current_exe()?)
        .args(["--only", name])
        .output()
        .map_err(|error| format!("valgrind, which is needed, cannot be run: {error}"))?;
    if !run.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&run.stderr)).into());
    }
    let counts = fs::read_to_string(&output)?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).ok_or("callgrind gave no total")?;
    let total: f64 = total.parse()?;
    if total == 0.0 { Err(format!("{name}: nothing was counted").into()) } else { Ok(total / CALLS as f64) }
}

/// Runs one of the measured requests, as often as it is counted.
async fn only(name: &str) -> Result<bool, Error> {
    let key = SigningKey::generate(SigningAlgorithm::Rs256).with_key_id("2026-11");
    let mint = Mint::new(ISSUER, key.clone().into());
    if name == ALONE {
        let token = usual(mint.token()).issue();
        let (input, signature) = token.rsplit_once('.').ok_or("no signature")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key.public_jwk()[name].as_str().unwrap_or_default());
        let parsed = RsaPublicKeyComponents { n: part("n")?, e: part("e")? }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)?;
        check(&parsed, input.as_bytes(), &signature);
        counted(|| (0..CALLS).for_each(|_| check(&parsed, input.as_bytes(), &signature)));
        return Ok(true);
    }
    let (_, token, is_remembered) = REQUESTS.into_iter().find(|(known, ..)| *known == name).ok_or("no such request")?;
    let cache = if is_remembered { JwtCacheConfig::default() } else { JwtCacheConfig::off() };
    let issuer = Issuer::with_jwks(ISSUER, mint.jwks_json());
    let server = ResourceServer::builder().jwt_cache(cache).issuer(issuer).audience(AUDIENCE).build().await?;
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut gate = Authenticate::new(server).layer(RequireScope::new("message").layer(inner));
    let mut request = Request::get("https://api.example/messages").body(())?;
    if let Some(token) = token(usual(mint.token())) {
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    // The first request builds everything that is built once.
    ask(&mut gate, request.clone());
    let requests = vec![request; CALLS];
    counted(|| requests.into_iter().for_each(|request| ask(&mut gate, request)));
    Ok(true)
}

/// The function that callgrind counts.
#[inline(never)]
fn counted(work: impl FnOnce()) {
    work();
}

fn check(key: &ParsedPublicKey, input: &[u8], signature: &[u8]) {
    key.verify_sig(black_box(input), signature).expect("a good signature");
}

fn ask<S: Service<Request<()>, Error = Infallible>>(gate: &mut S, request: Request<()>) {
    let mut context = Context::from_waker(Waker::noop());
    let _ = gate.poll_ready(&mut context);
    match pin!(gate.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => drop(black_box(response)),
        _ => panic!("the answer is not there at once"),
    }
}

fn usual(token: TokenBuilder) -> TokenBuilder {
    token.audience(AUDIENCE).subject("248289761001").scope("message message:read profile email")
}
