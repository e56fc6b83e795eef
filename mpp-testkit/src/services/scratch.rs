//! Folders, ports and passwords of servers.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::ServiceError;
use crate::target::target_directory;

/// A new folder under cargo's target directory.
pub(super) fn in_target(name: &str) -> Result<PathBuf, ServiceError> {
    let target = target_directory().ok_or(ServiceError::NoTargetDirectory)?;
    make(target.join("services"), name)
}

/// A new folder among the system's temporary ones: what other users can reach, unlike the home of root.
pub(super) fn in_temporary(name: &str) -> Result<PathBuf, ServiceError> {
    make(env::temp_dir(), &format!("mpp-{name}"))
}

fn make(parent: PathBuf, name: &str) -> Result<PathBuf, ServiceError> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let path = parent.join(format!("{name}-{}-{made}-{}", process::id(), draw()));
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(ServiceError::Folder { path, source }),
    }
}

/// A port of this machine that is free now. Below those that the system gives out, so that it is free still when a
/// server that was killed comes back to it.
pub(super) fn free_port() -> u16 {
    let mut port = 0;
    for _ in 0..100 {
        let drawn = RandomState::new().hash_one(process::id()) % 12_000;
        port = 20_000 + u16::try_from(drawn).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break;
        }
    }
    port
}

/// What nobody else on this machine knows.
pub(super) fn draw() -> String {
    let half = || RandomState::new().hash_one(process::id());
    format!("{:016x}{:016x}", half(), half())
}
