//! `scopegate man`.

use std::io::{self, Write as _};

use clap::{Args, Command, CommandFactory as _, builder::PossibleValuesParser};
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use crate::{Cli, Failure, Output, Verdict, help};

/// The commands, which have a page each. Those of the program cannot be asked for here, of which this is a part.
const COMMANDS: [&str; 9] = ["issuer", "token", "rotate", "revoke", "check", "explain", "doctor", "completions", "man"];

/// Print the manual page, of a command if one is named
#[derive(Args)]
pub(crate) struct Man {
    /// The command
    #[arg(value_parser = PossibleValuesParser::new(COMMANDS))]
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
        render(command, &mut page)
            .map_err(|error| Failure::failed(format!("the manual page cannot be written: {error}; use `--help`")))?;
        let page = String::from_utf8_lossy(&page);
        output.result(&page, &json!({ "page": page }))?;
        Ok(Verdict::Good)
    }
}

/// The page with the sections of section 1 of the manual: in the help both are one text behind the options.
fn render(command: Command, page: &mut Vec<u8>) -> io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string).filter(|text| text.starts_with("Examples:"));
    clap_mangen::Man::new(command.after_help(None::<&str>)).render(page)?;
    let texts = examples.iter().map(|text| ("EXAMPLES", text.as_str())).chain([("EXIT STATUS", help::EXIT_STATUS)]);
    for (section, text) in texts {
        let mut roff = Roff::new();
        roff.control("SH", [section]).control("nf", []);
        for line in text.lines().skip(1) {
            roff.text([roman(line.trim_start())]);
        }
        page.write_all(roff.control("fi", []).to_roff().as_bytes())?;
    }
    Ok(())
}
