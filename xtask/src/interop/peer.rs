//! A program of another SDK: started, given jobs line by line, and quoted when it dies.

use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time,
};

/// How long one may take to start, with two cores and much else to do.
const STARTS: Duration = Duration::from_secs(30);
/// How many of its last lines are quoted.
const QUOTED: usize = 12;

/// A running program. It ends when its standard input does, and is killed with this.
pub(crate) struct Peer {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    last: Arc<Mutex<VecDeque<String>>>,
    jobs: u64,
}

impl Peer {
    /// Starts one, and returns what it said when it was ready.
    pub(crate) async fn start(mut command: Command) -> anyhow::Result<(Self, Value)> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        let stdin = child.stdin.take().context("standard input")?;
        let stdout = child.stdout.take().context("standard output")?;
        let last = Arc::<Mutex<VecDeque<String>>>::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep(stderr, last.clone()));
        }
        let lines = BufReader::new(stdout).lines();
        let mut me = Self { _child: child, stdin, lines, last, jobs: 0 };
        let ready = me.hear(STARTS).await?;
        Ok((me, ready))
    }

    /// Gives it a job, and returns its outcome.
    pub(super) async fn ask(&mut self, mut job: Value, within: Duration) -> anyhow::Result<Value> {
        self.jobs += 1;
        job["id"] = self.jobs.into();
        let line = format!("{job}\n");
        if self.stdin.write_all(line.as_bytes()).await.is_err() {
            return Err(self.dead().await);
        }
        let started = time::Instant::now();
        loop {
            let left = within.saturating_sub(started.elapsed());
            let outcome = self.hear(left).await?;
            // What came too late for an earlier job is not this one's.
            if outcome.get("id") == job.get("id") {
                return Ok(outcome);
            }
        }
    }

    async fn hear(&mut self, within: Duration) -> anyhow::Result<Value> {
        let heard = time::timeout(within, self.lines.next_line()).await;
        let heard = heard.map_err(|_| anyhow!("no word within {} s", within.as_secs()))?;
        match heard? {
            Some(line) => serde_json::from_str(&line).with_context(|| format!("not JSON: {line}")),
            None => Err(self.dead().await),
        }
    }

    /// What it said before it went.
    async fn dead(&self) -> anyhow::Error {
        // Its last words may still be on their way.
        time::sleep(Duration::from_millis(50)).await;
        anyhow!("it died: {}", self.words())
    }

    /// The last it said on its standard error.
    pub(super) fn words(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Vec::from_iter(last.iter().map(String::as_str)).join(" | ")
    }
}

async fn keep(stderr: ChildStderr, last: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == QUOTED {
            last.pop_front();
        }
        last.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn told(script: &str) -> anyhow::Result<Value> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let (mut peer, _) = Peer::start(command).await?;
        peer.ask(json!({ "op": "fetch" }), Duration::from_millis(300)).await
    }

    #[tokio::test]
    async fn a_program_that_dies_is_quoted() {
        let script = r#"echo '{"ready":true}'; read job; echo 'no such chain' >&2; exit 3"#;
        let error = told(script).await.unwrap_err().to_string();
        assert!(error.contains("it died") && error.contains("no such chain"), "{error}");
        let error = told("echo 'no such module' >&2").await.unwrap_err().to_string();
        assert!(error.contains("no such module"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_says_nothing_is_not_waited_for() {
        let error = told(r#"echo '{"ready":true}'; sleep 5"#).await.unwrap_err().to_string();
        assert!(error.contains("no word"), "{error}");
    }

    #[tokio::test]
    async fn an_outcome_of_another_job_is_passed_over() {
        let script = r#"echo '{"ready":true}'; read job; echo '{"id":0}'; echo '{"id":1,"status":200}'; read end"#;
        assert_eq!(told(script).await.unwrap()["status"], 200);
    }
}
