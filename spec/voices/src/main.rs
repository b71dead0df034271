//! `write` makes tokens, `tally` compares what the libraries said of them. `tally` ends with 1 where a library refuses a token
//! that the gate accepts and the reason is not known.

use std::{
    error::Error,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    process::ExitCode,
};

use scopegate_spec_voices::{
    difference::Refused,
    sample::{self, Sample, Wanted},
    tally::Tally,
};

const USAGE: &str = "usage: scopegate-spec-voices write FILE ACCEPTED REFUSED SEED
       scopegate-spec-voices tally FILE LIBRARY VERDICTS...";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", file, accepted, refused, seed] => {
            write(file, Wanted { accepted: accepted.parse()?, refused: refused.parse()? }, seed.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["tally", file, ref libraries @ ..] if !libraries.is_empty() && libraries.len() % 2 == 0 => {
            let mut is_good = true;
            for library in libraries.chunks_exact(2) {
                is_good &= tally(file, library[0], library[1])?;
            }
            Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn write(file: &str, wanted: Wanted, seed: u64) -> Result<(), Box<dyn Error>> {
    let mut lines = BufWriter::new(File::create(file)?);
    let mut problem = Ok(());
    sample::samples(seed.., wanted, |sample| {
        let line = serde_json::to_string(sample).expect("text and numbers");
        if problem.is_ok() {
            problem = writeln!(lines, "{line}");
        }
    });
    problem?;
    lines.flush()?;
    Ok(())
}

/// Whether every token that the gate accepts is accepted by the library, or refused for a known reason.
fn tally(samples: &str, library: &str, verdicts: &str) -> Result<bool, Box<dyn Error>> {
    let lines = |file| File::open(file).map(|file| BufReader::new(file).lines());
    let mut verdicts = lines(verdicts)?;
    let mut tally = Tally::new(library);
    for sample in lines(samples)? {
        let verdict = verdicts.next().ok_or("a verdict is missing")??;
        let sample: Sample = serde_json::from_str(&sample?)?;
        let verdict: Option<Refused> = serde_json::from_str(&verdict)?;
        tally.count(sample, verdict);
    }
    print!("{tally}");
    let unseen: Vec<&str> = tally.unseen().collect();
    if !unseen.is_empty() {
        println!("{library}: known differences that no token shows: {}", unseen.join(", "));
    }
    let is_asked = tally.has_bad() && tally.accepted_bad() == 0;
    if !is_asked {
        println!("{library}: it was not asked, or accepts what every library refuses");
    }
    println!("{library}: accepted {} tokens of the gate, {} unexplained", tally.agreed(), tally.unexplained());
    Ok(tally.unexplained() == 0 && unseen.is_empty() && is_asked)
}
