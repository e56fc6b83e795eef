//! What the channel reserve knows as a precompile, and must be told as a contract: which transaction opens a channel, and
//! that it may take the payer's tokens.

use alloy::primitives::{Address, B256, hex, keccak256};
use mpp_tempo::chain::{is_tip20, transaction::Signed};
use serde_json::{Value, json};

use super::{fault::Fault, methods::Methods, ordinary::Ordinary, trial::Trial};
use crate::devnet::contracts::{self, CHANNEL_RESERVE, entry, slot};

/// The selector of `open` and, after it, the length of its six arguments.
const OPEN: ([u8; 4], usize) = ([0xed, 0xc5, 0x3b, 0x00], 6 * 32);
/// The selector of `topUp`, and the length of a descriptor and an amount.
const TOP_UP: ([u8; 4], usize) = ([0xdc, 0x48, 0x47, 0x1e], 8 * 32);

/// Where the reserve looks for transactions' hashes.
const CONTEXT: u64 = 1;
/// Where a TIP-20 token keeps allowances.
const ALLOWANCES: u64 = 10;

const NOTHING: B256 = B256::ZERO;
const UNLIMITED: B256 = B256::repeat_byte(0xff);

/// A call that takes tokens from its sender.
#[derive(Debug, PartialEq, Eq)]
struct Deposit {
    payer: Address,
    token: Address,
    /// Who opens what, hashed; `None` for a top-up.
    opens: Option<B256>,
}

impl Deposit {
    /// Reads a call; whatever is malformed, the contract refuses by itself.
    fn read(payer: Address, to: Address, data: &[u8]) -> Option<Self> {
        let (selector, arguments) =
            data.split_first_chunk::<4>().filter(|_| to == CHANNEL_RESERVE)?;
        let word = |index: usize| arguments.get(index * 32..(index + 1) * 32);
        let token = |index: usize| Some(Address::from_word(B256::from_slice(word(index)?)));
        let (token, opens) = if *selector == OPEN.0 {
            let what = arguments.get(..OPEN.1)?;
            (token(2)?, Some(keccak256([payer.into_word().as_slice(), what].concat())))
        } else if *selector == TOP_UP.0 && arguments.len() >= TOP_UP.1 {
            (token(3)?, None)
        } else {
            return None;
        };
        is_tip20(token).then_some(Self { payer, token, opens })
    }
}

/// Puts the contracts where the node has none, or has them no more.
pub(super) async fn place(methods: &Methods) -> Result<(), Fault> {
    for (at, code) in contracts::of(methods.chain_id) {
        methods.node.call("anvil_setCode", json!([at.to_string(), code])).await?;
    }
    Ok(())
}

/// Before a signed transaction goes to the node. Bytes that are no transaction are the node's to refuse.
pub(super) async fn announce(methods: &Methods, raw: &str) -> Result<(), Fault> {
    let Some((hash, deposits)) = hex::decode(raw).ok().and_then(|raw| read(&raw)) else {
        return Ok(());
    };
    for deposit in deposits {
        allow(methods, &deposit).await?;
        if let Some(what) = deposit.opens {
            let _turn = methods.contexts.lock().await;
            store(methods, CHANNEL_RESERVE, entry(what, slot(CONTEXT)), hash).await?;
        }
    }
    Ok(())
}

/// Whether a call reverted because the reserve knew no transaction for it.
pub(super) fn was_not_told(fault: &Fault) -> bool {
    let selector = hex::encode(&keccak256("ExpiringNonceHashNotSet()")[..4]);
    fault.0.to_string().contains(&selector)
}

/// Before calls are tried that no transaction is signed for yet.
pub(super) async fn expect(methods: &Methods, requests: &[&Value]) -> Result<(), Fault> {
    for deposit in requests.iter().flat_map(|request| requested(request)) {
        allow(methods, &deposit).await?;
        if let Some(what) = deposit.opens {
            stand_in(methods, what).await?;
        }
    }
    Ok(())
}

/// Writes a hash of no transaction, unless there is one already that is about to be mined.
async fn stand_in(methods: &Methods, what: B256) -> Result<(), Fault> {
    let at = entry(what, slot(CONTEXT));
    let _turn = methods.contexts.lock().await;
    let there = methods
        .node
        .call("eth_getStorageAt", json!([CHANNEL_RESERVE.to_string(), at.to_string(), "latest"]))
        .await?;
    if there == json!(NOTHING.to_string()) {
        store(methods, CHANNEL_RESERVE, at, keccak256(what)).await?;
    }
    Ok(())
}

async fn allow(methods: &Methods, deposit: &Deposit) -> Result<(), Fault> {
    let of_payer = entry(deposit.payer.into_word(), slot(ALLOWANCES));
    let at = entry(CHANNEL_RESERVE.into_word(), of_payer);
    store(methods, deposit.token, at, UNLIMITED).await
}

async fn store(methods: &Methods, of: Address, at: B256, word: B256) -> Result<(), Fault> {
    methods
        .node
        .call("anvil_setStorageAt", json!([of.to_string(), at.to_string(), word.to_string()]))
        .await
        .map(drop)
}

/// The hash that identifies a signed transaction to the reserve, and its deposits.
fn read(raw: &[u8]) -> Option<(B256, Vec<Deposit>)> {
    if let Some(ordinary) = Ordinary::read(raw) {
        let deposit = Deposit::read(ordinary.sender, ordinary.to, &ordinary.data);
        return Some((ordinary.context, deposit.into_iter().collect()));
    }
    let signed = Signed::decode(raw).ok()?;
    let sender = signed.sender().ok()?;
    let calls = signed.transaction.calls.iter();
    let deposits = calls.filter_map(|call| Deposit::read(sender, call.to, &call.data)).collect();
    Some((signed.transaction.expiring_nonce_hash(sender), deposits))
}

fn requested(request: &Value) -> Vec<Deposit> {
    let from = request.get("from").and_then(Value::as_str).and_then(|from| from.parse().ok());
    let (Some(from), Ok(trial)) = (from, Trial::read(request)) else { return Vec::new() };
    let calls = trial.calls.iter().filter_map(|call| {
        let data = hex::decode(call.data.as_str()?).ok()?;
        Deposit::read(from, call.to.as_str()?.parse().ok()?, &data)
    });
    calls.collect()
}
