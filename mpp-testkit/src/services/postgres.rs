//! A Postgres server with a database cluster of its own.

use std::{ffi::OsString, fs, path::Path, process::Command};

use super::{ServiceError, instance::Instance, keeper::Plan, programs, scratch};

/// A running server. Dropping it stops it and removes its data, and so does the death of this process.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    instance: Instance,
}

impl Postgres {
    /// Starts one, with the `postgres` in `PATH` or where Debian keeps it.
    ///
    /// Its data are under cargo's target directory; but it refuses to run as root, and who runs it then cannot reach
    /// what is root's, so then they are among the system's temporary files.
    ///
    /// # Errors
    /// Says what is missing, or why it would not start.
    pub async fn start() -> Result<Self, ServiceError> {
        const PACKAGE: &str = "postgresql";
        let (initdb, postgres) =
            (programs::find("initdb", PACKAGE)?, programs::find("postgres", PACKAGE)?);
        let user = run(Path::new("/"), &words(["id", "-u"])).await?;
        let root = user.trim() == "0";
        let mut tries = 0;
        loop {
            let folder = if root {
                scratch::in_temporary("postgres")?
            } else {
                scratch::in_target("postgres")?
            };
            let (port, password) = (scratch::free_port(), scratch::draw());
            let command = |program: &Path, arguments: &[&str]| {
                let mut command = words(if root { AS_ANOTHER } else { &[] }.iter().copied());
                command.push(program.into());
                command.extend(arguments.iter().map(OsString::from));
                command
            };
            let prepared = prepare(&folder, root, &password, command(&initdb, INITDB)).await;
            if let Err(error) = prepared {
                // The error says what went wrong; what is left of it is in the way of nobody.
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
            let port_text = port.to_string();
            let plan = Plan {
                command: command(&postgres, &[SERVER, &["-p", &port_text]].concat()),
                ready: "database system is ready to accept connections",
                goodbye: "QUIT",
            };
            match Instance::start(folder, plan).await {
                Ok(instance) => {
                    let url = format!("postgres://mpp:{password}@127.0.0.1:{port}/postgres");
                    return Ok(Self { url, instance });
                }
                // Another took the port in between.
                Err(ServiceError::Exited { .. }) if tries < 3 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens, with its password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it, as a power failure would. Its data stay.
    pub async fn kill(&mut self) {
        self.instance.kill().await;
    }

    /// Starts it again (killed first, if it runs), on the same port, with the same data.
    ///
    /// # Errors
    /// Says why it would not start.
    pub async fn restart(&mut self) -> Result<(), ServiceError> {
        self.instance.restart().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&self) {
        self.instance.ended().await;
    }

    /// Stops it and waits until it is gone, and its data.
    pub async fn stop(self) {
        self.instance.stop().await;
    }
}

/// Who nobody is, root can be: a user that every system has.
const AS_ANOTHER: &[&str] =
    &["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"];

/// What is not synced was never promised to anybody; the server syncs.
const INITDB: &[&str] = &[
    "--pgdata=data",
    "--username=mpp",
    "--pwfile=password",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
];

const SERVER: &[&str] =
    &["-D", "data", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="];

/// Makes the cluster, in a folder that is its user's.
async fn prepare(
    folder: &Path,
    root: bool,
    password: &str,
    initdb: Vec<OsString>,
) -> Result<(), ServiceError> {
    run(folder, &words(["chmod", "700", "."])).await?;
    if let Err(source) = fs::write(folder.join("password"), password) {
        return Err(ServiceError::Folder { path: folder.to_owned(), source });
    }
    if root {
        run(folder, &words(["chown", "-R", "nobody:nogroup", "."])).await?;
    }
    run(folder, &initdb).await.map(drop)
}

/// Runs a program to its end, and returns what it said.
async fn run(folder: &Path, command: &[OsString]) -> Result<String, ServiceError> {
    let (folder, command) = (folder.to_owned(), command.to_owned());
    let (program, arguments) =
        command.split_first().map_or_else(Default::default, |(p, a)| (p.clone(), a.to_vec()));
    let name = Path::new(&program).display().to_string();
    let work = tokio::task::spawn_blocking(move || {
        Command::new(program).args(arguments).current_dir(folder).env("LC_ALL", "C").output()
    });
    let program = name;
    match work.await {
        Ok(Ok(done)) if done.status.success() => {
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        }
        Ok(Ok(done)) => {
            let said = [done.stdout, done.stderr].concat();
            Err(ServiceError::Exited { program, said: String::from_utf8_lossy(&said).into_owned() })
        }
        Ok(Err(source)) => Err(ServiceError::Spawn { program, source }),
        Err(panic) => Err(ServiceError::Spawn { program, source: std::io::Error::other(panic) }),
    }
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}
