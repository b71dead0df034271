//! This command in another process, which ends with this one, however this one ends: its standard input is closed then.

use std::{env, io, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, stdin},
    process::{Child as Process, Command},
};

pub(crate) struct Child {
    process: Process,
    line: String,
}

impl Child {
    /// Starts the command with these arguments, and waits for the line by which it says that it is ready. `None` is for one that
    /// ends before.
    pub(crate) async fn start(arguments: &[&str], variables: &[(&str, &str)]) -> io::Result<Option<Self>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let Some(line) = BufReader::new(stdout).lines().next_line().await? else {
            process.wait().await?;
            return Ok(None);
        };
        Ok(Some(Self { process, line }))
    }

    /// The line by which it said that it is ready.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// Ends the process, and waits until it has ended.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

/// In the other process: waits until the one that has started it ends, or wants it to end.
pub(crate) async fn parent_ended() {
    // An error means the same.
    let _ = stdin().read_to_end(&mut Vec::new()).await;
}
