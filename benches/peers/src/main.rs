//! The same requests through Scopegate and through other crates that check access tokens, in one run: in one process,
//! and over HTTP.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, or with `-- --help`

#![forbid(unsafe_code)]

mod chart;
mod dpop;
mod http;
mod measure;
mod peers;
mod requests;
#[path = "../../../tests/benches/support/mod.rs"]
mod support;
mod table;
mod versions;

use std::{env, error::Error, fmt::Write as _, fs, process::ExitCode};

use scopegate_testing::SigningAlgorithm;
use tokio::runtime::{self, Runtime};

use crate::{
    chart::{Bar, Panel},
    measure::{Contender, Cost, Outcome, measure},
    peers::{Peer, Tokens},
    requests::{Provider, Workload},
    support::signature_check,
    table::{InProcess, Section, a_second, microseconds},
};

const HELP: &str = "\
Measures the same requests through Scopegate and through other crates that check access tokens.

An issuer on 127.0.0.1 has one key, of which each crate learns as its documentation advises. Behind each is the same
service, which answers 200 at once. Rounds take turns; in process the best of them counts. Compare figures of one run, and
ratios more than times. Scopegate remembers verdicts unless told otherwise, so with it a good token is checked in
full when it is first seen; the rows with JwtCacheConfig::off() are what that takes.

Usage: cargo run --release --manifest-path benches/peers/Cargo.toml -- [OPTIONS] [PART]...

Parts, of which all are measured when none is named:
  in-process   RS256, without a network between the request and the answer: one token, 50 000 tokens in turn, and
               refusals. Before anything is measured, each crate has to refuse every bad token, those with a wrong
               audience or issuer among them. A cell has the time of a request, the same as a multiple of the signature
               check alone, and the allocations.
  algorithms   ES256 and EdDSA, one token, in process
  dpop         tokens that are bound to a key of the client, in process, through the crates that check DPoP. The token
               is an RS256 one and always the same; each request has a new proof, by ES256 or EdDSA. Before anything is
               measured, each crate has to refuse a proof that was used and every bad one. A cell has the time of a
               request, the same as a multiple of the check of the proof's signature alone, and the allocations.
  http         RS256 over HTTP/1.1 on loopback: each crate in a process of its own, served by axum with one worker
               thread, one token and 50 000 in turn, sent by one thread over 32 connections. A cell has the requests a
               second, or those for a second of the server's processor time (where the system is Linux), and the ratio
               to the same without auth; medians of the rounds.

Options:
  --write FILE       write the tables as Markdown, too
  --chart FILE       draw the main figures as an SVG
  --rounds N         how many rounds in process (default 250, in which each of the 50 000 tokens comes once)
  --http-rounds N    how many rounds over HTTP, of 10 000 requests each (default 20)
  --help             print this
";

#[derive(Clone, Copy, PartialEq)]
enum Part {
    InProcess,
    Algorithms,
    Dpop,
    Http,
}

struct Options {
    write: Option<String>,
    chart: Option<String>,
    rounds: usize,
    http_rounds: usize,
    parts: Vec<Part>,
}

impl Options {
    /// What the arguments ask for, or nothing where that is help.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self { write: None, chart: None, rounds: 250, http_rounds: 20, parts: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |value: String| {
                value.parse().ok().filter(|number| *number > 0).ok_or(format!("{value} is no number of rounds"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--write" => options.write = Some(value()?),
                "--chart" => options.chart = Some(value()?),
                "--rounds" => options.rounds = number(value()?)?,
                "--http-rounds" => options.http_rounds = number(value()?)?,
                "in-process" => options.parts.push(Part::InProcess),
                "algorithms" => options.parts.push(Part::Algorithms),
                "dpop" => options.parts.push(Part::Dpop),
                "http" => options.parts.push(Part::Http),
                _ => return Err(format!("unknown argument: {argument}")),
            }
        }
        if options.parts.is_empty() {
            options.parts = vec![Part::InProcess, Part::Algorithms, Part::Dpop, Part::Http];
        }
        Ok(Some(options))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == http::SERVE
    {
        return ended(backend().and_then(|()| http::runtime()?.block_on(http::serve(rest))));
    }
    match Options::parse(arguments.into_iter()) {
        Ok(Some(options)) => ended(run(&options)),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn ended(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where both backends of jsonwebtoken 10 or 11 are compiled in, the choice is the application's.
fn backend() -> Result<(), Box<dyn Error>> {
    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().map_err(|_| "another backend is installed")?;
    jsonwebtoken11::crypto::aws_lc::DEFAULT_PROVIDER.install_default().map_err(|_| "another backend is installed")?;
    Ok(())
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    backend()?;
    // Key refreshes are tasks of the runtime's thread; this thread polls the requests, outside of any task.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _context = runtime.enter();
    let (mut sections, mut panels, mut configured) = (Vec::new(), Vec::new(), String::new());
    let wanted = |part| options.parts.contains(&part);

    if wanted(Part::InProcess) || wanted(Part::Http) {
        let provider = runtime.block_on(Provider::start(SigningAlgorithm::Rs256));
        eprintln!("signing {} tokens", requests::DISTINCT);
        let tokens = provider.distinct();
        if wanted(Part::InProcess) {
            let mut workloads = vec![provider.one_token(), Provider::in_turn(&tokens)];
            workloads.extend(provider.refusals());
            let measured = in_process(&runtime, options.rounds, &provider, workloads)?;
            show(&mut sections, measured.times());
            show(&mut sections, measured.allocations());
            panels.extend([time_panel(&measured, 0), time_panel(&measured, 1)]);
            configured += &described("How each was configured", &measured.contenders);
        }
        if wanted(Part::Http) {
            let workloads = [provider.one_token(), Provider::in_turn(&tokens)];
            let rows = http::measure(options.http_rounds, &provider.upstream, &workloads)?;
            show(&mut sections, table::over_http(&workloads, &rows));
            panels.extend(http_panel(&rows));
        }
    }
    if wanted(Part::Algorithms) {
        let mut measured = Vec::new();
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            let provider = runtime.block_on(Provider::start(algorithm));
            let workloads = vec![provider.one_token()];
            measured.push(in_process(&runtime, options.rounds, &provider, workloads)?);
        }
        show(&mut sections, table::algorithms("In process, other algorithms", &measured, InProcess::time));
    }
    if wanted(Part::Dpop) {
        let provider = runtime.block_on(Provider::start(SigningAlgorithm::Rs256));
        let mut measured = Vec::new();
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            measured.push(dpop::in_process(&runtime, options.rounds, &provider, algorithm)?);
        }
        let about = "DPoP-bound tokens, in process, by the algorithm of the proofs";
        show(&mut sections, table::algorithms(format!("{about}: µs for a request"), &measured, InProcess::time));
        let allocations = |_: &InProcess, cost: Cost| cost.allocations.to_string();
        show(&mut sections, table::algorithms(format!("{about}: allocations for a request"), &measured, allocations));
        configured += &described("How each was configured for DPoP-bound tokens", &measured[0].contenders);
    }

    if let Some(file) = &options.write {
        let mut text = String::new();
        for section in &sections {
            let _ = writeln!(text, "{}:\n\n{}", section.about, section.table.markdown());
        }
        fs::write(file, text + &configured)?;
    }
    if let Some(file) = &options.chart {
        fs::write(file, chart::svg(&panels))?;
    }
    Ok(())
}

fn in_process(
    runtime: &Runtime,
    rounds: usize,
    provider: &Provider,
    workloads: Vec<Workload>,
) -> Result<InProcess, Box<dyn Error>> {
    let misdirected = provider.misdirected();
    let mut contenders = Vec::new();
    for peer in Peer::ALL {
        let mut contender = runtime.block_on(peer.contender(&provider.upstream, Tokens::Bearer))?;
        contender.check(&workloads, &misdirected)?;
        contenders.push(contender);
    }
    let bare = measure(rounds, &mut contenders, &workloads, signature_check(&provider.key, &provider.good));
    tell_waits(&contenders);
    Ok(InProcess {
        algorithm: provider.upstream.algorithm.clone(),
        token_bytes: provider.good.len(),
        workloads,
        contenders,
        bare,
    })
}

fn tell_waits(contenders: &[Contender]) {
    for contender in contenders.iter().filter(|contender| contender.waits() > 0) {
        println!("{}: {} answers had to be waited for", contender.name, contender.waits());
    }
}

fn described(title: &str, contenders: &[Contender]) -> String {
    let mut text = format!("{title}:\n\n");
    for contender in contenders {
        let _ = writeln!(text, "- {}: {}.", contender.name, contender.how);
    }
    text + "\n"
}

fn show(sections: &mut Vec<Section>, section: Section) {
    println!("{}\n\n{}", section.about, section.table.plain());
    sections.push(section);
}

fn time_panel(measured: &InProcess, column: usize) -> Panel {
    let bar = |contender: &Contender| match contender.outcomes[column] {
        Outcome::Cost(cost) => Some(Bar {
            name: contender.name.clone(),
            value: cost.nanoseconds(),
            figure: format!("{} µs", microseconds(cost.time)),
        }),
        _ => None,
    };
    // One row without auth suffices.
    let bars = measured.contenders.iter().skip(1).filter_map(bar).collect();
    let name = measured.workloads[column].name;
    Panel { title: format!("Time for a request, {}, {name} (shorter is better)", measured.algorithm), bars }
}

/// The second workload, by the second of processor time where that is known.
fn http_panel(rows: &[(String, Vec<http::Rounds>)]) -> Option<Panel> {
    let bar = |(name, columns): &(String, Vec<http::Rounds>)| {
        let rate = a_second(http::median(&columns.get(1)?.processor)?);
        Some(Bar { name: name.clone(), value: rate, figure: format!("{rate:.0}") })
    };
    let bars = rows.iter().skip(1).map(bar).collect::<Option<_>>()?;
    let title = "HTTP requests for a second of processor time, 50 000 tokens in turn (longer is better)".to_owned();
    Some(Panel { title, bars })
}
