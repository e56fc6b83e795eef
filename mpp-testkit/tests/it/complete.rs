//! A complete chain does what a Tempo node does and the program behind it does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU64,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256, hex};
use mpp_tempo::{
    Key,
    chain::{
        PATH_USD as TOKEN,
        signature::Ecdsa,
        tip20::Transfer,
        transaction::{Call, EXPIRING, FeePayer, Transaction},
    },
};
use mpp_testkit::devnet::{
    ACCOUNTS, ALPHA_USD, Devnet, DevnetError, Options, PATH_USD, PAYER, RECIPIENT, SPLIT, SPONSOR,
    THETA_USD, TOKENS,
};
use serde_json::{Value, json};

/// Every call has a deadline: the node answers a dropped transaction after half a minute.
async fn ask(chain: &Devnet, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let answered = tokio::time::timeout(Duration::from_secs(3), chain.rpc(method, params)).await;
    match answered.unwrap_or_else(|_| panic!("{method} hangs")) {
        Err(DevnetError::Rpc { code, message, .. }) => Err((code, message)),
        other => Ok(other.unwrap()),
    }
}

/// Sends a body as it is, and reads a body of JSON.
async fn post(url: &str, body: impl Into<reqwest::Body>) -> Value {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build();
    let sent = http.unwrap().post(url).header("content-type", "application/json").body(body);
    sent.send().await.unwrap().json().await.unwrap()
}

fn key(account: usize) -> Key {
    ACCOUNTS[account].key.hex().parse().unwrap()
}

fn transfer(to: &str, amount: u128) -> Call {
    let to = to.parse().unwrap();
    Transfer { to, amount: U256::from(amount), memo: None }.call(TOKEN)
}

/// An account that nobody has heard of.
fn fresh(n: u8) -> Key {
    Key::new([n; 32]).unwrap()
}

/// What a wallet asks a node about calls with an expiring nonce.
async fn request(chain: &Devnet, from: Address, calls: &[Call]) -> Value {
    let calls: Vec<Value> = calls.iter().map(|call| json!({ "to": call.to.to_string(), "data": call.data.to_string(), "value": "0x0" })).collect();
    let until = until(chain).await.unwrap();
    json!({
        "type": "0x76", "from": from.to_string(), "calls": calls, "chainId": "0xa5bf",
        "nonceKey": format!("{EXPIRING:#x}"), "nonce": "0x0", "validBefore": format!("{until:#x}"),
    })
}

async fn until(chain: &Devnet) -> Option<NonZeroU64> {
    let block = ask(chain, "eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    NonZeroU64::new(number(&block["timestamp"]) + 25)
}

async fn transaction(chain: &Devnet, gas_limit: u64, calls: &[Call]) -> Transaction {
    Transaction {
        max_fee_per_gas: 41_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        gas_limit,
        calls: calls.to_vec(),
        valid_before: until(chain).await,
        fee_token: Some(TOKEN),
        ..Transaction::on(chain.chain_id())
    }
}

fn hexed(bytes: &[u8]) -> String {
    hex::encode_prefixed(bytes)
}

fn number(quantity: &Value) -> u64 {
    let digits = quantity.as_str().unwrap_or_else(|| panic!("{quantity}")).trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}

#[test]
fn every_development_key_is_its_accounts() {
    for account in ACCOUNTS {
        let key: Key = account.key.hex().parse().unwrap();
        assert_eq!(key.address().to_string(), account.address);
    }
}

#[tokio::test]
async fn a_transfer_that_reverts_among_calls_fails_every_trial() {
    let chain = Devnet::start_complete().await.unwrap();
    let broke = fresh(0x51).address();
    let nothing = || Transfer { to: broke, amount: U256::ZERO, memo: None }.call(TOKEN);
    for calls in [
        vec![transfer(RECIPIENT.address, 1)],
        vec![nothing(), transfer(RECIPIENT.address, 1), nothing()],
    ] {
        let asked = request(&chain, broke, &calls).await;
        for method in ["eth_call", "eth_estimateGas", "eth_fillTransaction"] {
            let (code, message) = ask(&chain, method, json!([asked])).await.unwrap_err();
            assert_eq!(code, 3, "{method}: {message}");
            assert!(message.contains("0x832f98b5"), "{method}: {message}");
        }
        let payload = json!({ "blockStateCalls": [{ "calls": [asked] }] });
        let simulated = ask(&chain, "tempo_simulateV1", json!([payload, "latest"])).await.unwrap();
        let call = &simulated["blocks"][0]["calls"][0];
        assert_eq!(call["status"], "0x0");
        assert!(call["returnData"].as_str().unwrap().starts_with("0x832f98b5"), "{call}");
        assert_eq!(call["logs"], json!([]));
    }
    // The same by one who has the money.
    let rich = key(1).address();
    let asked =
        request(&chain, rich, &[transfer(RECIPIENT.address, 1), transfer(SPLIT.address, 1)]).await;
    let output = ask(&chain, "eth_call", json!([asked, "latest"])).await.unwrap();
    assert_eq!(output, json!(format!("0x{:064x}", 1)));
    let payload = json!({ "blockStateCalls": [{ "calls": [asked] }] });
    let simulated = ask(&chain, "tempo_simulateV1", json!([payload, "latest"])).await.unwrap();
    let call = &simulated["blocks"][0]["calls"][0];
    assert_eq!((&call["status"], call["logs"].as_array().unwrap().len()), (&json!("0x1"), 2));
    assert_eq!(simulated["tokenMetadata"][PATH_USD]["symbol"], "PathUSD");
}

#[tokio::test]
async fn gas_follows_the_calls_and_what_is_signed_with_an_estimate_is_mined() {
    let chain = Devnet::start_complete().await.unwrap();
    let poor = fresh(0x61);
    chain.fund(PATH_USD, &poor.address().to_string(), 1_000_000).await.unwrap();
    let shares =
        |first: u8| [0, 1, 2].map(|n| transfer(&fresh(first + n).address().to_string(), 5));
    let known = [transfer(RECIPIENT.address, 5)];
    let three_known = [
        transfer(RECIPIENT.address, 5),
        transfer(SPLIT.address, 5),
        transfer(RECIPIENT.address, 7),
    ];
    let cases: [(Key, &[Call]); 5] = [
        (key(1), &known),
        (key(1), &shares(0x71)),
        (key(1), &three_known),
        (poor, &three_known),
        (fresh(0x61), &shares(0x81)),
    ];
    let mut estimates = Vec::new();
    for (key, calls) in cases {
        let asked = request(&chain, key.address(), calls).await;
        let estimate = number(&ask(&chain, "eth_estimateGas", json!([asked])).await.unwrap());
        let filled = ask(&chain, "eth_fillTransaction", json!([asked])).await.unwrap();
        assert_eq!(number(&filled["tx"]["gas"]), estimate);
        assert_eq!(filled["tx"]["validBefore"], asked["validBefore"]);
        assert_eq!(filled["tx"]["calls"].as_array().unwrap().len(), calls.len());

        let signed = transaction(&chain, estimate, calls).await.sign(&key);
        let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([hexed(&signed.encode())]))
            .await
            .unwrap();
        assert_eq!(receipt["status"], "0x1");
        let used = number(&receipt["gasUsed"]);
        assert!(used <= estimate && estimate < used * 4, "{used} of {estimate}");
        estimates.push(estimate);
    }
    assert!(estimates[1] > estimates[0] + 3 * 230_000, "{estimates:?}");
    assert!(estimates[2] > estimates[0] && estimates[2] < estimates[1], "{estimates:?}");
}

#[tokio::test]
async fn what_awaits_a_sponsor_is_signed_mined_and_paid_for_by_it() {
    let chain = Devnet::start_complete().await.unwrap();
    // Exactly the price, and nothing for fees.
    let payer = fresh(0x52);
    chain.fund(PATH_USD, &payer.address().to_string(), 200).await.unwrap();
    for (enveloped, amount) in [(true, 120), (false, 80)] {
        let calls = [transfer(RECIPIENT.address, amount)];
        let unsigned = transaction(&chain, 400_000, &calls).await;
        let awaited =
            Transaction { fee_token: None, fee_payer: FeePayer::Awaited, ..unsigned }.sign(&payer);
        let raw = if enveloped { awaited.envelope().unwrap() } else { awaited.encode() };
        let raw = ask(&chain, "eth_signRawTransaction", json!([hexed(&raw)])).await.unwrap();
        let raw = raw.as_str().unwrap();
        assert_eq!(&raw[..4], "0x76");
        let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([raw])).await.unwrap();
        assert_eq!(receipt["status"], "0x1");
        let hash = &receipt["transactionHash"];
        let later = ask(&chain, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
        let block =
            ask(&chain, "eth_getBlockReceipts", json!([receipt["blockNumber"]])).await.unwrap();
        for receipt in [&receipt, &later, &block[0]] {
            assert_eq!(
                receipt["feePayer"],
                json!(SPONSOR.address.to_ascii_lowercase()),
                "{receipt}"
            );
        }
        // Signed already, there is nothing left to sign.
        let (code, _) = ask(&chain, "eth_signRawTransaction", json!([raw])).await.unwrap_err();
        assert_eq!(code, -32602);
    }
    assert_eq!(chain.balance_of(PATH_USD, &payer.address().to_string()).await.unwrap(), 0);
    // A payment that fails is paid for all the same.
    let unsigned = transaction(&chain, 400_000, &[transfer(RECIPIENT.address, 100)]).await;
    let unsigned = Transaction { fee_token: None, fee_payer: FeePayer::Awaited, ..unsigned };
    let failing = unsigned.sign(&payer).sponsored(TOKEN, &key(3)).unwrap();
    let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([hexed(&failing.encode())]));
    let receipt = receipt.await.unwrap();
    assert_eq!(receipt["status"], "0x0");
    assert_eq!(receipt["feePayer"], json!(SPONSOR.address.to_ascii_lowercase()));
    let own = transaction(&chain, 400_000, &[transfer(RECIPIENT.address, 1)]).await.sign(&key(1));
    let receipt =
        ask(&chain, "eth_sendRawTransactionSync", json!([hexed(&own.encode())])).await.unwrap();
    assert_eq!(receipt["feePayer"], json!(PAYER.address.to_ascii_lowercase()));
    let none =
        ask(&chain, "eth_getTransactionReceipt", json!([format!("0x{}", "0".repeat(64))])).await;
    assert_eq!(none, Ok(Value::Null));
}

#[tokio::test]
async fn a_sponsor_signs_while_a_transaction_is_filled() {
    let chain = Devnet::start_complete().await.unwrap();
    let payer = fresh(0x53);
    chain.fund(PATH_USD, &payer.address().to_string(), 100).await.unwrap();
    let calls = [transfer(RECIPIENT.address, 60), transfer(SPLIT.address, 40)];
    let mut asked = request(&chain, payer.address(), &calls).await;
    asked["feePayer"] = json!(true);
    let filled = ask(&chain, "eth_fillTransaction", json!([asked])).await.unwrap();
    let tx = &filled["tx"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let signature = &tx["feePayerSignature"];
    let word = |name: &str| text(&signature[name]).parse::<U256>().unwrap();
    let sponsor = Ecdsa::new(word("r"), word("s"), signature["yParity"] == "0x1").unwrap();
    let signed = Transaction {
        max_fee_per_gas: number(&tx["maxFeePerGas"]).into(),
        max_priority_fee_per_gas: number(&tx["maxPriorityFeePerGas"]).into(),
        gas_limit: number(&tx["gas"]),
        calls: calls.to_vec(),
        valid_before: NonZeroU64::new(number(&asked["validBefore"])),
        fee_token: Some(text(&tx["feeToken"]).parse().unwrap()),
        fee_payer: FeePayer::Sponsor(sponsor),
        ..Transaction::on(chain.chain_id())
    };
    assert_eq!(filled["raw"], json!(hexed(&signed.signing_bytes())));
    let signed = signed.sign(&payer);
    assert_eq!(
        signed.sponsor().unwrap().map(|who| who.to_string()).as_deref(),
        Some(SPONSOR.address)
    );
    let receipt =
        ask(&chain, "eth_sendRawTransactionSync", json!([hexed(&signed.encode())])).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(chain.balance_of(PATH_USD, &payer.address().to_string()).await.unwrap(), 0);

    asked["keyAuthorization"] = json!({ "chainId": "0x0" });
    asked["gas"] = json!("0x100000");
    assert!(ask(&chain, "eth_fillTransaction", json!([asked])).await.is_err());
}

#[tokio::test]
async fn the_faucet_gives_every_token_to_everybody_at_once() {
    let chain = Devnet::start_complete().await.unwrap();
    let [one, two, three] = [0x54, 0x55, 0x56].map(|n| fresh(n).address().to_string());
    let gift = async |to: &str| ask(&chain, "tempo_fundAddress", json!([to])).await;
    let (first, second, third) = tokio::join!(gift(&one), gift(&two), gift(&three));
    for hashes in [first, second, third] {
        assert_eq!(hashes.unwrap().as_array().unwrap().len(), TOKENS.len());
    }
    for (name, token) in TOKENS {
        for account in [&one, &two, &three] {
            assert_eq!(
                chain.balance_of(token, account).await.unwrap(),
                1_000_000_000_000,
                "{name}"
            );
        }
    }
    // The node looks for native money before it takes an ordinary transaction.
    assert_ne!(ask(&chain, "eth_getBalance", json!([one, "latest"])).await, Ok(json!("0x0")));
    for wrong in [json!([]), json!(["0x12"]), json!([7])] {
        assert_eq!(ask(&chain, "tempo_fundAddress", wrong).await.unwrap_err().0, -32602);
    }
}

#[tokio::test]
async fn a_sender_says_how_long_it_waits() {
    let chain = Devnet::start_complete().await.unwrap();
    let calls = [transfer(RECIPIENT.address, 5)];
    let signed = transaction(&chain, 400_000, &calls).await.sign(&key(1));
    let raw = hexed(&signed.encode());
    let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([raw, 2000])).await.unwrap();
    assert_eq!(receipt["transactionHash"], json!(signed.hash().to_string()));
    let wrong = ask(&chain, "eth_sendRawTransactionSync", json!([raw, "soon"])).await.unwrap_err();
    assert_eq!(wrong.0, -32602);

    // Too little gas: the node takes it, and drops it without a word.
    let starved = transaction(&chain, 30_000, &calls).await.sign(&key(1));
    let raw = hexed(&starved.encode());
    let request = json!({ "jsonrpc": "2.0", "id": 9, "method": "eth_sendRawTransactionSync", "params": [raw, 200] });
    let answer = post(chain.rpc_url(), request.to_string()).await;
    assert_eq!(answer["error"]["code"], 4, "{answer}");
    assert_eq!(answer["error"]["data"], json!(starved.hash().to_string()));

    let plain = transaction(&chain, 400_000, &calls).await.sign(&key(1));
    let hash = ask(&chain, "eth_sendRawTransaction", json!([hexed(&plain.encode())])).await;
    assert_eq!(hash, Ok(json!(plain.hash().to_string())));
}

#[tokio::test]
async fn a_simulated_tempo_transaction_does_not_kill_the_node() {
    let chain = Devnet::start_complete().await.unwrap();
    let payer = fresh(0x57);
    chain.fund(PATH_USD, &payer.address().to_string(), 100).await.unwrap();
    let to = |amount| json!({ "to": PATH_USD, "data": transfer(RECIPIENT.address, amount).data.to_string() });
    let from = payer.address().to_string();
    let top = |kind: Value, amount| {
        let mut call = to(amount);
        call["from"] = json!(from);
        call["type"] = kind;
        call
    };
    // Listed calls come first: the second transaction would succeed if half of the first had been kept out, or if its
    // own calls ran in another order.
    let half_done = json!({ "from": from, "type": "0x76", "calls": [to(80), to(30)] });
    let whole = json!({ "from": from, "calls": [to(60)], "to": PATH_USD, "data": to(40)["data"] });
    let empty = top(json!("0x76"), 1);
    let payload = json!({ "blockStateCalls": [{ "calls": [half_done, whole, empty] }, { "calls": [top(json!("0x0"), 0)] }] });
    let blocks = ask(&chain, "eth_simulateV1", json!([payload, "latest"])).await.unwrap();
    let status = |block: usize, call: usize| blocks[block]["calls"][call]["status"].clone();
    assert_eq!(
        [status(0, 0), status(0, 1), status(0, 2), status(1, 0)],
        ["0x0", "0x1", "0x0", "0x1"]
    );
    assert_eq!(blocks[0]["calls"].as_array().unwrap().len(), 3);
    for kind in [json!("0x76"), json!("0x076"), json!(118), json!("0X76")] {
        let payload = json!({ "blockStateCalls": [{ "calls": [top(kind.clone(), 1)] }] });
        let blocks = ask(&chain, "eth_simulateV1", json!([payload])).await;
        assert_eq!(blocks.unwrap()[0]["calls"][0]["status"], "0x1", "{kind}");
    }
    let plain = json!({ "blockStateCalls": [{ "calls": [{ "from": from, "to": PATH_USD }] }] });
    assert!(ask(&chain, "eth_simulateV1", json!([plain])).await.is_ok());
    for wrong in [json!([]), json!([{ "blockStateCalls": [{ "calls": [{ "type": "0x76" }] }] }])] {
        assert_eq!(ask(&chain, "eth_simulateV1", wrong).await.unwrap_err().0, -32602);
    }
    assert_eq!(ask(&chain, "eth_chainId", json!([])).await, Ok(json!("0xa5bf")));
}

#[tokio::test]
async fn what_the_node_would_die_of_or_sign_without_its_calls_is_kept_from_it() {
    let chain = Devnet::start_complete().await.unwrap();
    let calls = [transfer(RECIPIENT.address, 5)];
    let mined = transaction(&chain, 400_000, &calls).await.sign(&key(1));
    let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([hexed(&mined.encode())]));
    let receipt = receipt.await.unwrap();
    let (hash, block) = (&receipt["transactionHash"], &receipt["blockNumber"]);
    for (method, params) in [
        ("eth_getRawTransactionByHash", json!([hash])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([receipt["blockHash"], "0x0"])),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!([block, "0x0"])),
        ("debug_getRawTransaction", json!([hash])),
    ] {
        assert_eq!(ask(&chain, method, params).await.unwrap_err().0, -32601, "{method}");
    }
    let asked = request(&chain, key(1).address(), &calls).await;
    for method in ["eth_sendTransaction", "eth_sendTransactionSync", "eth_signTransaction"] {
        assert_eq!(ask(&chain, method, json!([asked])).await.unwrap_err().0, -32602, "{method}");
    }
    assert_eq!(ask(&chain, "eth_chainId", json!([])).await, Ok(json!("0xa5bf")));
}

#[tokio::test]
async fn batches_are_answered_in_order_and_pages_of_every_origin_may_ask() {
    let chain = Devnet::start_complete().await.unwrap();
    let gift = fresh(0x58).address().to_string();
    let balance =
        json!([{ "to": THETA_USD, "data": format!("0x70a08231{:0>64}", &gift[2..]) }, "latest"]);
    let batch = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "tempo_fundAddress", "params": [gift] },
        { "jsonrpc": "2.0", "id": 2, "method": "eth_call", "params": balance },
        { "jsonrpc": "2.0", "id": null, "method": "tempo_nothing" },
        7,
    ]);
    let answers = post(&format!("{}/any/path", chain.rpc_url()), batch.to_string()).await;
    assert_eq!(answers.as_array().unwrap().len(), 4);
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!("a"), &json!(2)));
    assert_eq!(answers[1]["result"], json!(format!("0x{:064x}", 1_000_000_000_000_u64)));
    assert_eq!(answers[2]["error"]["code"], -32601);
    assert_eq!(answers[3]["error"]["code"], -32600);
    for broken in ["", "x", "[]", "{}", "[[]]"] {
        let answer = post(chain.rpc_url(), broken).await;
        let error = answer.get("error").or(answer.pointer("/0/error"));
        assert!(error.is_some(), "{broken}: {answer}");
    }

    let http =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().unwrap();
    let allowed = http.request(reqwest::Method::OPTIONS, chain.rpc_url()).send().await.unwrap();
    assert!(allowed.status().is_success());
    let chain_id = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" }).to_string();
    let answer = http.post(chain.rpc_url()).body(chain_id).send().await.unwrap();
    for headers in [allowed.headers(), answer.headers()] {
        assert_eq!(headers["access-control-allow-origin"], "*");
    }
    assert!(allowed.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn the_front_ends_with_its_chain_and_closes_what_is_open() {
    let (one, two) =
        (Devnet::start_complete().await.unwrap(), Devnet::start_complete().await.unwrap());
    let addresses = [&one, &two].map(|chain| chain.rpc_url().replace("http://", ""));
    assert_ne!(one.rpc_url(), one.node_url());
    let mut open = addresses.clone().map(|address| TcpStream::connect(address).unwrap());
    // Each connection serves one request after the other.
    for connection in &mut open {
        connection.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        for _ in 0..2 {
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
            write!(
                connection,
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            let mut answer = [0; 1024];
            let read = connection.read(&mut answer).unwrap();
            assert!(String::from_utf8_lossy(&answer[..read]).contains("0xa5bf"));
        }
    }
    one.stop().await;
    drop(two);
    for (mut connection, address) in open.into_iter().zip(addresses) {
        assert!(TcpStream::connect(&address).is_err(), "{address} still answers");
        assert!(matches!(connection.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
}

#[tokio::test]
async fn a_slow_or_dead_node_is_an_error_and_not_a_silence() {
    let patience = Duration::from_millis(400);
    let options = Options { complete: true, patience, ..Options::default() };
    let chain = Devnet::start_with(options).await.unwrap();
    let starved =
        transaction(&chain, 30_000, &[transfer(RECIPIENT.address, 5)]).await.sign(&key(1));
    let raw = hexed(&starved.encode());
    let (code, _) = ask(&chain, "eth_sendRawTransactionSync", json!([raw])).await.unwrap_err();
    assert_eq!(code, -32603);

    // What the front keeps from the node: asked directly, the node dies.
    let fatal = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_simulateV1", "params": [
        { "blockStateCalls": [{ "calls": [{ "from": PAYER.address, "to": ALPHA_USD, "type": "0x76" }] }] }, "latest",
    ] });
    let http =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().unwrap();
    assert!(http.post(chain.node_url()).json(&fatal).send().await.is_err());
    tokio::time::timeout(Duration::from_secs(3), chain.ended()).await.unwrap();
    for (method, params) in
        [("eth_chainId", json!([])), ("tempo_fundAddress", json!([PAYER.address]))]
    {
        let started = Instant::now();
        assert_eq!(ask(&chain, method, params).await.unwrap_err().0, -32603);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_chain_listens_where_it_is_told_and_says_when_it_cannot() {
    for complete in [true, false] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = Options { complete, port: Some(port), ..Options::default() };
        let chain = Devnet::start_with(options.clone()).await.unwrap();
        assert_eq!(chain.rpc_url(), format!("http://127.0.0.1:{port}"));
        assert_eq!(complete, chain.rpc_url() != chain.node_url());
        let refused = Devnet::start_with(options).await.unwrap_err();
        let expected = matches!(refused, DevnetError::Front(_) | DevnetError::Exited { .. });
        assert!(expected && complete == matches!(refused, DevnetError::Front(_)), "{refused}");
    }
}
