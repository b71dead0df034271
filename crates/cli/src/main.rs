//! The command `scopegate`, for the development of OAuth 2.0 resource servers. A module for each of its commands.
#![forbid(unsafe_code)]

mod check;
mod completions;
mod config_file;
mod doctor;
mod explain;
mod failure;
mod help;
mod issuer;
mod issuer_client;
mod man;
mod output;
mod printable;
mod revoke;
mod rotate;
mod stdin;
mod token;

use std::{env, ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{failure::Failure, output::Output};

/// Tools for services that accept OAuth 2.0 access tokens.
#[derive(Parser)]
#[command(name = "scopegate", version, after_help = help::EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON, errors included
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    #[command(after_help = help::ISSUER)]
    Issuer(issuer::Issuer),
    #[command(after_help = help::TOKEN)]
    Token(token::Token),
    #[command(after_help = help::ROTATE)]
    Rotate(rotate::Rotate),
    #[command(after_help = help::REVOKE)]
    Revoke(revoke::Revoke),
    #[command(after_help = help::CHECK)]
    Check(check::Check),
    #[command(after_help = help::EXPLAIN)]
    Explain(explain::Explain),
    #[command(after_help = help::DOCTOR)]
    Doctor(doctor::Doctor),
    #[command(after_help = help::COMPLETIONS)]
    Completions(completions::Completions),
    #[command(after_help = help::MAN)]
    Man(man::Man),
}

/// How a command that did its work ended.
enum Verdict {
    Good,
    Bad,
    /// There is none, since what it depends on could not be had.
    Undecided,
}

impl Command {
    async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        match self {
            Self::Issuer(command) => command.run(output).await,
            Self::Token(command) => command.run(output).await,
            Self::Rotate(command) => command.run(output).await,
            Self::Revoke(command) => command.run(output).await,
            Self::Check(command) => command.run(output).await,
            Self::Explain(command) => command.run(output).await,
            Self::Doctor(command) => command.run(output).await,
            Self::Completions(command) => command.run(output),
            Self::Man(command) => command.run(output),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::of_arguments(&error, &arguments),
    };
    let output = Output::new(cli.json);
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli.command.run(&output)),
        Err(error) => Err(Failure::failed(format!("the operating system gives no event queue: {error}; try again"))),
    };
    match ended {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Ok(Verdict::Undecided) => ExitCode::from(3),
        Err(failure) => failure.report(&output),
    }
}
