//! A server as a child that cannot outlive its parent.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::ServiceError;

/// Runs a server until standard input says something or ends, which the system sees to whenever the parent is gone.
/// Unless it is told to keep them, it takes the data along. It is the shell that waits for the server, so the process
/// id it kills cannot have been given to another. What a server's own children still write while they notice its end
/// may be in the way of the first removal.
const KEEPER: &str = r#"
trap '' INT HUP
scratch=$1 goodbye=$2
shift 2
"$@" </dev/null 2>&1 &
server=$!
exec >/dev/null 2>&1
read -r word
[ "$word" = keep ] && goodbye=KILL
kill -s "$goodbye" "$server"
wait "$server"
[ "$word" = keep ] || rm -rf -- "$scratch" || { sleep 1; rm -rf -- "$scratch"; }
"#;

/// Lines of output kept to explain an early end.
const KEPT_LINES: usize = 20;

/// What to run, and how to tell that it runs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The program and its arguments.
    pub(super) command: Vec<OsString>,
    /// What its output says once it listens.
    pub(super) ready: &'static str,
    /// The signal that ends it at once, and all its children.
    pub(super) goodbye: &'static str,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    output: Arc<Mutex<Output>>,
}

enum State {
    Starting,
    Ready,
    Ended { said: String },
}

#[derive(Debug, Default)]
struct Output {
    ready: bool,
    last: VecDeque<String>,
    ended: bool,
}

impl Keeper {
    /// Starts a server in its scratch folder, and waits until it is ready.
    pub(super) async fn start(plan: &Plan, scratch: &Path) -> Result<Self, ServiceError> {
        const DEADLINE: Duration = Duration::from_secs(30);
        let program = plan.command.first().cloned().unwrap_or_default();
        let program = Path::new(&program).display().to_string();
        let spawned = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(scratch)
            .arg(plan.goodbye)
            .args(&plan.command)
            .current_dir(scratch)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut shell =
            spawned.map_err(|source| ServiceError::Spawn { program: "sh".to_owned(), source })?;
        let output = Arc::default();
        if let Some(stdout) = shell.stdout.take() {
            let (output, ready) = (Arc::clone(&output), plan.ready);
            // A thread, not a task: the server stalls once nobody reads, and runtimes come and go.
            thread::spawn(move || drain(stdout, &output, ready));
        }
        let keeper = Self { shell, output };
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            match keeper.state() {
                State::Ready => return Ok(keeper),
                State::Starting => tokio::time::sleep(Duration::from_millis(5)).await,
                State::Ended { said } => {
                    keeper.kill().await;
                    return Err(ServiceError::Exited { program, said });
                }
            }
        }
        Err(ServiceError::Deadline { program, after: DEADLINE })
    }

    fn state(&self) -> State {
        let output = lock(&self.output);
        if output.ready {
            State::Ready
        } else if output.ended {
            State::Ended { said: Vec::from_iter(output.last.iter().map(String::as_str)).join("\n") }
        } else {
            State::Starting
        }
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&self) {
        while !lock(&self.output).ended {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Kills it, as a power failure would, and leaves its data.
    pub(super) async fn kill(self) {
        self.end(Some("keep")).await;
    }

    /// Stops it, and removes its data.
    pub(super) async fn stop(self) {
        self.end(None).await;
    }

    async fn end(mut self, word: Option<&str>) {
        const PATIENCE: Duration = Duration::from_secs(5);
        if let (Some(word), Some(mut stdin)) = (word, self.shell.stdin.take()) {
            // A shell that is gone has ended the server.
            let _ = writeln!(stdin, "{word}");
        }
        drop(self.shell.stdin.take());
        while matches!(self.shell.try_wait(), Ok(None)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // A server's own children go on for a moment, and may still answer; while one lives, the output is open.
        let began = Instant::now();
        while !lock(&self.output).ended && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Keeper {
    /// Waits too: who drops a server may count on its end.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing is left to do about a child that cannot be waited for.
        let _ = self.shell.wait();
    }
}

fn drain(stdout: ChildStdout, output: &Mutex<Output>, ready: &str) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut output = lock(output);
        output.ready |= line.contains(ready);
        if !line.is_empty() {
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
