//! `scopegate completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use crate::{Cli, Failure, Output, Verdict};

/// Print the completion script of a shell
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "scopegate", &mut script);
        let script = String::from_utf8_lossy(&script);
        output.result(&script, &json!({ "script": script }))?;
        Ok(Verdict::Good)
    }
}
