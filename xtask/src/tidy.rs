//! The rules of the house that no compiler checks, each with the reason it gives when broken.

mod arrows;
mod code;
mod manifests;
mod sources;
#[cfg(test)]
mod tests;
mod texts;
mod weight;

use std::{collections::BTreeSet, fmt, fs};

use serde_json::json;

use crate::{console::Console, workspace::Workspace};

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    what: String,
}

impl Violation {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Prints every violation, and tells whether there was none.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let violations = check(workspace)?;
    for violation in &violations {
        console.say(violation);
    }
    let listed = Vec::from_iter(violations.iter().map(|violation| {
        json!({ "path": violation.path, "line": violation.line, "what": violation.what })
    }));
    console.object(&json!({ "ok": listed.is_empty(), "violations": listed }));
    console.say(format_args!("tidy: {} violations", violations.len()));
    Ok(violations.is_empty())
}

/// Every violation in the workspace, in the order of its files.
fn check(workspace: &Workspace) -> anyhow::Result<BTreeSet<Violation>> {
    let mut found = manifests::reasons(&workspace.manifest);
    for member in &workspace.members {
        found.extend(manifests::inherited(member));
        found.extend(arrows::check(member, &workspace.manifest));
    }
    found.extend(weight::check(workspace)?);
    for path in workspace.files()? {
        // What is not text is a test vector or an image, and has no lines to point at.
        let Ok(text) = fs::read_to_string(workspace.root.join(&path)) else { continue };
        found.extend(texts::check(&path, &text));
        if path.ends_with(".rs") {
            found.extend(sources::check(&path, &text));
        }
    }
    Ok(BTreeSet::from_iter(found))
}
