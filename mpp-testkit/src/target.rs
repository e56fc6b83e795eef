//! Where cargo builds: tools and scratch data go there, and nowhere else.

use std::{env, path::PathBuf};

/// Cargo's target directory: the one it was told, else the one this program was built into, else
/// the one beside the workspace's lock file.
pub(crate) fn target_directory() -> Option<PathBuf> {
    if let Some(told) = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from)
        && told.is_absolute()
    {
        return Some(told);
    }
    let built = env::current_exe().ok();
    let built =
        built.iter().flat_map(|exe| exe.ancestors()).find(|dir| dir.join("CACHEDIR.TAG").is_file());
    if let Some(dir) = built {
        return Some(dir.to_owned());
    }
    let here = env::current_dir().ok()?;
    let workspace = here.ancestors().find(|dir| dir.join("Cargo.lock").is_file())?;
    Some(workspace.join("target"))
}
