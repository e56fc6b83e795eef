//! A Redis server that writes each command to the disk before it answers.

use std::fs;

use super::{ServiceError, instance::Instance, keeper::Plan, programs, scratch};

/// A running server. Dropping it stops it and removes its data, and so does the death of this process.
#[derive(Debug)]
pub struct Redis {
    url: String,
    instance: Instance,
}

impl Redis {
    /// Starts one, with the `redis-server` in `PATH`.
    ///
    /// # Errors
    /// Says what is missing, or why it would not start.
    pub async fn start() -> Result<Self, ServiceError> {
        let program = programs::find("redis-server", "redis-server")?;
        let mut tries = 0;
        loop {
            let (folder, port, password) =
                (scratch::in_target("redis")?, scratch::free_port(), scratch::draw());
            let settings = folder.join("redis.conf");
            // Not as arguments: every user of this machine can read those.
            let text = format!(
                "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir .\nsave \"\"\nappendonly yes\n\
                 appendfsync always\nmaxmemory-policy noeviction\n"
            );
            if let Err(source) = fs::write(&settings, text) {
                return Err(ServiceError::Folder { path: settings, source });
            }
            let plan = Plan {
                command: vec![program.clone().into(), settings.into()],
                ready: "Ready to accept connections",
                goodbye: "KILL",
            };
            match Instance::start(folder, plan).await {
                Ok(instance) => {
                    return Ok(Self {
                        url: format!("redis://:{password}@127.0.0.1:{port}/"),
                        instance,
                    });
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
