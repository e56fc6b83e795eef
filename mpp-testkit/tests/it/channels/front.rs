//! What stands before the node makes of a contract what a precompile is.

use alloy::{
    primitives::{B256, U256, hex, keccak256},
    rlp::{Encodable, Header},
    sol_types::SolCall,
};
use mpp_tempo::{Key, chain::transaction::Transaction};
use mpp_testkit::devnet::{CHANNEL_RESERVE as RESERVE, Options, SESSION_ESCROW};
use serde_json::json;

use super::{
    Stage, account, call, logged, number,
    reserve::{opened, terms},
};

const OPENED: &str = "0xdebaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a7";

#[tokio::test]
async fn every_trial_of_an_open_succeeds_without_an_approval_and_its_gas_is_enough() {
    let stage = Stage::new().await;
    let terms = terms(500);
    let calls = [call(RESERVE, &terms)];
    let payer = Key::new([0x32; 32]).unwrap();
    let text = payer.address().to_string();
    stage.chain.fund(mpp_testkit::devnet::PATH_USD, &text, 1_000_000).await.unwrap();
    let asked = stage.request(payer.address(), &calls).await;
    let payload = json!({ "blockStateCalls": [{ "calls": [asked] }] });
    for method in ["eth_simulateV1", "tempo_simulateV1"] {
        let ran = stage.ask(method, json!([payload, "latest"])).await.unwrap();
        let blocks = ran.get("blocks").unwrap_or(&ran);
        assert_eq!(blocks[0]["calls"][0]["status"], "0x1", "{method}: {ran}");
    }
    stage.ask("eth_call", json!([asked, "latest"])).await.unwrap();
    let estimate = number(&stage.ask("eth_estimateGas", json!([asked])).await.unwrap());
    let filled = stage.ask("eth_fillTransaction", json!([asked])).await.unwrap();
    assert_eq!(number(&filled["tx"]["gas"]), estimate);
    let plain =
        json!({ "from": text, "to": RESERVE.to_string(), "data": calls[0].data.to_string() });
    for method in ["eth_call", "eth_estimateGas"] {
        stage.ask(method, json!([plain])).await.unwrap();
    }
    let transaction = Transaction { gas_limit: estimate, ..stage.transaction(&calls).await };
    let signed = transaction.sign(&payer);
    // A trial between signing and sending takes nobody's place.
    stage.ask("eth_call", json!([asked, "latest"])).await.unwrap();
    let receipt = stage.send(&signed).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let used = number(&receipt["gasUsed"]);
    assert!(used <= estimate && estimate < used * 2, "{used} of {estimate}");
    assert_eq!(B256::from(logged(&receipt, RESERVE, OPENED)[0]), opened(&signed, &terms).id);
    // And none afterwards: the next open is another channel's.
    stage.ask("eth_call", json!([asked, "latest"])).await.unwrap();
}

#[tokio::test]
async fn one_that_is_sent_without_waiting_opens_the_channel_that_was_signed() {
    let stage = Stage::new().await;
    let terms = terms(500);
    let signed = stage.transaction(&[call(RESERVE, &terms)]).await.sign(&stage.payer);
    let raw = hex::encode_prefixed(signed.encode());
    stage.ask("eth_sendRawTransaction", json!([raw])).await.unwrap();
    let id = opened(&signed, &terms).id;
    for _ in 0..60 {
        if stage.chain.channel_state(id).await.unwrap().deposit == 500 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no channel");
}

#[tokio::test]
async fn an_ordinary_transaction_opens_a_channel_too() {
    let stage = Stage::new().await;
    let key = account(1);
    let nonce = json!([key.address().to_string(), "latest"]);
    let nonce = number(&stage.ask("eth_getTransactionCount", nonce).await.unwrap());
    let terms = terms(600);
    let mut fields = Vec::new();
    for number in [stage.chain.chain_id(), nonce, 1_000_000_000, 41_000_000_000, 3_000_000] {
        number.encode(&mut fields);
    }
    RESERVE.encode(&mut fields);
    U256::ZERO.encode(&mut fields);
    terms.abi_encode().as_slice().encode(&mut fields);
    fields.push(0xc0);
    let typed = |fields: &[u8]| {
        let mut bytes = vec![2];
        Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
        [bytes.as_slice(), fields].concat()
    };
    let unsigned = typed(&fields);
    let signature = key.sign(keccak256(&unsigned));
    signature.odd_y().encode(&mut fields);
    signature.r().encode(&mut fields);
    signature.s().encode(&mut fields);
    let raw = json!([hex::encode_prefixed(typed(&fields))]);
    let receipt = stage.ask("eth_sendRawTransactionSync", raw).await.unwrap();
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let words = logged(&receipt, RESERVE, OPENED);
    let context = keccak256([unsigned.as_slice(), key.address().as_slice()].concat());
    assert_eq!(B256::from(words[7]), context);
}

#[tokio::test]
async fn what_is_no_transaction_is_refused_in_the_nodes_words() {
    let stage = Stage::new().await;
    for raw in [
        "0x",
        "0x02",
        "0x02c0",
        "0x02c1",
        "0x02f8ff",
        "0x02cc010203040506070809c0c0c0",
        "0x76c0",
        "zz",
    ] {
        assert!(stage.ask("eth_sendRawTransaction", json!([raw])).await.is_err(), "{raw}");
    }
}

#[tokio::test]
async fn a_filled_open_awaits_its_sponsor_where_none_signs_at_once() {
    for sponsor_fills in [true, false] {
        let options = Options { complete: true, sponsor_fills, ..Options::default() };
        let stage = Stage::started(options).await;
        let calls = [call(RESERVE, &terms(500))];
        let mut asked = stage.request(stage.payer.address(), &calls).await;
        asked["feePayer"] = json!(true);
        let filled = stage.ask("eth_fillTransaction", json!([asked])).await.unwrap();
        assert_eq!(filled["tx"]["feePayerSignature"].is_object(), sponsor_fills, "{filled}");
        assert!(number(&filled["tx"]["gas"]) > 250_000);
    }
}

#[tokio::test]
async fn the_contracts_are_still_there_after_a_reset() {
    let stage = Stage::new().await;
    let code = async |at: &str| stage.ask("eth_getCode", json!([at, "latest"])).await.unwrap();
    let places = [RESERVE, SESSION_ESCROW].map(|at| at.to_string());
    let snapshot = stage.chain.snapshot().await.unwrap();
    let before = [code(&places[0]).await, code(&places[1]).await];
    assert!(before.iter().all(|code| code.as_str().unwrap().len() > 1_000));
    stage.chain.revert(snapshot).await.unwrap();
    assert_eq!([code(&places[0]).await, code(&places[1]).await], before);
    stage.ask("anvil_reset", json!([])).await.unwrap();
    assert_eq!([code(&places[0]).await, code(&places[1]).await], before);
    // Until its first block, the node judges validity windows in the first second of 1970.
    stage.ask("evm_mine", json!([])).await.unwrap();
    // What was allowed before is allowed again when it is needed.
    let snapshot = stage.chain.snapshot().await.unwrap();
    stage.run(&stage.payer, &[call(RESERVE, &terms(5))]).await;
    stage.chain.revert(snapshot).await.unwrap();
    assert_eq!(stage.held(RESERVE).await, 0);
    stage.run(&stage.payer, &[call(RESERVE, &terms(5))]).await;
    assert_eq!(stage.held(RESERVE).await, 5);
}
