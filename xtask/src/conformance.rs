//! Conformance: the vectors of this project run in-process, and the same operations behind the public adapter ABI.

mod adapter;
mod framing;
mod ops;
mod vectors;

use std::io;

use anyhow::ensure;
use serde_json::{Value, json};

use self::vectors::{Difference, Group};
use crate::{console::Console, workspace::Workspace};

/// Differences that are shown of each group; all of them are in the JSON.
const SHOWN: usize = 3;

/// Answers requests on standard input until it ends.
pub(crate) fn adapter() -> anyhow::Result<bool> {
    adapter::serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(true)
}

/// Runs every vector, and tells whether all of them pass.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let groups = vectors::load(&workspace.root.join("conformance/vectors"))?;
    ensure!(!groups.is_empty(), "there are no vectors");
    let mut table = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for group in &groups {
        let differences = group.run();
        let wrong = differences.len();
        let right = group.cases.len() - wrong;
        (passed, failed) = (passed + right, failed + wrong);
        say(console, group, right, &differences);
        let differences = Vec::from_iter(differences.iter().map(Difference::to_json));
        table.push(json!({
            "group": group.name, "passed": right, "failed": wrong, "differences": differences,
        }));
    }
    console.say(format_args!("{:<28} {passed:>6} passed {failed:>4} failed", "all"));
    let report: Value =
        json!({ "ok": failed == 0, "passed": passed, "failed": failed, "groups": table });
    console.object(&report);
    Ok(failed == 0)
}

fn say(console: Console, group: &Group, passed: usize, differences: &[Difference<'_>]) {
    let failed = differences.len();
    console.say(format_args!("{:<28} {passed:>6} passed {failed:>4} failed", group.name));
    for difference in differences.iter().take(SHOWN) {
        let Difference { case, found } = difference;
        console.say(format_args!("    {} ({})", case.name, case.op));
        console.say(format_args!("        expected {}", case.expected));
        console.say(format_args!("        found    {found}"));
    }
    if failed > SHOWN {
        console.say(format_args!("    and {} more", failed - SHOWN));
    }
}

#[cfg(test)]
mod tests;
