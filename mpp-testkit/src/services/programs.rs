//! Where programs are.

use std::{env, fs, path::PathBuf};

use super::ServiceError;

/// A program of a package: in `PATH`, or where Debian keeps those of Postgres, the newest version first.
pub(super) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, ServiceError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(postgres_folders());
    let mut programs = folders.map(|folder| folder.join(program));
    programs.find(|program| program.is_file()).ok_or(ServiceError::Missing { program, package })
}

fn postgres_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions = Vec::from_iter(versions.map(|version| version.path()));
    versions.sort_by_key(|version| {
        let number = version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(number)
    });
    versions.iter().map(|version| version.join("bin")).collect()
}
