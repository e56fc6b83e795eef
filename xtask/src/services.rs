//! A Redis and a Postgres in the foreground, for whoever wants a store to point at.

use std::process::Command;

use anyhow::{bail, ensure};
use mpp_testkit::services::{Postgres, Redis};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{console::Console, workspace::Workspace};

/// Installs what is missing, starts both, says where they are, and stays until it is interrupted: then they go, and
/// their data, as they do when this process does.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let mut install = Command::new("sh");
    install.arg(".ci/services").current_dir(&workspace.root);
    ensure!(console.run(&mut install)?, "what is missing could not be installed");
    crate::runtime()?.block_on(async {
        // Before they start: a signal in between must not leave them behind.
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let (redis, postgres) = tokio::try_join!(Redis::start(), Postgres::start())?;
        console.object(&json!({ "redis_url": redis.url(), "postgres_url": postgres.url() }));
        console.say(format_args!("Redis at {}", redis.url()));
        console.say(format_args!("Postgres at {}", postgres.url()));
        console.say("interrupt to stop them");
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            () = redis.ended() => bail!("Redis ended by itself"),
            () = postgres.ended() => bail!("Postgres ended by itself"),
        }
        tokio::join!(redis.stop(), postgres.stop());
        Ok(true)
    })
}
