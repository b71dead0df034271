//! Compares for a while. Ends with 1 if the specification and the gate differ, or if the comparison says too little.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use scopegate_spec_compare::{
    run::{self, Failures},
    tally::Tally,
};

const USAGE: &str = "usage: scopegate-spec-compare [--seconds N] [--seed N] [--threads N]";

#[expect(clippy::disallowed_methods, reason = "how long it compares is measured by the clock on the wall")]
fn main() -> ExitCode {
    let (mut seconds, mut seed, mut threads) =
        (60, None, thread::available_parallelism().map_or(1, |all| all.get() as u64));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next().and_then(|value| value.parse().ok()) else {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        };
        match name.as_str() {
            "--seconds" => seconds = value,
            "--seed" => seed = Some(value),
            "--threads" => threads = value,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("seed {seed}, {threads} threads, {seconds} s");

    let (next, pairs) = (AtomicU64::new(seed), AtomicU64::new(0));
    let total = Mutex::new((Tally::default(), Failures::new()));
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut known = 0;
                let seeds = std::iter::from_fn(|| (Instant::now() < end).then(|| next.fetch_add(1, Ordering::Relaxed)));
                let (tally, failures) = run::compare(seeds, |tally| {
                    pairs.fetch_add(tally.pairs() - known, Ordering::Relaxed);
                    known = tally.pairs();
                });
                let mut total = total.lock().expect("no thread panics");
                total.0.add(tally);
                total.1.extend(failures);
            });
        }
        for second in 1..seconds {
            thread::sleep((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
            if second % 10 == 0 {
                println!("{second:>10} s {:>9} pairs", pairs.load(Ordering::Relaxed));
            }
        }
    });

    let (tally, failures) = total.into_inner().expect("no thread panics");
    print!("{tally}");
    for failure in failures.values() {
        println!("\n{failure}");
    }
    let unreached = tally.unreached();
    if !unreached.is_empty() {
        println!("not reached: {}", unreached.join(", "));
    }
    println!("compared {} pairs, {} accepted, {} differences", tally.pairs(), tally.accepted(), tally.differences());
    ExitCode::from(u8::from(tally.differences() > 0 || !tally.is_thorough()))
}
