//! Shared by the examples' commands: help, log, port, and shutdown.

use std::{env, error::Error, io::IsTerminal as _, process::ExitCode};

use tokio::net::TcpListener;

/// Runs the command `name`, which takes no arguments but `--help`.
pub(crate) async fn main(name: &str, help: &str, run: impl AsyncFnOnce() -> Result<(), Box<dyn Error>>) -> ExitCode {
    match env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprint!("{name} takes no arguments.\n\n{help}");
            return ExitCode::from(2);
        }
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    match run().await {
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
