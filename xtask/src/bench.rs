//! The benches of `bench/`: builds them, runs them, and prints ratios. Speed gates nothing.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::{console::Console, workspace::Workspace};

/// What the table shows of a row; the object is passed on as it came.
#[derive(Deserialize)]
struct Row {
    name: String,
    unit: String,
    ours: Option<f64>,
    peer: Option<f64>,
    floor: Option<f64>,
    ratio: Option<f64>,
    goal: Option<f64>,
    met: Option<bool>,
}

/// Measures and prints. A goal that is missed is not a failure: machines are noisy.
pub(crate) fn command(
    workspace: &Workspace,
    console: Console,
    quick: bool,
) -> anyhow::Result<bool> {
    let target = target(workspace);
    let mut cargo = workspace.cargo();
    // Not `--locked`: a dependency that the SDK gained since is no reason not to measure.
    cargo.args(["build", "--release", "--bins", "--manifest-path", "bench/Cargo.toml"]);
    cargo.arg("--target-dir").arg(&target);
    if !console.run(&mut cargo)? {
        return Ok(false);
    }
    let mut program =
        Command::new(target.join("release").join(format!("bench{}", env::consts::EXE_SUFFIX)));
    program.args(quick.then_some("--quick")).stderr(Stdio::inherit());
    let output = program.output().context("the benches could not be run")?;
    ensure!(output.status.success(), "the benches failed: {}", output.status);
    let table: Value = serde_json::from_slice(&output.stdout).context("the benches' output")?;
    let rows = table.get("rows").context("the benches print rows")?;
    for line in lines(&Vec::deserialize(rows)?) {
        console.say(line);
    }
    console.object(&table);
    Ok(true)
}

/// Beside the workspace's own output, where two lock files' crates do not drive each other out.
pub(crate) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target().join("bench")
}

fn lines(rows: &[Row]) -> Vec<String> {
    let head = ["", "unit", "ours", "peer", "floor", "ratio", "goal", ""].map(str::to_owned);
    let mut lines = vec![line(&head)];
    lines.extend(rows.iter().map(|row| {
        let figure = |figure: Option<f64>| figure.map_or_else(|| "–".into(), |f| format!("{f:.0}"));
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "–".into(), |r| format!("{r:.2}"));
        let met = match row.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        // A goal for a count is the most it may be, one for a rate the least; any other is the least the ratio may be.
        let goal = row.goal.map_or_else(
            || "–".into(),
            |goal| match row.unit.as_str() {
                "allocations" | "bytes" | "calls" => format!("≤ {goal}"),
                rate if rate.ends_with("/s") => format!("≥ {goal}"),
                _ => format!("≥ {goal:.2}"),
            },
        );
        line(&[
            row.name.clone(),
            row.unit.clone(),
            figure(row.ours),
            figure(row.peer),
            figure(row.floor),
            ratio(row.ratio),
            goal,
            met.to_owned(),
        ])
    }));
    lines
}

fn line(cells: &[String; 8]) -> String {
    let [name, unit, ours, peer, floor, ratio, goal, met] = cells;
    format!("{name:<44} {unit:<12} {ours:>9} {peer:>9} {floor:>9} {ratio:>7} {goal:>9}  {met}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_its_ratio_its_goal_and_what_is_unknown() {
        let row = |unit: &str, goal: f64| {
            format!(
                r#"{{"name":"a","unit":"{unit}","ours":2.0,"peer":9.0,"floor":null,"ratio":4.5,"goal":{goal},"met":true}}"#
            )
        };
        let rows = format!("[{},{}]", row("ns", 4.0), row("allocations", 20.0));
        let shown = lines(&serde_json::from_str::<Vec<Row>>(&rows).unwrap());
        let words = |line: usize| shown[line].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(1), "a ns 2 9 – 4.50 ≥ 4.00 met");
        assert_eq!(words(2), "a allocations 2 9 – 4.50 ≤ 20 met");
    }
}
