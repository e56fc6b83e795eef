//! Sources: their sizes, their first sentences, where features may be, and what is unfinished.

use super::{
    Violation,
    code::{code, is_word},
};

/// Lines of a file that are not its tests.
const LINES: usize = 500;

/// The broken rules of one Rust source.
pub(super) fn check(path: &str, source: &str) -> Vec<Violation> {
    let code = code(source);
    let mut found = Vec::new();
    found.extend(opening(path, source));
    found.extend(size(path, &code));
    found.extend(name(path));
    found.extend(features(path, &code));
    found.extend(unfinished(path, &code));
    found
}

fn opening(path: &str, source: &str) -> Option<Violation> {
    let sentence = source.lines().next().and_then(|line| line.strip_prefix("//!"));
    let missing = sentence.is_none_or(|sentence| sentence.trim().is_empty());
    missing.then(|| {
        Violation::new(path, 1, "a file opens with one `//!` sentence that says what it is for")
    })
}

fn size(path: &str, code: &str) -> Option<Violation> {
    if is_test(path) {
        return None;
    }
    let lines = code.lines().count() - test_lines(code);
    (lines > LINES).then(|| {
        let what = format!(
            "{lines} lines outside tests, over {LINES}: it holds more than one concept, split it"
        );
        Violation::new(path, LINES, what)
    })
}

/// A name that says nothing collects what belongs elsewhere.
fn name(path: &str) -> Option<Violation> {
    const EMPTY: [&str; 9] =
        ["utils", "util", "helpers", "helper", "common", "types", "manager", "managers", "misc"];
    let mut names = path.split('/').map(|name| name.strip_suffix(".rs").unwrap_or(name));
    names.find(|name| EMPTY.contains(name)).map(|name| {
        let what = format!("`{name}` says nothing: name the file for the one concept in it");
        Violation::new(path, 1, what)
    })
}

/// Features add modules: `#[cfg(feature)]` stands on `mod` and `use` lines of module roots only.
fn features(path: &str, code: &str) -> Vec<Violation> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let root = ["lib.rs", "mod.rs"].contains(&file) || is_test(path) && file == "main.rs";
    let mut found = Vec::new();
    for (at, _) in code.match_indices("feature") {
        let (before, after) = code.split_at(at);
        let compared = after.strip_prefix("feature").map(str::trim_start);
        let gate = compared.is_some_and(|after| after.starts_with('=')) && is_condition(before);
        if !gate {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        if !root {
            let what = "`cfg(feature)` outside lib.rs and mod.rs: a feature adds modules, it does not change one";
            found.push(Violation::new(path, line, what));
        } else if !is_module_gate(before, after) {
            let what =
                "`cfg(feature)` is for `mod` and `use` lines only: move what it gates to a module";
            found.push(Violation::new(path, line, what));
        }
    }
    found
}

/// Whether what ends here is the inside of a `cfg(…)`, `cfg_attr(…)` or `cfg!(…)`.
fn is_condition(before: &str) -> bool {
    let inside = |char: char| is_word(char) || char.is_whitespace() || "(),=\"!".contains(char);
    let condition = before.len() - before.trim_end_matches(inside).len();
    let condition = before.get(before.len() - condition..).unwrap_or_default();
    !before.ends_with(is_word)
        && ["cfg(", "cfg_attr(", "cfg!("].iter().any(|cfg| condition.contains(cfg))
}

/// Whether the attribute around a `feature =` is a plain `#[cfg(…)]` on a `mod` or `use` item.
fn is_module_gate(before: &str, after: &str) -> bool {
    let Some(start) = before.rfind("#[") else { return false };
    let attribute = before.get(start..).unwrap_or_default();
    if !attribute.starts_with("#[cfg(") || attribute.contains([']', ';', '{']) {
        return false;
    }
    let mut item = after.split_once(']').map_or("", |(_, item)| item).trim_start();
    while item.starts_with("#[") {
        item = item.split_once(']').map_or("", |(_, item)| item).trim_start();
    }
    if let Some(public) = item.strip_prefix("pub") {
        let public = public.trim_start();
        let limited = public.strip_prefix('(').and_then(|limit| limit.split_once(')'));
        item = limited.map_or(public, |(_, item)| item).trim_start();
    }
    ["mod ", "use "].iter().any(|keyword| item.starts_with(keyword))
}

fn unfinished(path: &str, code: &str) -> Vec<Violation> {
    const FORBIDDEN: [(&str, &str); 4] = [
        ("todo!", "`todo!`: finish it, or leave it out"),
        ("unimplemented!", "`unimplemented!`: finish it, or leave it out"),
        ("dbg!", "`dbg!` prints what may be secret: remove it"),
        ("#[ignore]", "an ignored test says why: `#[ignore = \"…\"]`"),
    ];
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (word, what) in FORBIDDEN {
            let mut hits = line.match_indices(word);
            if hits.any(|(at, _)| !line[..at].ends_with(is_word)) {
                found.push(Violation::new(path, index + 1, what));
            }
        }
    }
    found
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|folder| folder == "tests")
}

/// Lines inside `#[cfg(test)] mod … { … }`.
fn test_lines(code: &str) -> usize {
    let mut lines = 0;
    let mut rest = code;
    while let Some((_, after)) = rest.split_once("#[cfg(test)]") {
        rest = after;
        if !after.trim_start().starts_with("mod ") {
            continue;
        }
        let block = block(after);
        lines += block.matches('\n').count();
        rest = after.get(block.len()..).unwrap_or_default();
    }
    lines
}

/// The text up to the end of the item's block; nothing for `mod tests;`.
fn block(item: &str) -> &str {
    let mut depth = 0_usize;
    for (at, char) in item.char_indices() {
        match char {
            ';' if depth == 0 => break,
            '{' => depth += 1,
            '}' if depth == 1 => return item.get(..=at).unwrap_or(item),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    ""
}
