//! Which crate may know which: the table of arrows, read against the manifests.

use toml::{Table, Value};

use super::{Violation, manifests};
use crate::workspace::Manifest;

const CORE: &str = "mpp-core";
const TEMPO: &str = "mpp-tempo";
const METHODS: [&str; 3] = [TEMPO, "mpp-stripe", "mpp-lightning"];
const ENGINES: [&str; 2] = ["mpp-client", "mpp-server"];
const MCP: &str = "mpp-mcp";
const TESTKIT: &str = "mpp-testkit";
const CLI: &str = "mpp-cli";

/// The forbidden arrows of one member.
pub(super) fn check(member: &Manifest, root: &Manifest) -> Vec<Violation> {
    let mut found = Vec::new();
    let me = member.name();
    let binary = me == CLI || me == "xtask" || member.path.starts_with("examples/");
    if !binary && !is_ours(me) {
        let what = format!("{me} has no place in the table of arrows: give it one in tidy");
        found.push(Violation::new(&member.path, 1, what));
    }
    for dependency in manifests::dependencies(member) {
        let name = package(dependency.name, dependency.value, root);
        let line = dependency.line;
        if !is_ours(name) && name != "xtask" {
            continue;
        }
        let dev = dependency.table == "dev-dependencies";
        let allowed = if binary { everything(me, name) } else { arrow(me, name, dev) };
        if !allowed {
            let kind = if dev { "dev-depend" } else { "depend" };
            let what = format!("{me} must not {kind} on {name}: {}", reason(me, name));
            found.push(Violation::new(&member.path, line, what));
        }
        let optional = dependency.value.get("optional").and_then(Value::as_bool);
        if me == MCP && ENGINES.contains(&name) && !dev && optional != Some(true) {
            let what = format!("{me} takes {name} only behind the feature of that half");
            found.push(Violation::new(&member.path, line, what));
        }
    }
    found
}

/// Whether a library may know another. Tests may meet what they test against, never the reverse.
fn arrow(me: &str, other: &str, dev: bool) -> bool {
    let (method, engine) = (METHODS.contains(&me), ENGINES.contains(&me));
    match other {
        CORE => me != CORE,
        "mpp-client" | "mpp-server" => me == MCP || me == TESTKIT || dev && (method || engine),
        TESTKIT => dev && me != TESTKIT,
        // Its local chain reads that chain's transactions, and signs as their sponsor.
        TEMPO => me == TESTKIT,
        _ => false,
    }
}

/// Whether a binary may know a crate: all of them, but what is published takes no test kit.
fn everything(me: &str, other: &str) -> bool {
    let library = other == CORE
        || other == MCP
        || METHODS.contains(&other)
        || ENGINES.contains(&other)
        || other == TESTKIT && me != CLI;
    library && me != other
}

fn reason(me: &str, other: &str) -> &'static str {
    let (method, engine) = (METHODS.contains(&me), ENGINES.contains(&me));
    match other {
        _ if me == CORE => "core knows nobody, so that everybody can know core",
        CLI | "xtask" => "nobody knows a binary",
        TESTKIT => "it is for tests",
        _ if method && METHODS.contains(&other) => "methods never know each other",
        _ if method => "a method knows core alone, so that any engine can carry it",
        _ if engine && METHODS.contains(&other) => "engines never know a method",
        _ if engine => "engines never know each other",
        _ => "the arrow is not in the table",
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("mpp-")
}

/// The package behind a dependency's key, which the root manifest may have renamed.
fn package<'m>(key: &'m str, value: &'m Value, root: &'m Manifest) -> &'m str {
    let here = value.get("package").and_then(Value::as_str);
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let shared = shared.and_then(Value::as_table).and_then(|all: &Table| all.get(key));
    let there = shared.and_then(|entry| entry.get("package")).and_then(Value::as_str);
    here.or(there).unwrap_or(key)
}
