//! Each crate bare, with each feature alone, and with all: features only ever add.

use std::time::Instant;

use serde_json::json;
use toml::Table;

use crate::{
    console::Console,
    workspace::{Manifest, Workspace},
};

/// One crate under one choice of features.
#[derive(Debug, PartialEq, Eq)]
struct Choice<'w> {
    name: &'w str,
    features: Vec<&'w str>,
}

/// Checks every choice, and tells whether all compile.
pub(crate) fn command(workspace: &Workspace, console: Console) -> anyhow::Result<bool> {
    let mut checked = Vec::new();
    let mut failed = 0_usize;
    for member in &workspace.members {
        let target = target(workspace, member);
        for Choice { name, features } in choices(member) {
            let started = Instant::now();
            let features = features.join(",");
            let mut cargo = workspace.cargo();
            cargo.args(["check", "--quiet", "--locked", target, "--package", name]);
            cargo.args(["--no-default-features", "--features", &features]);
            let ok = console.run(&mut cargo)?;
            let seconds = started.elapsed().as_secs_f64();
            let (label, outcome) = (label(&features), if ok { "ok" } else { "FAILED" });
            console.say(format_args!("{name:<16} {label:<32} {seconds:>6.1} s  {outcome}"));
            checked
                .push(json!({ "crate": name, "features": features, "ok": ok, "seconds": seconds }));
            failed += usize::from(!ok);
        }
    }
    console.say(format_args!("features: {} checks, {failed} failed", checked.len()));
    console.object(&json!({ "ok": failed == 0, "checks": checked }));
    Ok(failed == 0)
}

/// Bare, each alone, all. A binary without features has one way to be built, which the lints see.
fn choices(member: &Manifest) -> Vec<Choice<'_>> {
    let name = member.name();
    let declared = member.get("features").into_iter().flat_map(Table::keys).map(String::as_str);
    let features = Vec::from_iter(declared.filter(|feature| *feature != "default"));
    if features.is_empty() && !name.starts_with("mpp-") {
        return Vec::new();
    }
    let mut choices = vec![Choice { name, features: Vec::new() }];
    choices.extend(features.iter().map(|feature| Choice { name, features: vec![*feature] }));
    if features.len() > 1 {
        choices.push(Choice { name, features });
    }
    choices
}

fn target(workspace: &Workspace, member: &Manifest) -> &'static str {
    let library = workspace.root.join(member.folder()).join("src/lib.rs");
    if library.is_file() { "--lib" } else { "--bins" }
}

fn label(features: &str) -> &str {
    if features.is_empty() { "(bare)" } else { features }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_checked_bare_with_each_feature_and_with_all() {
        let check = |text: &str, expected: &[&str]| {
            let manifest = Manifest::parse("x/Cargo.toml".to_owned(), text.to_owned()).unwrap();
            let found =
                Vec::from_iter(choices(&manifest).iter().map(|choice| choice.features.join(",")));
            assert_eq!(found, expected, "{text}");
        };
        check("[package]\nname = 'mpp-a'", &[""]);
        check("[package]\nname = 'xtask'", &[]);
        check("[package]\nname = 'mpp-a'\n[features]\none = []\ndefault = ['one']", &["", "one"]);
        check("[package]\nname = 'mpp-a'\n[features]\na = []\nb = ['a']", &["", "a", "b", "a,b"]);
    }
}
