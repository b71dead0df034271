//! The file of the configuration.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{Failure, failure::shown};

#[derive(Args)]
pub(super) struct Saving {
    /// Save the configuration to this file, unless it exists or there is a fault
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    /// Replace the file
    #[arg(long, requires = "save")]
    force: bool,
}

impl Saving {
    /// Says what is known to be in the way before anything is asked for.
    pub(super) fn prepare(&self, secret: Option<&Path>) -> Result<(), Failure> {
        let Some(file) = &self.save else { return Ok(()) };
        if is_same(file, secret) {
            let text = format!("{} has the secret of the client: name another file with `--save`", shown(file));
            return Err(Failure::usage(text));
        }
        if !self.force && file.exists() { Err(exists(file)) } else { Ok(()) }
    }

    /// Writes the file, if there is one to be written.
    pub(super) fn save(&self, configuration: Option<&str>, has_fault: bool) -> Result<(), Failure> {
        let Some(file) = &self.save else { return Ok(()) };
        let configuration = match configuration {
            Some(configuration) if !has_fault => configuration,
            Some(_) => return Err(not_written(file, "there are faults")),
            None => return Err(not_written(file, "there is no configuration")),
        };
        let written = if self.force { replace(file, configuration) } else { create(file, configuration) };
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(file),
            _ => {
                Failure::failed(format!("{} cannot be written: {error}; name another file with `--save`", shown(file)))
            }
        })
    }
}

/// Writes what was not there. A link that leads nowhere is there.
fn create(file: &Path, text: &str) -> io::Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes());
    written.inspect_err(|_| _ = fs::remove_file(file))
}

/// Puts a new file in the place of the old one, which stays as it is until then. A link is replaced, and not followed.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = file.with_file_name(name);
    create(&beside, text)?;
    fs::rename(&beside, file).inspect_err(|_| _ = fs::remove_file(&beside))
}

fn is_same(file: &Path, other: Option<&Path>) -> bool {
    other.is_some_and(|other| match (file.canonicalize(), other.canonicalize()) {
        (Ok(file), Ok(other)) => file == other,
        _ => file == other,
    })
}

fn exists(file: &Path) -> Failure {
    Failure::usage(format!("{} exists: name another file with `--save`, or replace it with `--force`", shown(file)))
}

fn not_written(file: &Path, why: &str) -> Failure {
    Failure::failed(format!("{} is not written, since {why}; remedy the faults first", shown(file)))
}
