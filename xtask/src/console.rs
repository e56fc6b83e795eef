//! Where output goes: with `--json` one object on standard output, everything else beside it.

use std::{
    fmt::Display,
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::Context;
use serde_json::Value;

/// The two ways a command speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    json: bool,
    nested: bool,
}

impl Console {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json, nested: false }
    }

    /// The console of a command that runs inside another, whose object is the only one.
    pub(crate) const fn within(self) -> Self {
        Self { json: self.json, nested: true }
    }

    /// A line of the command's own output. A reader that has gone away is not an error.
    pub(crate) fn say(self, line: impl Display) {
        let _ = if self.json {
            writeln!(io::stderr(), "{line}")
        } else {
            writeln!(io::stdout(), "{line}")
        };
    }

    /// A line about the command, never part of its output.
    pub(crate) fn note(self, line: impl Display) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// The command's one JSON object, if that is what was asked for.
    pub(crate) fn object(self, object: &Value) {
        if self.json && !self.nested {
            let _ = writeln!(io::stdout(), "{object}");
        }
    }

    /// A line of JSON on standard output, of a command whose whole output that is.
    pub(crate) fn line(self, object: &Value) {
        let _ = writeln!(io::stdout(), "{object}");
    }

    /// Runs a program, with its output where this console's goes, and tells whether it succeeded.
    pub(crate) fn run(self, command: &mut Command) -> anyhow::Result<bool> {
        if self.json {
            command.stdout(io::stderr());
        }
        let status = command.stdin(Stdio::null()).status();
        Ok(status.with_context(|| could_not_run(command))?.success())
    }

    /// As [`Console::run`], with every line of standard output shown to `reader` as well.
    pub(crate) fn run_reading(
        self,
        command: &mut Command,
        mut reader: impl FnMut(&str),
    ) -> anyhow::Result<bool> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| could_not_run(command))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                reader(&line);
                self.say(line);
            }
        }
        Ok(child.wait()?.success())
    }
}

fn could_not_run(command: &Command) -> String {
    format!("{} could not be run", command.get_program().to_string_lossy())
}
