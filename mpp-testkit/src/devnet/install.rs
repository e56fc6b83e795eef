//! Finds the node's program, or has npm bring it.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, SystemTime},
};

use super::DevnetError;
use crate::target::target_directory;

const PACKAGE: &str = "@foundry-rs/anvil@1.7.1";
const VERSION: &str = "1.7.1";
const FOLDER: &str = "anvil-1.7.1";

/// Past this age a lock belongs to a process that died: the living renew theirs all the time. Were
/// one taken over too soon, no harm is done: what keeps two installations apart is the rename, the
/// lock only spares the second download.
const LOCK_AGE: Duration = Duration::from_secs(10);

/// The path of the node's program, installed first if need be.
pub(super) async fn anvil() -> Result<PathBuf, DevnetError> {
    if let Some(path) = env::var_os("MPP_ANVIL").map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(DevnetError::NoSuchAnvil { path }) };
    }
    if let Some(anvil) = on_path() {
        return Ok(anvil);
    }
    let tools = target_directory().ok_or(DevnetError::NoTargetDirectory)?.join("tools");
    loop {
        let anvil = program(&tools.join(FOLDER));
        if anvil.is_file() {
            return Ok(anvil);
        }
        match Lock::take(&tools)? {
            Some(lock) => install(&tools, lock).await?,
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// A node of the one version whose gaps are known, among the installed programs. Looked for once.
fn on_path() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let folders = env::var_os("PATH")?;
        let mut programs = env::split_paths(&folders).map(|folder| folder.join(file()));
        programs.find(|program| program.is_file() && version(program).contains(VERSION))
    };
    FOUND.get_or_init(find).clone()
}

fn version(program: &Path) -> String {
    let asked =
        Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    asked.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
}

const fn file() -> &'static str {
    if cfg!(windows) { "anvil.exe" } else { "anvil" }
}

/// Where the npm package keeps the program: npm picks the part made for this platform.
fn program(folder: &Path) -> PathBuf {
    let part = format!("anvil-{}", platform());
    folder.join("node_modules/@foundry-rs").join(part).join("bin").join(file())
}

fn platform() -> String {
    let system = match env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let processor = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}-{processor}")
}

/// Installs beside the final folder and moves the whole there, so that nobody sees a half of it.
async fn install(tools: &Path, lock: Lock) -> Result<(), DevnetError> {
    let stage = tools.join(format!("{FOLDER}.{}", process::id()));
    let done = tools.join(FOLDER);
    // npm takes seconds: on a thread of its own it does not hold up the caller's runtime.
    let work = thread::spawn(move || {
        if program(&done).is_file() {
            return Ok(());
        }
        let installed = npm(&stage, &lock).and_then(|()| publish(&stage, &done));
        // After success the folder is no longer there; after failure the next try starts clean.
        let _ = fs::remove_dir_all(&stage);
        installed
    });
    while !work.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    work.join().unwrap_or_else(|_| {
        Err(DevnetError::Install { package: PACKAGE.to_owned(), said: "nothing".to_owned() })
    })
}

/// The package's own install script is not run: the program is ready as it is.
fn npm(stage: &Path, lock: &Lock) -> Result<(), DevnetError> {
    let unwritable = |source| DevnetError::Folder { path: stage.to_owned(), source };
    let log = stage.join("npm.log");
    fs::create_dir_all(stage).map_err(unwritable)?;
    // Progress is for people; a closed standard error must not fail the installation.
    let _ = writeln!(io::stderr(), "installing {PACKAGE} with npm, once per target directory");
    let mut npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(stage)
        .arg(PACKAGE)
        .current_dir(stage)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).map_err(unwritable)?)
        .spawn()
        .map_err(DevnetError::Npm)?;
    let status = loop {
        lock.renew();
        match npm.try_wait().map_err(DevnetError::Npm)? {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(50)),
        }
    };
    let package = PACKAGE.to_owned();
    if !status.success() {
        let said = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let said = Vec::from_iter(said.lines().take(12)).join("\n");
        return Err(DevnetError::Install { package, said });
    }
    if !program(stage).is_file() {
        return Err(DevnetError::Platform { package, platform: platform() });
    }
    Ok(())
}

fn publish(stage: &Path, done: &Path) -> Result<(), DevnetError> {
    match fs::rename(stage, done) {
        _ if program(done).is_file() => Ok(()),
        Ok(()) => Ok(()),
        // What is in the way has no program in it: the remains of a cleaned-up target directory.
        Err(_) => fs::remove_dir_all(done)
            .and_then(|()| fs::rename(stage, done))
            .map_err(|source| DevnetError::Folder { path: done.to_owned(), source }),
    }
}

/// A file that says that someone installs; removed when they are done, however that ends.
struct Lock(PathBuf);

impl Lock {
    /// `None`: someone else holds it.
    fn take(tools: &Path) -> Result<Option<Self>, DevnetError> {
        let path = tools.join(format!("{FOLDER}.lock"));
        let taken = fs::create_dir_all(tools).and_then(|()| fs::File::create_new(&path));
        match taken {
            Ok(_) => Ok(Some(Self(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if age(&path) > LOCK_AGE {
                    // Whoever removes it first wins; the others find it gone, and try again.
                    let _ = fs::remove_file(&path);
                }
                Ok(None)
            }
            Err(source) => Err(DevnetError::Folder { path: tools.to_owned(), source }),
        }
    }

    /// Shows that its holder lives. Failing to, it is taken for dead, which costs a download.
    fn renew(&self) {
        let _ = fs::write(&self.0, b".");
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Left behind, it only delays the next installation until it is too old.
        let _ = fs::remove_file(&self.0);
    }
}

fn age(lock: &Path) -> Duration {
    let written = fs::metadata(lock).and_then(|lock| lock.modified());
    let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    age.unwrap_or_default()
}
