//! `scopegate man`.

use clap::{Args, CommandFactory as _};

use crate::{Cli, Failure, Output, Verdict};

/// Print the manual page, of a command if one is named
///
/// To read it: scopegate man token | man -l -
#[derive(Args)]
pub(crate) struct Man {
    /// The command
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let mut program = Cli::command();
        // Gives each command the names and options that come from the program.
        program.build();
        let command = match &self.command {
            None => program,
            Some(name) => {
                let found = program.find_subcommand(name).cloned();
                let found = found.ok_or_else(|| {
                    Failure::usage("there is no such command: `scopegate --help` lists those that there are")
                })?;
                found.display_name(format!("scopegate-{name}"))
            }
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::failed(format!("the manual page cannot be written: {error}; use `--help`")))?;
        output.text(&String::from_utf8_lossy(&page))?;
        Ok(Verdict::Good)
    }
}
