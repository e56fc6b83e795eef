//! One of the two processes: started, told, heard, and found dead.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time,
};

/// How long a process may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running process.
#[derive(Debug)]
pub(super) struct Peer {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts one and waits until it is ready; returns what it said then.
    pub(super) async fn start(program: &Path, args: &[String]) -> anyhow::Result<(Self, Value)> {
        let mut me = Self::spawn(program, args)?;
        let ready =
            me.hear().await?.with_context(|| format!("{args:?} died before it was ready"))?;
        Ok((me, ready))
    }

    /// Starts one.
    pub(super) fn spawn(program: &Path, args: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let stdin = child.stdin.take().context("standard input")?;
        let stdout = child.stdout.take().context("standard output")?;
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Tells it something. One that is dead hears nothing.
    pub(super) async fn tell(&mut self, line: &str) {
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// The next thing it says; `None` once it is dead. Cancel-safe.
    pub(super) async fn hear(&mut self) -> anyhow::Result<Option<Value>> {
        let line = time::timeout(PATIENCE, self.lines.next_line()).await.context("no word")?;
        Ok(match line? {
            Some(line) => Some(serde_json::from_str(&line).with_context(|| line.clone())?),
            None => None,
        })
    }

    /// Kills it with SIGKILL and waits until it is gone. One that died by itself is only waited for.
    pub(super) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}
