//! What core costs everybody: the number of crates in its tree.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::Violation;
use crate::workspace::Workspace;

/// The crates in core's tree, itself included.
const CRATES: usize = 40;

/// Core's tree, if it has grown past its limit.
pub(super) fn check(workspace: &Workspace) -> anyhow::Result<Option<Violation>> {
    let mut cargo = workspace.cargo();
    cargo.args(["tree", "--locked", "--package", "mpp-core", "--edges", "normal"]);
    let tree = cargo.args(["--prefix", "none", "--no-dedupe"]).output()?;
    let said = String::from_utf8_lossy(&tree.stderr);
    ensure!(tree.status.success(), "core's tree could not be read: {}", said.trim());
    let crates = distinct(&String::from_utf8_lossy(&tree.stdout));
    Ok((crates > CRATES).then(|| {
        let what =
            format!("core's tree has {crates} crates, over {CRATES}: every user pays for each");
        Violation::new("mpp-core/Cargo.toml", 1, what)
    }))
}

/// Lines, because two versions of a crate are two crates to build.
fn distinct(tree: &str) -> usize {
    BTreeSet::from_iter(tree.lines().filter(|line| !line.is_empty())).len()
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn a_crate_counts_once_and_each_version_by_itself() {
        assert_eq!(distinct("a v1.0.0\nb v1.0.0\na v1.0.0\n\nb v2.0.0\n"), 3);
    }
}
