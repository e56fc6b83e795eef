//! The differential test of `differential/`: builds it, runs it, and remembers which codec it was run on.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{console::Console, workspace::Workspace};

/// What `cargo xtask differential` is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Random cases of each property.
    #[arg(long, default_value_t = ENOUGH)]
    cases: u32,
    /// Where the randomness starts: the same seed makes the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The sources whose change asks for a new run: the codec, and the test itself.
const SOURCES: [&str; 4] = [
    "mpp-tempo/src/chain/transaction",
    "mpp-tempo/src/chain/signature",
    "mpp-tempo/src/chain/keychain",
    "differential/",
];

/// Cases after which a codec counts as compared.
const ENOUGH: u32 = 2000;

/// Which codec the last good run was of.
const REMEMBERED: &str = "differential/codec.sha256";

/// Where its oldest compiler is written.
const MANIFEST: &str = "differential/Cargo.toml";

/// Whether the codec is the one of the last good run.
pub(crate) fn is_done(workspace: &Workspace) -> anyhow::Result<bool> {
    let remembered = fs::read_to_string(workspace.root.join(REMEMBERED)).unwrap_or_default();
    Ok(remembered.trim() == fingerprint(workspace)?)
}

/// As many cases as a change of the codec passes before it is committed.
pub(crate) fn gate(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    command(workspace, console, &Options { cases: ENOUGH, seed: 1 })
}

/// Builds and runs it, and tells whether both sides agree.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    options: &Options,
) -> anyhow::Result<bool> {
    compiler_is_new_enough(workspace)?;
    let target = workspace.target().join("differential");
    let mut cargo = workspace.cargo();
    // Not `--locked`: a dependency that the codec gained since is no reason not to compare.
    cargo.args(["build", "--manifest-path", MANIFEST, "--target-dir"]).arg(&target);
    if !console.run(&mut cargo)? {
        return Ok(false);
    }
    let report = run(&target, options)?;
    for line in lines(&report) {
        console.say(line);
    }
    console.object(&report);
    let agrees = report.get("ok").and_then(Value::as_bool).context("the report says no `ok`")?;
    if agrees && options.cases >= ENOUGH && !is_done(workspace)? {
        fs::write(workspace.root.join(REMEMBERED), fingerprint(workspace)? + "\n")?;
        console.say(format_args!("written to {REMEMBERED}: commit it with the codec"));
    }
    Ok(agrees)
}

fn run(target: &Path, options: &Options) -> anyhow::Result<Value> {
    let program = target.join("debug").join(format!("differential{}", env::consts::EXE_SUFFIX));
    let mut program = Command::new(program);
    program.args(["--json", "--cases", &options.cases.to_string()]);
    program.args(["--seed", &options.seed.to_string()]).stderr(Stdio::inherit());
    let output = program.output().context("the differential test could not be run")?;
    serde_json::from_slice(&output.stdout).context("the differential test's report")
}

/// A line for each property, with what only this side refuses; then the disagreements.
fn lines(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |row: &Value, name: &str| row.get(name).map(Value::to_string).unwrap_or_default();
    for row in report.get("properties").and_then(Value::as_array).into_iter().flatten() {
        let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!(
            "{name:<12} {:>8} cases {:>8} accepted {:>8} refused by both",
            text(row, "cases"),
            text(row, "accepted"),
            text(row, "refused")
        ));
        let stricter = row.get("stricter").and_then(Value::as_object);
        for (class, count) in stricter.into_iter().flatten() {
            lines.push(format!("    {count:>8} refused here alone: {class}"));
        }
        if let Some(failure) = row.get("failure").and_then(Value::as_str) {
            lines.push(format!("    DISAGREE: {failure}"));
        }
    }
    lines.push(format!("seed {}, {} s", text(report, "seed"), text(report, "seconds")));
    lines
}

/// A hash of the sources, their names included. Tests do not count.
fn fingerprint(workspace: &Workspace) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for path in workspace.files()? {
        let counts = SOURCES.iter().any(|source| path.starts_with(source));
        if !counts || path == REMEMBERED || path.ends_with("/tests.rs") {
            continue;
        }
        let bytes = fs::read(workspace.root.join(&path)).with_context(|| path.clone())?;
        hash.update(format!("{path}\n{}\n", bytes.len()));
        hash.update(&bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The chain's crates need a newer compiler than ours do.
fn compiler_is_new_enough(workspace: &Workspace) -> anyhow::Result<()> {
    let manifest = fs::read_to_string(workspace.root.join(MANIFEST)).context(MANIFEST)?;
    let manifest: toml::Table = manifest.parse().context(MANIFEST)?;
    let needed = manifest.get("package").and_then(|package| package.get("rust-version"));
    let needed = needed.and_then(toml::Value::as_str).context("no `rust-version`")?;
    let compiler = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let said = Command::new(compiler).arg("--version").current_dir(&workspace.root).output()?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let found = version(said.split(' ').nth(1).unwrap_or_default());
    ensure!(
        found >= version(needed),
        "the chain's crates need Rust {needed}, and this is `{said}`: the codec is not compared"
    );
    Ok(())
}

/// The numbers of a version, however many: `1.95.0-nightly` is 1, 95, 0.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.split('-').next().unwrap_or_default();
    numbers.split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("1.100.0") > version("1.95"));
        assert!(version("1.95.0") >= version("1.95"));
        assert!(version("1.96.0-nightly") >= version("1.95"));
        assert!(version("1.94.1") < version("1.95"));
        assert!(version("") < version("1.95"));
    }

    #[test]
    fn the_codec_and_the_test_have_one_fingerprint_that_what_it_is_written_to_does_not_change() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace {
            root: root.path().to_owned(),
            manifest: crate::workspace::Manifest::parse("Cargo.toml".into(), String::new())
                .unwrap(),
            members: Vec::new(),
        };
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("mpp-tempo/src/chain/transaction/decode.rs", "one");
        write("differential/src/main.rs", "two");
        let first = fingerprint(&workspace).unwrap();
        assert!(!is_done(&workspace).unwrap());
        write(REMEMBERED, &format!("{first}\n"));
        write("mpp-tempo/src/chain/transaction/tests.rs", "a test");
        write("mpp-tempo/src/chain/dex.rs", "something else");
        assert!(is_done(&workspace).unwrap());
        for path in ["mpp-tempo/src/chain/signature.rs", "differential/src/main.rs"] {
            write(path, "changed");
            assert!(!is_done(&workspace).unwrap(), "{path}");
            write(REMEMBERED, &fingerprint(&workspace).unwrap());
        }
    }

    #[test]
    fn a_report_is_shown_with_its_classes_and_disagreements() {
        let report = json!({
            "ok": false, "seed": 1, "seconds": 2.5,
            "properties": [{
                "name": "read", "cases": 9, "accepted": 4, "refused": 3,
                "stricter": { "a mark": 2 }, "failure": "the hash",
            }],
        });
        let shown = lines(&report).join("\n");
        for part in
            ["read", "9 cases", "4 accepted", "2 refused here alone: a mark", "DISAGREE: the hash"]
        {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
    }
}
