//! The others' programs, installed under cargo's target directory by their lock files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{console::Console, workspace::Workspace};

/// Where they are.
pub(super) struct Installed {
    /// The folder of mppx and of the programs that use it.
    pub(super) node: PathBuf,
    /// The folder of the last mppx that sells by sessions v1.
    pub(super) legacy: PathBuf,
    /// The folder of Stripe's own client.
    pub(super) stripe: PathBuf,
    /// The interpreter that finds pympp.
    pub(super) python: PathBuf,
    /// The programs that use it.
    pub(super) scripts: PathBuf,
}

impl Installed {
    /// Installs what is missing, or was installed by another lock file.
    pub(super) fn ready(workspace: &Workspace, console: Console) -> anyhow::Result<Self> {
        let (from, to) = (workspace.root.join("interop"), workspace.target().join("interop"));
        let (node, legacy) = (to.join("node"), to.join("node-legacy"));
        let venv = to.join("python");
        for (name, folder) in [("node", &node), ("node-legacy", &legacy)] {
            packages(&from.join(name), folder, console)?;
        }
        fs::copy(from.join("node/chain.mjs"), legacy.join("chain.mjs"))?;
        let requirements = from.join("python/requirements.txt");
        locked(&requirements, &venv, || {
            let mut new = Command::new("python3");
            new.args(["-m", "venv", "--clear"]).arg(&venv);
            ensure!(console.run(&mut new)?, "python3 could not make a virtual environment");
            let mut pip = Command::new(venv.join("bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.arg("--require-hashes").arg("-r").arg(&requirements);
            ensure!(console.run(&mut pip)?, "pip could not install pympp");
            Ok(())
        })?;
        let stripe = official(workspace, console)?;
        Ok(Self {
            node,
            legacy,
            stripe,
            python: venv.join("bin/python"),
            scripts: from.join("python"),
        })
    }
}

/// Stripe's own client, and the program that uses it.
pub(super) fn official(workspace: &Workspace, console: Console) -> anyhow::Result<PathBuf> {
    let folder = workspace.target().join("interop/stripe");
    packages(&workspace.root.join("interop/stripe"), &folder, console)?;
    Ok(folder)
}

/// The programs of a folder, and the packages that they use.
fn packages(from: &Path, to: &Path, console: Console) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    // Node looks for packages beside a program, wherever it was started.
    copy(from, to)?;
    locked(&from.join("package-lock.json"), to, || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(to);
        ensure!(console.run(&mut npm)?, "npm could not install what {} names", from.display());
        Ok(())
    })
}

/// Installs unless a copy of the same lock file says that it was done: written last, it is never there for a half.
fn locked(
    lock: &Path,
    folder: &Path,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wanted = fs::read(lock).with_context(|| lock.display().to_string())?;
    let stamp = folder.join("installed.lock");
    if fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    let _ = fs::remove_file(&stamp);
    install()?;
    Ok(fs::write(&stamp, wanted)?)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for file in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}
