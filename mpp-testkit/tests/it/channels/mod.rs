//! Payment channels on the real chain: what sessions of both protocols count on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod escrow;
mod front;
mod reserve;

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex, keccak256},
    sol_types::{SolCall, SolStruct, eip712_domain},
};
use mpp_tempo::{
    Key,
    chain::{
        PATH_USD as TOKEN,
        transaction::{Call, EXPIRING, Signed, Transaction},
    },
};
use mpp_testkit::devnet::{ACCOUNTS, Devnet, DevnetError, Options};
use serde_json::{Value, json};

/// Enough for whatever is done here.
const GAS: u64 = 4_000_000;

/// A salt.
const SALT: B256 = B256::repeat_byte(0x5a);

/// A chain, and accounts on it.
struct Stage {
    chain: Devnet,
    payer: Key,
    payee: Key,
    stranger: Key,
    sent: AtomicU64,
}

impl Stage {
    async fn new() -> Self {
        Self::on(42_431).await
    }

    async fn on(chain_id: u64) -> Self {
        Self::started(Options { chain_id, complete: true, ..Options::default() }).await
    }

    async fn started(options: Options) -> Self {
        let chain = Devnet::start_with(options).await.unwrap();
        Self {
            chain,
            payer: account(1),
            payee: account(2),
            stranger: account(5),
            sent: AtomicU64::new(1),
        }
    }

    /// Every call has a deadline: the node answers a dropped transaction after half a minute.
    async fn ask(&self, method: &str, params: Value) -> Result<Value, (i64, String, String)> {
        let asked = self.chain.rpc(method, params);
        match tokio::time::timeout(Duration::from_secs(3), asked).await.unwrap() {
            Err(DevnetError::Rpc { code, message, .. }) => Err((code, message, method.to_owned())),
            other => Ok(other.unwrap()),
        }
    }

    async fn now(&self) -> u64 {
        let block = self.ask("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        number(&block["timestamp"])
    }

    async fn transaction(&self, calls: &[Call]) -> Transaction {
        Transaction {
            max_fee_per_gas: 41_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            gas_limit: GAS,
            calls: calls.to_vec(),
            valid_before: NonZeroU64::new(self.now().await + 25),
            // So that no two of them are one.
            valid_after: NonZeroU64::new(self.sent.fetch_add(1, Relaxed)),
            fee_token: Some(TOKEN),
            ..Transaction::on(self.chain.chain_id())
        }
    }

    /// Sends, and answers the receipt, whether it succeeded or not.
    async fn send(&self, signed: &Signed) -> Value {
        let raw = hex::encode_prefixed(signed.encode());
        self.ask("eth_sendRawTransactionSync", json!([raw])).await.unwrap()
    }

    /// Does it, and answers the receipt of a success.
    async fn run(&self, key: &Key, calls: &[Call]) -> Value {
        let receipt = self.send(&self.transaction(calls).await.sign(key)).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// What a wallet asks a node about calls.
    async fn request(&self, from: Address, calls: &[Call]) -> Value {
        let calls = calls
            .iter()
            .map(|call| json!({ "to": call.to.to_string(), "data": call.data.to_string() }));
        let until = self.now().await + 25;
        json!({
            "type": "0x76", "from": from.to_string(), "calls": calls.collect::<Vec<_>>(),
            "chainId": format!("{:#x}", self.chain.chain_id()),
            "nonceKey": format!("{EXPIRING:#x}"), "nonce": "0x0", "validBefore": format!("{until:#x}"),
        })
    }

    /// Tries it and does it, and both are refused by this name.
    async fn refused(&self, key: &Key, calls: &[Call], name: &str) {
        let asked = self.request(key.address(), calls).await;
        let payload = json!({ "blockStateCalls": [{ "calls": [asked] }] });
        let blocks = self.ask("eth_simulateV1", json!([payload, "latest"])).await.unwrap();
        let tried = &blocks[0]["calls"][0];
        assert_eq!((&tried["returnData"], name), (&selector(name), name), "{tried}");
        self.fails(key, calls, name).await;
    }

    /// Does it, and it is mined in vain.
    async fn fails(&self, key: &Key, calls: &[Call], name: &str) {
        let receipt = self.send(&self.transaction(calls).await.sign(key)).await;
        assert_eq!(receipt["status"], "0x0", "{name}: {receipt}");
        let hash = &receipt["transactionHash"];
        let traced = self.ask("debug_traceTransaction", json!([hash, {}])).await.unwrap();
        assert_eq!((&traced["returnValue"], name), (&selector(name), name), "{traced}");
    }

    async fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let call = json!({ "to": to.to_string(), "data": hex::encode_prefixed(call.abi_encode()) });
        let answer = self.ask("eth_call", json!([call, "latest"])).await.unwrap();
        C::abi_decode_returns(&hex::decode(answer.as_str().unwrap()).unwrap()).unwrap()
    }

    async fn held(&self, who: Address) -> u128 {
        self.chain.balance(TOKEN, who).await.unwrap()
    }
}

/// What a contract returns that refuses.
fn selector(name: &str) -> Value {
    json!(hex::encode_prefixed(&keccak256(format!("{name}()"))[..4]))
}

fn account(index: usize) -> Key {
    ACCOUNTS[index].key.hex().parse().unwrap()
}

fn number(quantity: &Value) -> u64 {
    let digits = quantity.as_str().unwrap_or_else(|| panic!("{quantity}")).trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}

fn word(text: &Value) -> B256 {
    text.as_str().unwrap().parse().unwrap()
}

fn call(to: Address, call: &impl SolCall) -> Call {
    Call { to, value: U256::ZERO, data: call.abi_encode().into() }
}

fn approve(spender: Address, amount: u128) -> Call {
    call(TOKEN, &abi::approveCall { spender, amount: U256::from(amount) })
}

/// The one log of a contract, by its topic: the words after the topic.
fn logged(receipt: &Value, of: Address, topic: &str) -> Vec<U256> {
    let logs = receipt["logs"].as_array().unwrap().iter();
    let mut found = logs.filter(|log| {
        log["topics"][0] == topic && log["address"].as_str().unwrap().parse() == Ok(of)
    });
    let log = found.next().unwrap_or_else(|| panic!("no {topic} in {receipt}"));
    assert!(found.next().is_none());
    let indexed = log["topics"].as_array().unwrap().iter().skip(1).map(|topic| word(topic).into());
    let data = hex::decode(log["data"].as_str().unwrap()).unwrap();
    indexed.chain(data.chunks(32).map(U256::from_be_slice)).collect()
}

fn address(of: Address) -> U256 {
    of.into_word().into()
}

fn wide(amount: impl TryInto<u64>) -> U256 {
    U256::from(amount.try_into().ok().unwrap())
}

fn voucher(key: &Key, hash: B256) -> Bytes {
    Bytes::copy_from_slice(&key.sign(hash).to_bytes())
}

/// The twin of a signature: as true as the other on the curve, and not taken.
fn twin(signature: &Bytes) -> Bytes {
    const ORDER: &str = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut bytes = signature.to_vec();
    let s = ORDER.parse::<U256>().unwrap() - U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    bytes.into()
}

fn digest_v1(chain_id: u64, escrow: Address, channel_id: B256, amount: u128) -> B256 {
    let domain = eip712_domain! {
        name: "Tempo Stream Channel", version: "1", chain_id: chain_id, verifying_contract: escrow,
    };
    v1::Voucher { channelId: channel_id, cumulativeAmount: amount }.eip712_signing_hash(&domain)
}

fn digest_v2(chain_id: u64, reserve: Address, channel_id: B256, amount: u64) -> B256 {
    let domain = eip712_domain! {
        name: "TIP20 Channel Reserve", version: "1", chain_id: chain_id, verifying_contract: reserve,
    };
    let amount = alloy::primitives::aliases::U96::from(amount);
    v2::Voucher { channelId: channel_id, cumulativeAmount: amount }.eip712_signing_hash(&domain)
}

mod abi {
    alloy::sol! {
        function approve(address spender, uint256 amount) external returns (bool);
    }
}

mod v1 {
    alloy::sol! {
        struct Voucher { bytes32 channelId; uint128 cumulativeAmount; }
        struct Channel { bool finalized; uint64 closeRequestedAt; address payer; address payee; address token; address authorizedSigner; uint128 deposit; uint128 settled; }
        function open(address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner) external returns (bytes32);
        function settle(bytes32 channelId, uint128 cumulativeAmount, bytes signature) external;
        function topUp(bytes32 channelId, uint256 additionalDeposit) external;
        function close(bytes32 channelId, uint128 cumulativeAmount, bytes signature) external;
        function requestClose(bytes32 channelId) external;
        function withdraw(bytes32 channelId) external;
        function channels(bytes32 channelId) external view returns (bool finalized, uint64 closeRequestedAt, address payer, address payee, address token, address authorizedSigner, uint128 deposit, uint128 settled);
        function getChannel(bytes32 channelId) external view returns (Channel memory);
        function getChannelsBatch(bytes32[] channelIds) external view returns (Channel[] memory);
        function computeChannelId(address payer, address payee, address token, bytes32 salt, address authorizedSigner) external view returns (bytes32);
        function getVoucherDigest(bytes32 channelId, uint128 cumulativeAmount) external view returns (bytes32);
        function domainSeparator() external view returns (bytes32);
    }
}

mod v2 {
    alloy::sol! {
        struct Voucher { bytes32 channelId; uint96 cumulativeAmount; }
        struct Descriptor { address payer; address payee; address operator; address token; bytes32 salt; address authorizedSigner; bytes32 expiringNonceHash; }
        struct State { uint96 settled; uint96 deposit; uint32 closeRequestedAt; }
        struct Channel { Descriptor descriptor; State state; }
        function open(address payee, address operator, address token, uint96 deposit, bytes32 salt, address authorizedSigner) external returns (bytes32);
        function settle(Descriptor d, uint96 cumulativeAmount, bytes signature) external;
        function topUp(Descriptor d, uint96 additionalDeposit) external;
        function close(Descriptor d, uint96 cumulativeAmount, uint96 captureAmount, bytes signature) external;
        function requestClose(Descriptor d) external;
        function withdraw(Descriptor d) external;
        function getChannel(Descriptor d) external view returns (Channel memory);
        function getChannelStatesBatch(bytes32[] channelIds) external view returns (State[] memory);
        function computeChannelId(address payer, address payee, address operator, address token, bytes32 salt, address authorizedSigner, bytes32 expiringNonceHash) external view returns (bytes32);
        function getVoucherDigest(bytes32 channelId, uint96 cumulativeAmount) external view returns (bytes32);
        function domainSeparator() external view returns (bytes32);
        function CLOSE_GRACE_PERIOD() external view returns (uint64);
        function VOUCHER_TYPEHASH() external view returns (bytes32);
    }
}
