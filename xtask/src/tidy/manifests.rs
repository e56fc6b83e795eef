//! Manifests: one version of each dependency, in one place, with its reason.

use toml::{Table, Value};

use super::Violation;
use crate::workspace::Manifest;

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// One entry of one dependency table.
pub(super) struct Dependency<'m> {
    pub(super) table: &'static str,
    pub(super) name: &'m str,
    pub(super) value: &'m Value,
    pub(super) line: usize,
}

/// All dependencies of a member, those of single platforms included.
pub(super) fn dependencies(member: &Manifest) -> Vec<Dependency<'_>> {
    let mut all = Vec::new();
    let targets =
        member.get("target").into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for owner in targets.chain([&member.data]) {
        for table in TABLES {
            let entries = owner.get(table).and_then(Value::as_table);
            all.extend(entries.into_iter().flatten().map(|(name, value)| Dependency {
                table,
                name,
                value,
                line: line_of(&member.text, table, name),
            }));
        }
    }
    all
}

/// Members name their dependencies; the root manifest says which version.
pub(super) fn inherited(member: &Manifest) -> Vec<Violation> {
    let mut found = Vec::new();
    for Dependency { name, value, line, .. } in dependencies(member) {
        if value.get("workspace").and_then(Value::as_bool) != Some(true) {
            let what = format!(
                "{name} must be `workspace = true`: versions are decided in the root manifest"
            );
            found.push(Violation::new(&member.path, line, what));
        }
    }
    found
}

/// A dependency is a decision: each has its reason as a comment on its own lines.
pub(super) fn reasons(root: &Manifest) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut inside = false;
    // The entry being read: its name, first line, whether it has a reason, and open brackets.
    let mut entry: Option<(&str, usize, bool)> = None;
    let mut open = 0_isize;
    for (index, line) in root.text.lines().enumerate() {
        let (code, comment) = split_comment(line);
        if open == 0 && code.trim_start().starts_with('[') {
            inside = code.trim() == "[workspace.dependencies]";
            if let Some(name) = code.trim().strip_prefix("[workspace.dependencies.") {
                let what =
                    format!("{} must be one line with its reason", name.trim_end_matches(']'));
                found.push(Violation::new(&root.path, index + 1, what));
            }
        }
        if !inside || code.trim().is_empty() && open == 0 || code.trim().starts_with("[workspace") {
            continue;
        }
        let reason = comment.is_some_and(|comment| !comment.trim().is_empty());
        let name = code.split(['=', '.']).next().unwrap_or_default().trim();
        let (name, first, before) = entry.take().unwrap_or((name, index + 1, false));
        open += brackets(code);
        if open > 0 {
            entry = Some((name, first, before || reason));
        } else if !before && !reason && !name.starts_with("mpp-") {
            let what = format!("{name} has no reason: say in a comment beside it what it is for");
            found.push(Violation::new(&root.path, first, what));
        }
    }
    found
}

/// The line of an entry, for people: the first line of the table that starts with its name.
fn line_of(text: &str, table: &str, name: &str) -> usize {
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header.ends_with(table);
            if header.ends_with(&format!("{table}.{name}")) {
                return index + 1;
            }
        }
        let rest = line.trim_start().trim_start_matches('"').strip_prefix(name);
        if inside && rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"'])) {
            return index + 1;
        }
    }
    1
}

fn split_comment(line: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, char) in line.char_indices() {
        match char {
            '"' => quoted = !quoted,
            '#' if !quoted => return (&line[..at], Some(&line[at + 1..])),
            _ => {}
        }
    }
    (line, None)
}

fn brackets(code: &str) -> isize {
    let count = |brackets: [char; 2]| code.matches(brackets).count().cast_signed();
    count(['[', '{']) - count([']', '}'])
}
