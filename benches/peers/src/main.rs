//! The same requests through Scopegate and through other crates that check access tokens, in one process and one run.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, or with `-- --help`

#![forbid(unsafe_code)]

mod measure;
mod peers;
mod requests;
mod table;
mod versions;

use std::{env, error::Error, fs, hint::black_box, process::ExitCode};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::runtime;

use crate::{measure::measure, requests::Provider, table::Results};

const HELP: &str = "\
Measures the same requests through Scopegate and through other crates that check access tokens.

An issuer on 127.0.0.1 has one RS256 key (2048 bits), of which each crate learns as its documentation advises. Behind
each is the same service, which answers 200 at once. Everything is in this process, without a network between the
request and the answer, and requests are made beforehand. Before anything is measured, each crate has to answer every
request as expected: 200 for good tokens, 401 for all else, a wrong audience and a wrong issuer among it. Each figure is
the best of many rounds that take turns. Compare figures of one run, and ratios more than times.

A cell has the time of a request, the same as a multiple of the signature check alone, and the allocations. Scopegate
remembers verdicts unless told otherwise, so with it a good token is checked in full when it is first seen; the row with
VerdictCache::off() is what that takes.

Usage: cargo run --release --manifest-path benches/peers/Cargo.toml -- [OPTIONS]

Options:
  --write FILE   write the tables as Markdown, too
  --rounds N     how many rounds (default 60)
  --help         print this
";

struct Options {
    write: Option<String>,
    rounds: usize,
}

fn options() -> Result<Option<Options>, String> {
    let mut options = Options { write: None, rounds: 60 };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--write" => options.write = Some(value()?),
            "--rounds" => {
                options.rounds = value()?.parse().ok().filter(|rounds| *rounds > 0).ok_or("--rounds needs a number")?;
            }
            _ => return Err(format!("unknown argument: {argument}")),
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // axum-jwt-auth leaves it to the application which backend of jsonwebtoken 10 is used, where both are compiled in.
    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().map_err(|_| "another backend is installed")?;

    // Refreshes of keys are tasks of the runtime's own thread; requests are polled by this one, outside of any task.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _context = runtime.enter();
    let provider = runtime.block_on(Provider::start());
    let mut contenders = vec![
        peers::no_auth(),
        peers::no_auth_axum(),
        runtime.block_on(peers::scopegate(&provider, true))?,
        runtime.block_on(peers::scopegate(&provider, false))?,
        runtime.block_on(peers::tower_oauth2_resource_server(&provider))?,
        runtime.block_on(peers::jwt_authorizer(&provider))?,
        runtime.block_on(peers::axum_jwt_auth(&provider))?,
        runtime.block_on(peers::oauth_resource_server(&provider))?,
        runtime.block_on(peers::huskarl_resource_server(&provider))?,
    ];
    for contender in &mut contenders {
        contender.check(&provider.workloads, &provider.misdirected)?;
    }

    let jwk = provider.key.public_jwk();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default());
    let key: ParsedPublicKey = RsaPublicKeyComponents { n: member("n")?, e: member("e")? }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?;
    let (input, signature) = provider.good.rsplit_once('.').ok_or("a token without a dot")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let bare = || key.verify_sig(black_box(input.as_bytes()), &signature).expect("a good signature");
    let bare = measure(options.rounds, &mut contenders, &provider.workloads, bare);

    let results = Results { provider: &provider, contenders: &contenders, bare, rounds: options.rounds };
    println!("RS256, a token of {} bytes\n\n{}", provider.good.len(), results.plain());
    for contender in &contenders {
        if contender.waits() > 0 {
            println!("{}: {} answers had to be waited for", contender.name, contender.waits());
        }
    }
    if let Some(file) = &options.write {
        fs::write(file, results.markdown())?;
    }
    Ok(())
}
