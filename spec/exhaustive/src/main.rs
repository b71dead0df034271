//! Compares every combination. Ends with 1 if the specification and the gate differ.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use scopegate_spec_exhaustive::{products, run};

/// Ends a thread that waits, also when what it waits for has failed.
struct End<'a>(&'a AtomicBool, thread::Thread);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

const USAGE: &str = "\
usage: scopegate-spec-exhaustive [--sample N] [--threads N] [--product NAME]

Has the specification and the gate decide about every combination of small facts, and prints the classes of decisions that were
reached. Ends with 1 if they differ.

  --sample N      only one of N combinations, spread evenly
  --threads N     on so many threads (all that there are)
  --product NAME  only the products of this name
  --list          says which products there are, and of which facts each is all combinations";

#[expect(clippy::disallowed_methods, reason = "how long it compares is measured by the clock on the wall")]
fn main() -> ExitCode {
    let (mut sample, mut threads) = (1, thread::available_parallelism().map_or(1, usize::from));
    let mut products = products::all();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let is_understood = match (name.as_str(), arguments.next()) {
            ("--help", _) => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            ("--list", _) => {
                print!("{}", products::list(&products));
                return ExitCode::SUCCESS;
            }
            ("--sample", Some(value)) => value.parse().is_ok_and(|value| {
                sample = value;
                sample > 0
            }),
            ("--threads", Some(value)) => value.parse().is_ok_and(|value| {
                threads = value;
                threads > 0
            }),
            ("--product", Some(value)) => {
                products.retain(|product| product.name == value);
                !products.is_empty()
            }
            _ => false,
        };
        if !is_understood {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }

    let (sent, has_ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let report = thread::scope(|scope| {
        let progress = scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_secs(10));
                println!("{:>6} s {:>9} requests", began.elapsed().as_secs(), sent.load(Ordering::Relaxed));
            }
        });
        let _end = End(&has_ended, progress.thread().clone());
        run::run(&products, sample, threads, &sent)
    });

    print!("{}", report.classes);
    for ((rule, specified, implemented), count) in &report.open {
        println!("{count:>9}  open: {specified} by {rule}, and {implemented} of the gate");
    }
    for (count, difference) in report.differences.values() {
        println!("\n{count} like this one: {difference}");
    }
    let differences = report.differences();
    println!(
        "{} combinations, {} requests, {} classes, {} left out as impossible, {differences} differences",
        report.combinations,
        report.requests,
        report.classes.0.len(),
        report.impossible,
    );
    ExitCode::from(u8::from(differences > 0))
}
