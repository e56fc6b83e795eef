//! The node as a child that cannot outlive its parent.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{DevnetError, Options};

/// Starts the node and kills it when standard input ends, which the system sees to whenever the
/// parent is gone: destructors do not run after a kill, nor for statics. Terminal signals are
/// ignored here, or the shell would die first and leave the node behind. It is the shell that
/// waits for the node, so the process id it kills cannot have been given to another.
const KEEPER: &str = r#"
trap '' INT HUP
"$@" </dev/null 2>&1 &
node=$!
exec >/dev/null 2>&1
cat
kill -9 "$node"
wait "$node"
"#;

const LISTENING: &str = "Listening on 127.0.0.1:";

/// Lines of output kept to explain an early end.
const KEPT_LINES: usize = 20;

#[derive(Debug)]
pub(super) struct Process {
    keeper: Child,
    output: Arc<Mutex<Output>>,
}

#[derive(Debug, Default)]
struct Output {
    port: Option<u16>,
    last: VecDeque<String>,
    ended: bool,
}

impl Process {
    /// Starts the node on a port of the system's choosing, unless it is to stand there by itself, and reads
    /// the port from its output: a port found free beforehand might be another's by the time it is used.
    pub(super) async fn start(anvil: &Path, options: &Options) -> Result<(Self, u16), DevnetError> {
        let port = options.port.filter(|_| !options.complete).unwrap_or_default();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(anvil)
            .args(["--network", "tempo", "--hardfork", &options.hardfork])
            .args(["--chain-id", &options.chain_id.to_string()])
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--mixed-mining"])
            .args(["--block-time", &seconds(options.block_time)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(DevnetError::Spawn)?;
        let output = Arc::default();
        if let Some(stdout) = keeper.stdout.take() {
            let output = Arc::clone(&output);
            // A thread, not a task: the node stalls once nobody reads, and runtimes come and go.
            thread::spawn(move || drain(stdout, &output));
        }
        let process = Self { keeper, output };
        let port = process.listening(options.deadline).await?;
        Ok((process, port))
    }

    async fn listening(&self, deadline: Duration) -> Result<u16, DevnetError> {
        let started = Instant::now();
        loop {
            {
                let output = lock(&self.output);
                if let Some(port) = output.port {
                    return Ok(port);
                }
                if output.ended {
                    let said = Vec::from_iter(output.last.iter().map(String::as_str)).join("\n");
                    return Err(DevnetError::Exited { said });
                }
            }
            if started.elapsed() > deadline {
                return Err(DevnetError::Deadline { after: deadline });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn ended(&self) {
        while !lock(&self.output).ended {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn stop(mut self) {
        drop(self.keeper.stdin.take());
        while matches!(self.keeper.try_wait(), Ok(None)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Process {
    /// Waits too, for a few milliseconds: who drops a chain may count on its end.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Nothing is left to do about a child that cannot be waited for.
        let _ = self.keeper.wait();
    }
}

fn drain(stdout: ChildStdout, output: &Mutex<Output>) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut output = lock(output);
        if let Some(port) = line.strip_prefix(LISTENING) {
            output.port = port.parse().ok();
            output.last.clear();
        }
        if output.port.is_none() && !line.is_empty() {
            if output.last.len() == KEPT_LINES {
                output.last.pop_front();
            }
            output.last.push_back(line);
        }
    }
    lock(output).ended = true;
}

/// The lock is held for a few assignments that cannot leave half a state, so poison says nothing.
fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds in decimal, as the node reads them.
fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}
