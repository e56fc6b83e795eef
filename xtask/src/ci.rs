//! Everything that gates a change: stages in order, cheap ones first, stopping at a failure.

use std::{process::Command, time::Instant};

use serde_json::json;

use crate::{
    bench::target, conformance, console::Console, crash, demo, differential, docs, features, fuzz,
    interop, tidy, workspace::Workspace,
};

/// One line per stage: its name, and what runs.
const STAGES: &[(&str, Run)] = &[
    ("format", |on, to| cargo(on, to, &["fmt", "--all", "--check"])),
    ("tidy", |on, to| tidy::command(on, to).map(Outcome::from)),
    ("lints", |on, to| cargo(on, to, LINTS)),
    ("features", |on, to| features::command(on, to).map(Outcome::from)),
    ("tests", tests),
    ("crash", |on, to| crash::gate(on, to).map(Outcome::from)),
    ("conformance", |on, to| conformance::command(on, to).map(Outcome::from)),
    ("differential", compared),
    ("fuzz", |_, to| fuzz::gate(to).map(Outcome::from)),
    ("interop", |on, to| interop::command(on, to, &interop::Options::default()).map(Outcome::from)),
    ("demo", |_, to| demo::gate(to).map(Outcome::from)),
    ("docs", |on, to| docs::command(on, to).map(Outcome::from)),
    ("bench", bench),
];

const LINTS: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--all-features",
    "--locked",
    "--",
    "--deny=warnings",
];

/// What a stage is: it may run a whole command, whose JSON stays unprinted.
type Run = fn(&Workspace, Console) -> anyhow::Result<Outcome>;

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped(&'static str),
}

impl From<bool> for Outcome {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

/// Runs the stages, and tells whether all passed.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut stages = Vec::new();
    let mut failed = None;
    for (name, run) in STAGES {
        console.say(format_args!("── {name}"));
        let began = Instant::now();
        let outcome = run(workspace, console.within()).unwrap_or_else(|error| {
            console.note(format_args!("error: {error:#}"));
            Outcome::Failed
        });
        let seconds = began.elapsed().as_secs_f64();
        console.say(format_args!("── {name}: {} ({seconds:.1} s)", word(&outcome)));
        if outcome == Outcome::Failed {
            failed = Some(*name);
        }
        stages.push((*name, seconds, outcome));
        if failed.is_some() {
            break;
        }
    }
    let total = started.elapsed().as_secs_f64();
    report(console, &stages, failed, total);
    Ok(failed.is_none())
}

fn report(console: Console, stages: &[(&str, f64, Outcome)], failed: Option<&str>, total: f64) {
    console.say("");
    for (name, seconds, outcome) in stages {
        console.say(format_args!("{name:<14} {seconds:>8.1} s  {}", word(outcome)));
    }
    let listed = Vec::from_iter(stages.iter().map(|(name, seconds, outcome)| {
        json!({ "name": name, "seconds": seconds, "outcome": word(outcome) })
    }));
    console.object(&json!({
        "ok": failed.is_none(), "failed": failed, "seconds": total, "stages": listed,
    }));
    match failed {
        Some(name) => console.say(format_args!("ci: FAILED at {name}, {total:.1} s")),
        None => console.say(format_args!("ci: {} stages, {total:.1} s", stages.len())),
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "ok".to_owned(),
        Outcome::Failed => "FAILED".to_owned(),
        Outcome::Skipped(why) => format!("skipped: {why}"),
    }
}

fn cargo(workspace: &Workspace, console: Console, arguments: &[&str]) -> anyhow::Result<Outcome> {
    console.run(workspace.cargo().args(arguments)).map(Outcome::from)
}

/// All tests, those on a real chain included: it is started by the tests that need it.
fn tests(workspace: &Workspace, console: Console) -> anyhow::Result<Outcome> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    let (mut passed, mut failed) = (0_u64, 0_u64);
    let ok = console.run_reading(&mut cargo, |line| {
        if let Some((good, bad)) = counts(line) {
            (passed, failed) = (passed + good, failed + bad);
        }
    })?;
    console.say(format_args!("{passed} passed, {failed} failed"));
    Ok(Outcome::from(ok))
}

/// Passed and failed, from the line that ends the output of one test binary.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut parts = counts.split("; ");
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

/// The chain's own crates are two hundred: the codec is compared with them when it changed.
fn compared(workspace: &Workspace, console: Console) -> anyhow::Result<Outcome> {
    if differential::is_done(workspace)? {
        return Ok(Outcome::Skipped("the codec is the one of the last good run"));
    }
    differential::gate(workspace, console).map(Outcome::from)
}

/// The benches bring hundreds of crates of their own: they are checked when they changed.
fn bench(workspace: &Workspace, console: Console) -> anyhow::Result<Outcome> {
    if !workspace.root.join("bench/Cargo.toml").is_file() {
        return Ok(Outcome::Skipped("there are no benches"));
    }
    if unchanged(workspace, "bench") {
        return Ok(Outcome::Skipped("bench/ did not change"));
    }
    let mut cargo = workspace.cargo();
    cargo.args(["check", "--locked", "--all-targets", "--manifest-path", "bench/Cargo.toml"]);
    console.run(cargo.arg("--target-dir").arg(target(workspace))).map(Outcome::from)
}

/// Whether a folder is as in the parent commit. Without git, or a parent, nobody knows: changed.
fn unchanged(workspace: &Workspace, folder: &str) -> bool {
    let git = |arguments: &[&str]| {
        Command::new("git").args(arguments).current_dir(&workspace.root).output().ok()
    };
    let same = git(&["diff", "--quiet", "HEAD~1", "--", folder]);
    let new = git(&["ls-files", "--others", "--exclude-standard", "--", folder]);
    same.is_some_and(|same| same.status.success()) && new.is_some_and(|new| new.stdout.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_are_counted_and_other_lines_are_not() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(counts(ok), Some((12, 0)));
        assert_eq!(counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"), Some((3, 2)));
        assert_eq!(counts("test parses ... ok"), None);
        assert_eq!(counts("test result: ok. many passed; 0 failed"), None);
    }
}
