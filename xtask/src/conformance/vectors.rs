//! The vectors of this project: data files, each a group of cases in the shapes of the adapter ABI.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

use super::{adapter, ops};

/// What a repeated text may grow to, in bytes: beyond every limit that a vector wants to cross.
const LONGEST_TEXT: usize = 1024 * 1024;

/// One file of vectors.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

/// One question and its answer.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) input: Value,
    pub(super) expected: Value,
}

/// A case that was answered otherwise than expected.
#[derive(Debug)]
pub(super) struct Difference<'a> {
    pub(super) case: &'a Case,
    pub(super) found: Value,
}

impl Difference<'_> {
    pub(super) fn to_json(&self) -> Value {
        let Self { case, found } = self;
        json!({ "name": case.name, "op": case.op, "expected": case.expected, "found": found })
    }
}

impl Group {
    /// Runs the cases, and returns those that fail.
    pub(super) fn run(&self) -> Vec<Difference<'_>> {
        let answer = |case| Difference { case, found: case.answer() };
        self.cases.iter().map(answer).filter(|it| !same(&it.case.expected, &it.found)).collect()
    }
}

impl Case {
    fn answer(&self) -> Value {
        adapter::response(&ops::answer(&self.op, &self.input))
    }
}

/// Reads every file of a folder, in the order of their names.
pub(super) fn load(folder: &Path) -> anyhow::Result<Vec<Group>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path).with_context(|| path.display().to_string())).collect()
}

fn read(path: &Path) -> anyhow::Result<Group> {
    let file: Value = serde_json::from_slice(&fs::read(path)?)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let cases = file.get("cases").and_then(Value::as_array).context("no cases")?;
    ensure!(!cases.is_empty(), "no cases");
    Ok(Group { name, cases: cases.iter().map(case).collect::<anyhow::Result<_>>()? })
}

fn case(data: &Value) -> anyhow::Result<Case> {
    let text = |name: &str| {
        let text = data.get(name).and_then(Value::as_str).with_context(|| format!("no {name}"));
        text.map(ToOwned::to_owned)
    };
    let name = text("name")?;
    let read = || {
        let input = expanded(data.get("input").context("no input")?)?;
        let expected = data.get("expected").context("no expectation")?.clone();
        ensure!(expected.get("ok").is_some_and(Value::is_boolean), "the expectation has no `ok`");
        Ok(Case { name: name.clone(), op: text("op")?, input, expected })
    };
    read().with_context(|| format!("case {name}"))
}

/// Errors are compared by type: their wording is nobody's contract.
fn same(expected: &Value, found: &Value) -> bool {
    let kind = |answer: &Value| answer.pointer("/error/type").cloned();
    match expected.get("ok") {
        Some(Value::Bool(true)) => expected == found,
        _ => found.get("ok") == Some(&Value::Bool(false)) && kind(expected) == kind(found),
    }
}

/// Writes out the texts that a case gives as `{"prefix", "repeat", "count", "suffix"}`.
fn expanded(input: &Value) -> anyhow::Result<Value> {
    Ok(match input {
        Value::Object(members) => match repeated(members)? {
            Some(text) => text.into(),
            None => {
                let pairs =
                    members.iter().map(|(name, value)| Ok((name.clone(), expanded(value)?)));
                Value::Object(pairs.collect::<anyhow::Result<_>>()?)
            }
        },
        Value::Array(values) => {
            Value::Array(values.iter().map(expanded).collect::<anyhow::Result<_>>()?)
        }
        plain => plain.clone(),
    })
}

fn repeated(members: &Map<String, Value>) -> anyhow::Result<Option<String>> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let count = members.get("count").and_then(Value::as_u64);
    let (Some(prefix), Some(repeat), Some(suffix), Some(count), 4) =
        (text("prefix"), text("repeat"), text("suffix"), count, members.len())
    else {
        return Ok(None);
    };
    let count = usize::try_from(count)?;
    let length = repeat.len().checked_mul(count);
    ensure!(length.is_some_and(|length| length <= LONGEST_TEXT), "a repeated text is too long");
    Ok(Some(format!("{prefix}{}{suffix}", repeat.repeat(count))))
}
