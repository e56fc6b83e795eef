//! The workspace as its manifests and its committed files describe it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use toml::{Table, Value};

/// The root manifest and its members.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) members: Vec<Manifest>,
}

/// One `Cargo.toml`, as data and as text: messages point into the text.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Relative to the root, with forward slashes: `mpp-core/Cargo.toml`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) data: Table,
}

impl Workspace {
    /// The workspace this command was run in.
    pub(crate) fn find() -> anyhow::Result<Self> {
        // Cargo says where this package is; the binary itself may be shared between clones.
        if let Some(package) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)
            && let Some(root) = package.parent()
        {
            return Self::read(root);
        }
        let here = env::current_dir()?;
        match here.ancestors().find(|dir| dir.join("xtask/Cargo.toml").is_file()) {
            Some(root) => Self::read(root),
            None => bail!("no workspace here: run `cargo xtask` inside the repository"),
        }
    }

    fn read(root: &Path) -> anyhow::Result<Self> {
        let manifest = Manifest::read(root, "Cargo.toml".to_owned())?;
        let listed = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
        let mut members = Vec::new();
        for entry in
            listed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            for folder in expand(root, entry)? {
                members.push(Manifest::read(root, format!("{folder}/Cargo.toml"))?);
            }
        }
        Ok(Self { root: root.to_owned(), manifest, members })
    }

    /// Cargo, to be run at the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        let told = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        self.root.join(told)
    }

    /// Every file that is committed or about to be, relative to the root: what git ignores is
    /// somebody's own. Without git, as in an unpacked archive, everything but build output.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<String>> {
        let git = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output();
        let mut files = Vec::new();
        match git {
            Ok(git) if git.status.success() => {
                let listed = String::from_utf8_lossy(&git.stdout).into_owned();
                files.extend(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned));
                files.retain(|path| self.root.join(path).is_file());
            }
            _ => walk(&self.root, &self.root, &mut files)?,
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Manifest {
    fn read(root: &Path, path: String) -> anyhow::Result<Self> {
        let text = fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
        Self::parse(path, text)
    }

    pub(crate) fn parse(path: String, text: String) -> anyhow::Result<Self> {
        let data = text.parse().with_context(|| path.clone())?;
        Ok(Self { path, text, data })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Table> {
        self.data.get(key).and_then(Value::as_table)
    }

    pub(crate) fn name(&self) -> &str {
        let name = self.get("package").and_then(|package| package.get("name"));
        name.and_then(Value::as_str).unwrap_or(&self.path)
    }

    /// The folder, relative to the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.strip_suffix("/Cargo.toml").unwrap_or(".")
    }
}

/// A member, or all packages of a folder: `examples/*`.
fn expand(root: &Path, entry: &str) -> anyhow::Result<Vec<String>> {
    let Some(parent) = entry.strip_suffix("/*") else { return Ok(vec![entry.to_owned()]) };
    let mut folders = Vec::new();
    for child in fs::read_dir(root.join(parent)).with_context(|| entry.to_owned())? {
        let child = child?;
        if child.path().join("Cargo.toml").is_file() {
            folders.push(format!("{parent}/{}", child.file_name().to_string_lossy()));
        }
    }
    folders.sort();
    Ok(folders)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) -> anyhow::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        let (path, name) = (child.path(), child.file_name());
        if child.file_type()?.is_dir() {
            if !["target", "node_modules", ".git"].iter().any(|skipped| name == *skipped) {
                walk(root, &path, files)?;
            }
        } else if let Ok(relative) = path.strip_prefix(root) {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
