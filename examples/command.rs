//! Shared by the examples' commands: help, log, port, and shutdown.

#![allow(dead_code, reason = "no example uses all of it")]

use std::{env, error::Error, io::IsTerminal as _, process::ExitCode};

use tokio::net::TcpListener;

/// Runs the command `name`, which takes no arguments but `--help`.
pub(crate) async fn main(name: &str, help: &str, run: impl AsyncFnOnce() -> Result<(), Box<dyn Error>>) -> ExitCode {
    main_with(name, help, |arguments| arguments.is_empty().then_some(()), async |()| run().await).await
}

/// Runs the command `name` with what its arguments mean; `None` is for arguments that it does not take.
pub(crate) async fn main_with<A>(
    name: &str,
    help: &str,
    parse: impl FnOnce(&[&str]) -> Option<A>,
    run: impl AsyncFnOnce(A) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let log =
        || tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    main_logging(name, help, parse, log, run).await
}

/// Does the same with a log of the command's own, which `log` begins.
pub(crate) async fn main_logging<A>(
    name: &str,
    help: &str,
    parse: impl FnOnce(&[&str]) -> Option<A>,
    log: impl FnOnce(),
    run: impl AsyncFnOnce(A) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--help" | "-h", ..] = arguments[..] {
        print!("{help}");
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = parse(&arguments) else {
        eprint!("{name} does not take these arguments.\n\n{help}");
        return ExitCode::from(2);
    };
    log();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Listens on the port that `PORT` names, and on 3000 by default.
pub(crate) async fn listen() -> Result<TcpListener, String> {
    let port = match env::var("PORT") {
        Ok(port) => {
            port.parse::<u16>().map_err(|_| format!("PORT is {port:?}; it has to be a number from 0 to 65535"))?
        }
        Err(_) => 3000,
    };
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        format!("cannot listen on 127.0.0.1:{port}: {error}; PORT chooses another port, and 0 a free one")
    })
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupted() {
    // Without the signal, the process ends without a graceful shutdown.
    let _ = tokio::signal::ctrl_c().await;
}
