//! Holds the gate to laws for a while. Ends with 1 if one is broken, or if too few of the cases could have broken it.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use scopegate_spec_exhaustive::laws::{self, Count, Law, RealLayers, Report};

const USAGE: &str = "\
usage: scopegate-spec-laws [--seconds N] [--seed N] [--threads N]

Makes up configurations and requests, and holds what the gate decides about them to laws.

  --seconds N  for so long (60)
  --seed N     begins at this case (a random one)
  --threads N  on so many threads (all that there are)";

/// Of so many cases of each law, one at least has to be one that could have broken it.
const TELLING: u64 = 12;

#[expect(clippy::disallowed_methods, reason = "how long it goes on is measured by the clock on the wall")]
fn main() -> ExitCode {
    let (mut seconds, mut seed, mut threads) =
        (60, None, thread::available_parallelism().map_or(1, |all| all.get() as u64));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--help" {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--seconds", Some(value)) => seconds = value,
            ("--seed", Some(value)) => seed = Some(value),
            ("--threads", Some(value)) => threads = value,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("seed {seed}, {threads} threads, {seconds} s");

    let (next, checked) = (AtomicU64::new(seed), AtomicU64::new(0));
    let total = Mutex::new(Report::default());
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut known = 0;
                let seeds = std::iter::from_fn(|| (Instant::now() < end).then(|| next.fetch_add(1, Ordering::Relaxed)));
                let report = laws::run(&RealLayers, &Law::ALL, seeds, |report| {
                    checked.fetch_add(report.checked() - known, Ordering::Relaxed);
                    known = report.checked();
                });
                total.lock().expect("no thread panics").add(report);
            });
        }
        for second in (10..seconds).step_by(10) {
            thread::sleep((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
            println!("{second:>6} s {:>9} cases", checked.load(Ordering::Relaxed));
        }
    });

    let report = total.into_inner().expect("no thread panics");
    for (law, Count { checked, telling }) in &report.counts {
        println!("{:>10} {checked:>9} cases, {telling:>9} that could have broken it", format!("{law:?}"));
    }
    for failure in report.failures.values() {
        println!("\n{failure}");
    }
    let is_told = |law| report.counts.get(law).is_some_and(|count| count.telling * TELLING >= count.checked.max(1));
    let untold: Vec<String> = Law::ALL.iter().filter(|law| !is_told(law)).map(|law| format!("{law:?}")).collect();
    if !untold.is_empty() {
        println!("with too few cases that could have broken them: {}", untold.join(", "));
    }
    println!("{} cases of {} laws, {} broken", report.checked(), report.counts.len(), report.failures.len());
    ExitCode::from(u8::from(!report.failures.is_empty() || !untold.is_empty()))
}
