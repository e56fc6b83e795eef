//! Tests of the JSON-RPC texts and of what errors tell about money.

use alloy::primitives::{address, b256};
use serde_json::{Value, json};

use super::{
    json::{self as wire, Malformed},
    *,
};
use crate::chain::PATH_USD;

const PAYER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

fn refused(code: i64, text: &str) -> RpcError {
    RpcError::Refused(NodeError::new(code, text))
}

fn mined() -> Value {
    json!({
        "transactionHash": format!("0x{}", "11".repeat(32)),
        "status": "0x1",
        "from": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        "blockHash": format!("0x{}", "22".repeat(32)),
        "blockNumber": "0x10",
        "gasUsed": "0x5208",
        "logs": [{ "address": "0x20c0000000000000000000000000000000000000", "topics": [], "data": "0x01" }],
    })
}

#[test]
fn only_errors_that_prove_it_say_that_nothing_was_taken() {
    let cause = || Cause::from("gone");
    let cases = [
        (RpcError::Unreachable(cause()), true),
        (RpcError::Unanswered(cause()), false),
        (RpcError::Status(429), true),
        (RpcError::Status(502), false),
        (RpcError::Malformed(Malformed::Id), false),
        (refused(-32003, "max fee per gas less than block base fee"), true),
        (refused(-32003, "already known"), false),
        (refused(-32003, "nonce manager error: expiring nonce replay"), false),
        (refused(-32602, "Failed to decode transaction"), true),
        (refused(-32601, "Method not found"), true),
        (refused(-32603, "Transaction confirmation timeout"), false),
        (refused(-32000, "already known"), false),
        (refused(4, "not mined in time"), false),
    ];
    for (error, took_nothing) in cases {
        assert_eq!(error.took_nothing(), took_nothing, "{error}");
    }
}

#[test]
fn the_nodes_words_are_not_shown() {
    let error = refused(-32003, "insufficient balance: have 5");
    assert_eq!(error.to_string(), "the node refused with code -32003");
    assert!(!format!("{error:?}").contains("have 5"));
    let RpcError::Refused(node) = error else { panic!("built above as a refusal") };
    assert_eq!((node.code(), node.private_text()), (-32003, "insufficient balance: have 5"));
}

#[test]
fn an_answer_must_be_to_our_request() {
    let read = |body: Value| wire::result(7, body.to_string().as_bytes());
    assert_eq!(read(json!({"id": 7, "result": "0x1"})).unwrap(), json!("0x1"));
    assert_eq!(read(json!({"id": 7, "result": null, "error": null})).unwrap(), Value::Null);
    for other in
        [json!({"id": 8, "result": 1}), json!({"id": "7", "result": 1}), json!({"result": 1})]
    {
        assert!(matches!(read(other), Err(RpcError::Malformed(Malformed::Id))));
    }
    let error = json!({"code": -32000, "message": "no"});
    for id in [json!(7), Value::Null] {
        let answer = read(json!({"id": id, "error": error}));
        assert!(matches!(answer, Err(RpcError::Refused(node)) if node.code() == -32000));
    }
    assert!(matches!(
        read(json!({"id": 8, "error": error})),
        Err(RpcError::Malformed(Malformed::Id))
    ));
    assert!(matches!(read(json!({"id": 7})), Err(RpcError::Malformed(Malformed::Response))));
    for body in ["", "[]", "<html>", "{\"id\":7,\"result\":"] {
        assert!(matches!(
            wire::result(7, body.as_bytes()),
            Err(RpcError::Malformed(Malformed::Response))
        ));
    }
}

#[test]
fn receipts_are_read_and_broken_ones_refused() {
    let receipt = wire::receipt(&mined()).unwrap().unwrap();
    assert!(receipt.success);
    assert_eq!((receipt.from, receipt.block_number), (PAYER, 16));
    assert_eq!(
        receipt.hash,
        b256!("1111111111111111111111111111111111111111111111111111111111111111")
    );
    assert_eq!(receipt.logs[0].address, PATH_USD);
    assert_eq!(wire::receipt(&Value::Null), Ok(None));
    let reverted = wire::receipt(&with(mined(), "status", json!("0x0"))).unwrap().unwrap();
    assert!(!reverted.success);
    let broken = [
        ("status", json!("0x2")),
        ("status", Value::Null),
        ("status", json!(1)),
        ("from", json!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")),
        ("from", json!("0xf39f")),
        ("transactionHash", json!("0x11")),
        ("blockNumber", json!("0x")),
        ("blockNumber", json!("0x10000000000000000")),
        ("blockHash", Value::Null),
        ("logs", json!({})),
        ("logs", json!(vec![Value::Null; 5000])),
    ];
    for (member, value) in broken {
        assert_eq!(
            wire::receipt(&with(mined(), member, value.clone())),
            Err(Malformed::Member(member)),
            "{value}"
        );
    }
    let topics =
        json!([{ "address": format!("{PATH_USD:?}"), "data": "0x", "topics": vec!["0x00"; 5] }]);
    assert_eq!(wire::receipt(&with(mined(), "logs", topics)), Err(Malformed::Member("topics")));
}

#[test]
fn blocks_and_bare_answers_are_read() {
    let block = json!({"number": "0x10", "timestamp": "0x6900", "baseFeePerGas": "0x7"});
    assert_eq!(wire::block(&block), Ok(Block { number: 16, timestamp: 0x6900, base_fee: Some(7) }));
    let old = wire::block(&with(block, "baseFeePerGas", Value::Null)).unwrap();
    assert_eq!(old.base_fee, None);
    assert_eq!(wire::number(&json!("0xa5bf")), Ok(42431u64));
    assert_eq!(wire::number::<u64>(&json!("-0x1")), Err(Malformed::Member("quantity")));
    assert_eq!(wire::number::<u64>(&json!("0x+1")), Err(Malformed::Member("quantity")));
    assert_eq!(wire::bytes(&json!("0x")), Ok(Bytes::new()));
    assert_eq!(wire::bytes(&json!("0x0")), Err(Malformed::Member("data")));
}

#[test]
fn one_call_is_tried_at_the_top_level_and_several_in_a_list() {
    let read = wire::trial(&Trial::read(PATH_USD, Bytes::from_static(&[1, 2])));
    let to = "0x20c0000000000000000000000000000000000000";
    assert_eq!(read, json!({"to": to, "data": "0x0102", "value": "0x0"}));
    let payment = Trial {
        from: Some(PAYER),
        fee_token: Some(PATH_USD),
        valid_before: Some(16),
        ..Trial::read(PATH_USD, Bytes::new())
    };
    let expected = json!({
        "from": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", "to": to, "data": "0x", "value": "0x0",
        "feeToken": to, "type": "0x76", "nonceKey": format!("0x{}", "f".repeat(64)), "nonce": "0x0",
        "validBefore": "0x10",
    });
    assert_eq!(wire::trial(&payment), expected);
    let calls = [payment.calls.as_slice(); 2].concat();
    let several = wire::trial(&Trial { calls, ..payment });
    assert_eq!(several["calls"].as_array().unwrap().len(), 2);
    assert!(several.get("to").is_none());
    let request = wire::request(3, "eth_chainId", json!([]));
    assert_eq!(request, json!({"jsonrpc": "2.0", "id": 3, "method": "eth_chainId", "params": []}));
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}
