//! The committed vectors pass, and nothing that is asked makes the adapter panic or fall out of step.

use std::path::Path;

use proptest::{collection, prelude::*};
use serde_json::{Map, Value, json};

use super::{adapter, framing, ops, vectors};

fn exchange(requests: &[u8]) -> Vec<Value> {
    let mut responses = Vec::new();
    adapter::serve(requests, &mut responses).unwrap();
    responses
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn ask(op: &str, input: &Value) -> String {
    json!({ "schema": 1, "op": op, "input": input }).to_string()
}

/// What each response was: `true` for a value, else the type of the error.
fn kinds(responses: &[Value]) -> Vec<String> {
    let kind = |response: &Value| match response.pointer("/error/type") {
        Some(kind) => kind.as_str().unwrap().to_owned(),
        None => response["ok"].to_string(),
    };
    responses.iter().map(kind).collect()
}

#[test]
fn every_committed_vector_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors");
    let groups = vectors::load(&folder).unwrap();
    assert!(groups.len() > 10, "{} groups", groups.len());
    for group in &groups {
        let differences = group.run();
        assert!(differences.is_empty(), "{}: {:#?}", group.name, differences);
    }
}

#[test]
fn every_operation_has_a_vector_that_passes_and_names_are_unique_within_a_group() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors");
    let groups = vectors::load(&folder).unwrap();
    for op in ops::names() {
        let shown = groups.iter().flat_map(|group| &group.cases).any(|case| case.op == op);
        assert!(shown, "{op} has no vector");
    }
    for group in &groups {
        let mut names = Vec::from_iter(group.cases.iter().map(|case| case.name.as_str()));
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{}", group.name);
    }
}

#[test]
fn a_vector_that_is_answered_otherwise_is_a_difference() {
    let case = |expected: Value| vectors::Case {
        name: String::new(),
        op: "base64url.decode".into(),
        input: json!({ "text": "YQ" }),
        expected,
    };
    let group = |expected| vectors::Group { name: String::new(), cases: vec![case(expected)] };
    let refused = |kind: &str| json!({ "ok": false, "error": { "type": kind } });
    assert!(group(json!({ "ok": true, "value": { "text": "a" } })).run().is_empty());
    for wrong in [
        json!({ "ok": true, "value": { "text": "b" } }),
        json!({ "ok": true, "value": { "text": "a", "more": 1 } }),
        json!({ "ok": true }),
        refused("encoding_error"),
    ] {
        assert_eq!(group(wrong.clone()).run().len(), 1, "{wrong}");
    }
    let mut other = group(refused("parse_error"));
    other.cases[0].input = json!({ "text": "!" });
    assert_eq!(other.run().len(), 1);
    other.cases[0].expected = refused("encoding_error");
    assert!(other.run().is_empty());
}

#[test]
fn a_request_over_many_lines_that_look_like_requests_is_one() {
    let lines = "{},\n".repeat(200_000);
    let good = ask("base64url.encode", &json!({ "text": "" }));
    let request = format!("{{\"schema\":1,\"op\":\"x\",\"input\":[\n{lines}{{}}\n]}}\n{good}");
    assert_eq!(kinds(&exchange(request.as_bytes())), ["unsupported_operation", "true"]);
}

#[test]
fn requests_may_stand_in_lines_beside_each_other_or_over_lines() {
    let encode = json!({ "text": "a" });
    let one = ask("base64url.encode", &encode);
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&one).unwrap());
    let stream = format!("{one}\n{one} {one}{one}\r\n\n{}\n\t{one}", pretty.unwrap());
    let responses = exchange(stream.as_bytes());
    assert_eq!(responses, vec![json!({ "ok": true, "value": { "text": "YQ" } }); 6]);
}

#[test]
fn what_is_no_request_is_refused_and_the_next_is_answered() {
    let good = ask("base64url.encode", &json!({ "text": "{\"[" }));
    for bad in [
        "not json",
        "{",
        "{\"schema\":1,\"op\":\"x\"",
        "{\"schema\":1,\"op\":\"unclosed",
        "{\"a\":[}",
        "{\"a\":1,}",
        "[]",
        "17",
        "\"text\"",
        "null",
        "}",
        "\u{feff}\u{0}",
        "{}",
        "{\"schema\":2,\"op\":\"base64url.encode\",\"input\":{}}",
        "{\"schema\":1,\"input\":{}}",
        "{\"schema\":1,\"op\":7,\"input\":{}}",
        "{\"schema\":1,\"op\":\"base64url.encode\"}",
        "{\"schema\":1,\"op\":\"a\",\"op\":\"b\",\"input\":{}}",
        "{\"schema\":1,\"op\":\"base64url.encode\",\"input\":{\"text\":\"\\ud800\"}}",
    ] {
        let responses = exchange(format!("{good}\n{bad}\n{good}\n").as_bytes());
        assert_eq!(kinds(&responses), ["true", "parse_error", "true"], "{bad}");
    }
}

#[test]
fn an_operation_nobody_knows_is_unsupported_whatever_it_is_asked() {
    for op in ["", "challenge", "challenge.parse ", "http.payment_request", "mcp.get_credential"] {
        let responses = exchange(ask(op, &Value::Null).as_bytes());
        assert_eq!(kinds(&responses), ["unsupported_operation"], "{op}");
    }
}

#[test]
fn an_oversized_request_is_refused_and_the_next_is_answered() {
    let large = ask("base64url.encode", &json!({ "text": "x".repeat(framing::LONGEST) }));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let good = ask("base64url.encode", &json!({ "text": "" }));
    let responses = exchange(format!("{large}\n{deep}\n{good}").as_bytes());
    assert_eq!(kinds(&responses), ["parse_error", "parse_error", "true"]);
}

/// Any JSON, its members often named as the operations name theirs.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "Payment [ -~]{0,60}".prop_map(Value::from),
        "(2026-01-0[0-9]T00:00:00Z|0x[0-9a-f]{0,64}|[a-z]{1,8}|[A-Za-z0-9_-]{0,60})"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 10, |inner| {
        let name = prop_oneof![
            4 => prop::sample::select(MEMBERS.to_vec()).prop_map(str::to_owned),
            1 => ".{0,8}",
        ];
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(name, inner, 0..12)
                .prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

const MEMBERS: &[&str] = &[
    "header",
    "headers",
    "text",
    "id",
    "realm",
    "method",
    "intent",
    "request",
    "expires",
    "now",
    "digest",
    "body",
    "description",
    "opaque",
    "meta",
    "challenge",
    "payload",
    "source",
    "secretKey",
    "credential",
    "receipt",
    "status",
    "offers",
    "entries",
    "q",
    "memo",
    "serverId",
    "challengeId",
    "serialized",
    "decimals",
    "bits",
    "kind",
    "error",
    "cacheControl",
    "timestamp",
    "reference",
];

proptest! {
    #[test]
    fn no_input_makes_an_operation_panic(input in value()) {
        for op in ops::names() {
            let _ = ops::answer(op, &input);
        }
    }

    #[test]
    fn no_bytes_make_the_adapter_panic(bytes in collection::vec(any::<u8>(), 0..200)) {
        exchange(&bytes);
    }

    #[test]
    fn a_request_after_any_line_without_brackets_is_answered(line in "[^\\[\\]{}\n]{0,40}") {
        let good = ask("base64url.encode", &json!({ "text": "" }));
        let responses = exchange(format!("{line}\n{good}\n").as_bytes());
        let kinds = kinds(&responses);
        prop_assert_eq!(kinds.last().map(String::as_str), Some("true"));
    }
}
