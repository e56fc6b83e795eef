//! Every rule refuses what it is for, lets pass what looks like it, and holds in this workspace.

use super::{Violation, arrows, check, code::code, manifests, sources, texts};
use crate::workspace::{Manifest, Workspace};

#[test]
fn this_workspace_is_tidy() {
    let workspace = Workspace::find().unwrap();
    let found = check(&workspace).unwrap();
    let listed = Vec::from_iter(found.iter().map(ToString::to_string));
    assert!(found.is_empty(), "{}", listed.join("\n"));
}

fn manifest(path: &str, text: &str) -> Manifest {
    Manifest::parse(path.to_owned(), text.to_owned()).unwrap()
}

fn lines(found: &[Violation]) -> Vec<usize> {
    Vec::from_iter(found.iter().map(|violation| violation.line))
}

#[test]
fn a_forbidden_arrow_is_named_with_its_line() {
    let root = manifest("Cargo.toml", "[workspace.dependencies]\nrail = { package = 'mpp-tempo' }");
    let check = |me: &str, table: &str, other: &str, allowed: bool| {
        let folder = if me == "pay" { "examples/pay" } else { me };
        let text = format!(
            "[package]\nname = '{me}'\n[{table}]\nserde.workspace = true\n{other} = {{ workspace = true }}"
        );
        let found = arrows::check(&manifest(&format!("{folder}/Cargo.toml"), &text), &root);
        assert_eq!(lines(&found), if allowed { vec![] } else { vec![5] }, "{me} {table} {other}");
    };
    let (normal, dev) = ("dependencies", "dev-dependencies");
    for (me, table, other, allowed) in [
        ("mpp-tempo", normal, "mpp-core", true),
        ("mpp-tempo", normal, "mpp-stripe", false),
        ("mpp-tempo", normal, "mpp-client", false),
        ("mpp-tempo", dev, "mpp-server", true),
        ("mpp-tempo", dev, "mpp-testkit", true),
        ("mpp-tempo", dev, "mpp-lightning", false),
        ("mpp-tempo", normal, "mpp-testkit", false),
        ("mpp-client", normal, "mpp-server", false),
        ("mpp-client", dev, "mpp-server", true),
        ("mpp-server", normal, "mpp-tempo", false),
        ("mpp-server", dev, "mpp-tempo", false),
        ("mpp-server", "build-dependencies", "rail", false),
        ("mpp-server", "target.'cfg(unix)'.dependencies", "rail", false),
        ("mpp-core", normal, "mpp-client", false),
        ("mpp-core", dev, "mpp-testkit", true),
        ("mpp-core", dev, "mpp-tempo", false),
        ("mpp-testkit", normal, "mpp-server", true),
        ("mpp-testkit", normal, "mpp-tempo", true),
        ("mpp-testkit", normal, "mpp-lightning", false),
        ("mpp-mcp", normal, "mpp-client", false),
        ("mpp-mcp", normal, "mpp-core", true),
        ("mpp-mcp", normal, "mpp-tempo", false),
        ("mpp-cli", normal, "mpp-mcp", true),
        ("mpp-cli", normal, "mpp-testkit", false),
        ("pay", normal, "mpp-testkit", true),
        ("pay", normal, "mpp-cli", false),
        ("xtask", normal, "mpp-lightning", true),
        ("mpp-tempo", dev, "xtask", false),
    ] {
        check(me, table, other, allowed);
    }
    let half = "[package]\nname = 'mpp-mcp'\n[dependencies]\nmpp-client = { workspace = true, optional = true }";
    assert!(arrows::check(&manifest("mpp-mcp/Cargo.toml", half), &root).is_empty());
    let stranger = manifest("mpp/Cargo.toml", "[package]\nname = 'mpp'");
    assert_eq!(lines(&arrows::check(&stranger, &root)), [1]);
}

#[test]
fn a_member_takes_versions_from_the_root() {
    let check = |text: &str, expected: &[usize]| {
        assert_eq!(
            lines(&manifests::inherited(&manifest("x/Cargo.toml", text))),
            expected,
            "{text}"
        );
    };
    check("[dependencies]\na.workspace = true\nb = { workspace = true, optional = true }", &[]);
    check("[dependencies]\nab.workspace = true\na = '1'", &[3]);
    check("[dev-dependencies]\na = { path = '../a' }", &[2]);
    check("[dependencies.a]\nversion = '1'", &[1]);
    check("[target.'cfg(unix)'.dependencies]\na = '1'", &[2]);
}

#[test]
fn a_shared_dependency_has_its_reason_beside_it() {
    let check = |entries: &str, expected: &[usize]| {
        let text = format!("[workspace]\nmembers = []\n[workspace.dependencies]\n{entries}");
        assert_eq!(
            lines(&manifests::reasons(&manifest("Cargo.toml", &text))),
            expected,
            "{entries}"
        );
    };
    check("a = '1' # parses", &[]);
    check("mpp-a = { path = 'a' }\n\n# a group\na = '1' # parses", &[]);
    check("a = '1'", &[4]);
    check("a = '1' #", &[4]);
    check("a = { version = \"1#2\" }\nb = '1' # x", &[4]);
    check("a = { version = '1', features = [\n  'x',\n] } # parses\nb = '1'", &[7]);
    check("a = { version = '1', features = [ # parses\n  'x',\n] }", &[]);
    check("a = '1' # x\n[workspace.lints.rust]\nunsafe_code = 'forbid'", &[]);
    check("[workspace.dependencies.a]\nversion = '1'", &[4]);
}

#[test]
fn comments_and_strings_are_not_code() {
    let check = |source: &str, expected: &str| assert_eq!(code(source), expected, "{source}");
    check("a // b", "a     ");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("x\"y") g"#, r#"f("      g"#.replace("      g", "     ) g").as_str());
    check("r#\"a\"b\"# c", "r#\"      c");
    check("'\"' x", "'   x");
    check("&'a str", "&'a str");
    check("'\\'' x", "'    x");
    check("a\"\n\"b", "a\"\n b");
    check("number\"x\"", "number\"  ");
    check("/* open", "       ");
    check("\"open", "\"    ");
}

const OPENING: &str = "//! What it is for.\n";

/// The lines that are refused in a source that opens well.
#[track_caller]
fn refused(path: &str, rest: &str, expected: &[usize]) {
    let found = sources::check(path, &format!("{OPENING}{rest}"));
    assert_eq!(lines(&found), expected, "{path}: {rest}\n{found:?}");
}

#[test]
fn a_file_opens_with_its_sentence() {
    let check = |source: &str, expected: &[usize]| {
        assert_eq!(lines(&sources::check("a.rs", source)), expected, "{source}");
    };
    check(OPENING, &[]);
    check("", &[1]);
    check("//!\n//! late", &[1]);
    check("// a comment\n", &[1]);
    check("use std::fmt;\n//! late", &[1]);
}

#[test]
fn a_long_file_is_refused_unless_its_length_is_tests() {
    let code = |lines: usize| "fn f() {}\n".repeat(lines);
    refused("src/a.rs", &code(499), &[]);
    refused("src/a.rs", &code(500), &[500]);
    refused("src/a/tests.rs", &code(900), &[]);
    refused("tests/it/main.rs", &code(900), &[]);
    let tests = |lines: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(lines));
    refused("src/a.rs", &(code(400) + &tests(400)), &[]);
    refused("src/a.rs", &(code(500) + &tests(10)), &[500]);
    refused("src/a.rs", &(format!("#[cfg(test)]\nmod tests;\n{}", code(500))), &[500]);
}

#[test]
fn features_gate_modules_and_nothing_else() {
    let gate = |on: &str, item: &str| format!("#[cfg({on})]\n{item}\n");
    let feature = "feature = \"x\"";
    for item in ["mod a;", "pub mod a;", "use a::B;", "pub use a::B;", "pub(crate) mod a;"] {
        refused("src/lib.rs", &gate(feature, item), &[]);
        refused("src/a/mod.rs", &gate(feature, item), &[]);
        refused("tests/it/main.rs", &gate(feature, item), &[]);
        refused("src/a.rs", &gate(feature, item), &[2]);
    }
    refused("src/lib.rs", &gate(feature, "#[doc(inline)]\n/// Doc.\npub use a::B;"), &[]);
    refused("src/lib.rs", &gate("any(feature = \"x\", feature = \"y\")", "mod a;"), &[]);
    refused("src/lib.rs", &gate(feature, "fn f() {}"), &[2]);
    refused("src/lib.rs", &gate(feature, "pub struct S;"), &[2]);
    refused("src/lib.rs", "#![cfg(feature = \"x\")]\nmod a;", &[2]);
    refused("src/lib.rs", "#[cfg_attr(feature = \"x\", derive(A))]\nmod a;", &[2]);
    refused("src/lib.rs", "fn f() { if cfg!(feature = \"x\") {} }", &[2]);
    refused("src/a.rs", "// cfg(feature = \"x\")\nlet feature_x = 1; let s = \"feature = \";", &[]);
    refused("src/a.rs", "fn f() { let feature = \"x\"; info!(feature = \"y\"); }", &[]);
}

#[test]
fn unfinished_work_and_silent_ignores_are_refused() {
    for word in ["todo", "unimplemented", "dbg"] {
        refused("src/a.rs", &format!("fn f() {{ {word}!(1) }}"), &[2]);
        refused("src/a.rs", &format!("fn f() {{ my_{word}!(1) }} // {word}!(1)"), &[]);
    }
    refused("src/a.rs", "#[test]\n#[ignore]\nfn t() {}", &[3]);
    refused("src/a.rs", "#[test]\n#[ignore = \"needs a node\"]\nfn t() {}", &[]);
}

#[test]
fn a_name_that_says_nothing_is_refused() {
    for path in ["src/utils.rs", "src/helpers/a.rs", "src/common/mod.rs", "src/types.rs"] {
        refused(path, "", &[1]);
    }
    refused("src/manager.rs", "", &[1]);
    refused("src/typestate.rs", "", &[]);
}

#[test]
fn a_path_of_one_machine_is_refused() {
    let check = |text: &str, expected: &[usize]| {
        assert_eq!(lines(&texts::check("README.md", text)), expected, "{text}");
    };
    check(concat!("ok\nrun /wo", "rk/main"), &[2]);
    check(concat!("`/ho", "me/me/x`"), &[1]);
    check(concat!("/tmp", "/t-x"), &[1]);
    check(concat!("see ..", "/../", "shared/a"), &[1]);
    check(concat!("https://example.com/wo", "rk/a and ${X}/ho", "me/b and /tmp/x"), &[]);
}
