//! The documentation builds without a warning, and the programs in READMEs are compiled.

use std::{fs, path::Path};

use serde_json::json;

use crate::{console::Console, workspace::Workspace};

/// Builds the documentation, and tells whether it and every README hold.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let orphans = orphans(workspace)?;
    for orphan in &orphans {
        console.say(orphan);
    }
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--quiet", "--locked", "--workspace", "--no-deps", "--all-features"]);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    let built = console.run(&mut cargo)?;
    let ok = built && orphans.is_empty();
    console.object(&json!({ "ok": ok, "built": built, "not_compiled": orphans }));
    console.say(format_args!("docs: {}", if ok { "ok" } else { "FAILED" }));
    Ok(ok)
}

/// READMEs with a Rust program that no crate includes in its documentation: only there do the
/// tests compile it.
fn orphans(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let files = workspace.files()?;
    let mut included = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        let source = fs::read_to_string(workspace.root.join(path)).unwrap_or_default();
        included.extend(includes(path, &source));
    }
    let mut orphans = Vec::new();
    for path in files.iter().filter(|path| path.ends_with("README.md")) {
        let text = fs::read_to_string(workspace.root.join(path)).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            if let Some(what) = uncompiled(line, included.contains(path)) {
                orphans.push(format!("{path}:{}: {what}", index + 1));
            }
        }
    }
    Ok(orphans)
}

/// Why the program that this line opens, if it opens one, is compiled by nobody.
fn uncompiled(line: &str, included: bool) -> Option<&'static str> {
    let language = line.trim_start().strip_prefix("```rust")?;
    if language.contains("ignore") {
        return Some("an ignored program rots: let it compile (`no_run`), or show it as `text`");
    }
    let what = "this program is compiled by nobody: include the README in a crate's documentation";
    (!included).then_some(what)
}

/// The files that a source includes as text, relative to the root.
fn includes(path: &str, source: &str) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let named = source.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    Vec::from_iter(named.map(|relative| {
        let mut parts = Vec::from_iter(folder.iter().map(|part| part.to_string_lossy()));
        for part in relative.split('/') {
            if part == ".." {
                parts.pop();
            } else if part != "." {
                parts.push(part.into());
            }
        }
        parts.join("/")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_included_file_is_known_by_its_path_from_the_root() {
        let source = r#"#![doc = include_str!("../README.md")] x(include_str!("../../README.md"))"#;
        assert_eq!(includes("mpp-core/src/lib.rs", source), ["mpp-core/README.md", "README.md"]);
        assert!(includes("a.rs", "no includes").is_empty());
    }

    #[test]
    fn a_program_that_nobody_compiles_is_named() {
        let check = |line: &str, included: bool, fine: bool| {
            assert_eq!(uncompiled(line, included).is_none(), fine, "{line}");
        };
        check("```rust", true, true);
        check("```rust,no_run", true, true);
        check("```rust,ignore", true, false);
        check("```rust", false, false);
        check("```sh", false, true);
        check("text", false, true);
    }
}
