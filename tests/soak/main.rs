//! A service in simulated time, day after day, while everything around it goes wrong: issuers rotate keys, fail in every way and
//! come back, clients hang up, the clock is set, and the process restarts. An oracle knows every token that was made, and
//! judges each response.
//!
//! ```text
//! cargo run --release -p scopegate-tests --bin soak -- --seconds 7200
//! ```
//!
//! Each thread has a world of its own, with a seed that names it. A decision that the oracle calls wrong is printed with the seed
//! and the history that led to it, and ends the run with status 1.
#![forbid(unsafe_code)]

mod faults;
mod memory;
mod oracle;
mod random;
mod report;
mod social;
mod tokens;
mod world;

use std::{
    panic,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use self::{report::Report, world::World};

const USAGE: &str = "\
Runs a service in simulated time among outages, rotations, clock steps and restarts, and judges every response.

usage: soak [--seconds N] [--requests N] [--seed N] [--threads N]

  --seconds N   how long to run, in real time; 60 by default
  --requests N  ends earlier, after so many requests
  --seed N      the seed of the first world; random by default
  --threads N   the number of worlds; one for each core by default

Ends with 1 if a decision was wrong, a request was lost, memory grew, or too little happened.";

struct Options {
    seconds: u64,
    requests: u64,
    seed: u64,
    threads: u64,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let mut options = Self { seconds: 60, requests: u64::MAX, seed: random::seed(), threads };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?.parse().ok()?;
            match &*name {
                "--seconds" => options.seconds = value,
                "--requests" => options.requests = value,
                "--seed" => options.seed = value,
                "--threads" => options.threads = value,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// An HTTP client that panics is one of the faults.
fn silence_injected_panics() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().downcast_ref::<&str>().is_some_and(|text| text.starts_with("injected")) {
            hook(info);
        }
    }));
}

#[expect(clippy::disallowed_methods, reason = "how long it runs is measured by the clock on the wall")]
fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Options { seconds, requests, seed, threads } = options;
    silence_injected_panics();
    println!("{threads} worlds from seed {seed}, {seconds} s");

    let (began, total) = (Instant::now(), Mutex::new(Report::default()));
    let end = began + Duration::from_secs(seconds);
    let is_over = |report: &Report| Instant::now() >= end || report.requests() >= requests;
    let warm = began + Duration::from_secs(seconds / 4);
    thread::scope(|scope| {
        for number in 0..threads {
            let (total, is_over) = (&total, &is_over);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                let mut world = runtime.block_on(World::new(seed.wrapping_add(number)));
                loop {
                    runtime.block_on(world.step());
                    let mut total = total.lock().expect("no thread panics");
                    total.add(world.take_report());
                    if is_over(&total) {
                        break;
                    }
                }
            });
        }
        let mut next = Duration::from_secs(10);
        loop {
            thread::sleep(Duration::from_millis(200).min(end.saturating_duration_since(Instant::now())));
            let mut total = total.lock().expect("no thread panics");
            if is_over(&total) {
                break;
            }
            if Instant::now() >= warm {
                total.memory.sample();
            }
            if began.elapsed() >= next {
                next += Duration::from_secs(if seconds > 600 { 60 } else { 10 });
                println!("{:>8} s  {}", began.elapsed().as_secs(), total.progress());
            }
        }
    });

    let report = total.into_inner().expect("no thread panics");
    print!("{report}");
    let shortcomings = report.shortcomings(seconds);
    for shortcoming in &shortcomings {
        println!("FAILED: {shortcoming}");
    }
    println!(
        "soak: {} requests, {} wrong, {} simulated days",
        report.requests(),
        report.wrong(),
        report.simulated.as_secs() / 86_400
    );
    ExitCode::from(u8::from(!shortcomings.is_empty()))
}
