//! mppx, selling and paying in processes of its own: installed by the lock file of `interop/node`.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// Why it does not run, for people.
pub type Why = String;

/// A program of ours that uses mppx. It ends when its standard input does.
#[derive(Debug)]
pub struct Mppx {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub ready: Value,
}

/// A server of mppx, and a client that pays it.
#[derive(Debug)]
pub struct Pair {
    client: Mppx,
    job: Value,
    _server: Mppx,
}

impl Pair {
    /// Starts both on a chain.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn start(rpc_url: &str, chain_id: u64, key: &str, secret: &str) -> Result<Self, Why> {
        let folder = installed()?;
        let environment = [
            ("RPC_URL", rpc_url.to_owned()),
            ("CHAIN_ID", chain_id.to_string()),
            ("MPP_SECRET_KEY", secret.to_owned()),
            ("PORT", "0".to_owned()),
        ];
        let server = Mppx::start(&folder, "server.mjs", &environment)?;
        let client = Mppx::start(&folder, "bench.mjs", &environment)?;
        let url = server.ready.get("url").and_then(Value::as_str).ok_or("mppx does not listen")?;
        let job = json!({ "url": format!("{url}/pull"), "key": key });
        Ok(Self { client, job, _server: server })
    }

    /// Pays so many times, one after the other; how long each took, in nanoseconds.
    ///
    /// # Errors
    /// What it says.
    pub fn pay(&mut self, times: usize) -> Result<Vec<f64>, Why> {
        let mut job = self.job.clone();
        job["times"] = times.into();
        let answer = self.client.ask(&job).map_err(|error| format!("mppx: {error}"))?;
        let taken = answer.get("milliseconds").and_then(Value::as_array);
        let taken = taken.ok_or_else(|| format!("mppx: {answer}"))?;
        Ok(taken.iter().filter_map(Value::as_f64).map(|taken| taken * 1e6).collect())
    }
}

impl Mppx {
    fn start(folder: &Path, program: &str, environment: &[(&str, String)]) -> Result<Self, Why> {
        let mut node = Command::new("node");
        node.arg(folder.join(program)).envs(environment.iter().map(|(k, v)| (k, v)));
        node.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().map_err(|error| format!("node: {error}"))?;
        let stdout = child.stdout.take().ok_or("node says nothing")?;
        let mut me = Self { child, stdout: BufReader::new(stdout), ready: Value::Null };
        me.ready = me.hear().map_err(|error| format!("{program}: {error}"))?;
        Ok(me)
    }

    fn ask(&mut self, job: &Value) -> io::Result<Value> {
        let stdin = self.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{job}")?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Mppx {
    fn drop(&mut self) {
        // Whatever it is at, nobody waits for it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of mppx and of the programs that use it, in the target directory that this program was built into.
fn installed() -> Result<PathBuf, Why> {
    let said = |error: io::Error| error.to_string();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/node");
    let program = env::current_exe().map_err(said)?;
    let target = program.ancestors().nth(2).ok_or("this program is nowhere")?;
    let folder = target.join("interop/node");
    fs::create_dir_all(&folder).map_err(said)?;
    // Node looks for packages beside a program, wherever it was started.
    for file in fs::read_dir(&from).map_err(said)? {
        let file = file.map_err(said)?;
        if file.file_type().map_err(said)?.is_file() {
            fs::copy(file.path(), folder.join(file.file_name())).map_err(said)?;
        }
    }
    // Written last, the stamp is never there for half an installation.
    let wanted = fs::read(from.join("package-lock.json")).map_err(said)?;
    let stamp = folder.join("installed.lock");
    if fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(folder);
    }
    let _ = fs::remove_file(&stamp);
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    // The table is on standard output.
    let done = npm.stdout(Stdio::null()).status().map_err(|error| format!("npm: {error}"))?;
    if !done.success() {
        return Err("npm could not install mppx".to_owned());
    }
    fs::write(&stamp, wanted).map_err(said)?;
    Ok(folder)
}
