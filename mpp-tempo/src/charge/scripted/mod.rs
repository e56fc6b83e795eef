//! A node that says what a test tells it to, and the tests of both halves against it.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use mpp_core::{
    Amount, Challenge, Credential, Draft, Encoded, Realm, Request, Timestamp,
    binding::{Claim, Keys},
    credential::Source,
    method::Nested,
    name::{IntentName, MethodName},
    payer::{Allowance, Payer as _, Site},
    time::Clock,
    verifier::Verifier as _,
};

use super::{Details, Payer, Payload, TempoCharge, Verifier};
use crate::chain::{
    Chain,
    keychain::{KeyAuthorization, KeyKind},
    rpc::{
        Answer, Block, Cause, Log, NodeError, Receipt, Rpc, RpcError, Search, Told, Trial,
        not_offered,
    },
    signature::Key,
    tip20::Transfer,
    transaction::{Signed, Transaction},
};

mod payer;
mod proof;
mod push;
mod settle;
mod shares;
mod sponsored;
mod verifier;

const SHOP: &str = "0x2222222222222222222222222222222222222222";
pub(crate) const NOW: i64 = 1_795_000_000;

pub(crate) type Script<I, O> = Box<dyn Fn(I) -> Result<O, RpcError> + Send + Sync>;

/// A test's double of a node: honest and rich unless told otherwise.
pub(crate) struct Scripted {
    pub(crate) chain_id: Script<(), u64>,
    pub(crate) gas_price: Script<(), u128>,
    pub(crate) block: Script<(), Block>,
    pub(crate) gas: Script<Trial, u64>,
    pub(crate) call: Script<Trial, Bytes>,
    /// `None` never answers.
    pub(crate) send: Option<Script<Bytes, Receipt>>,
    pub(crate) receipt: Script<B256, Option<Receipt>>,
    pub(crate) blocks: Script<u64, Option<Block>>,
    pub(crate) logs: Script<Search, Vec<Told>>,
    pub(crate) asked: Mutex<Vec<&'static str>>,
}

impl Default for Scripted {
    fn default() -> Self {
        let held = U256::from(1_000_000_000).to_be_bytes_vec();
        Self {
            chain_id: Box::new(|()| Ok(42431)),
            gas_price: Box::new(|()| Ok(20_000_000_000)),
            block: at(NOW as u64),
            gas: Box::new(|_| Ok(60_000)),
            call: Box::new(move |_| Ok(held.clone().into())),
            send: Some(Box::new(|raw| Ok(mined(&raw)))),
            receipt: Box::new(|_| Ok(None)),
            blocks: Box::new(|_| Err(RpcError::Status(502))),
            logs: Box::new(|_| Ok(Vec::new())),
            asked: Mutex::default(),
        }
    }
}

impl Scripted {
    fn heard<T: Send + 'static>(
        &self,
        what: &'static str,
        said: Result<T, RpcError>,
    ) -> Answer<'_, T> {
        self.asked.lock().unwrap().push(what);
        Box::pin(async move { said })
    }

    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }
}

impl Rpc for Scripted {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.heard("chain_id", (self.chain_id)(()))
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.heard("gas_price", (self.gas_price)(()))
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        self.heard("block", (self.block)(()))
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.heard("gas", (self.gas)(trial))
    }
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        self.heard("call", (self.call)(trial))
    }
    fn send(&self, raw: Bytes) -> Answer<'_, Receipt> {
        match &self.send {
            Some(send) => self.heard("send", send(raw)),
            None => Box::pin(std::future::pending()),
        }
    }
    fn receipt(&self, hash: B256) -> Answer<'_, Option<Receipt>> {
        self.heard("receipt", (self.receipt)(hash))
    }
    fn broadcast(&self, raw: Bytes) -> Answer<'_, B256> {
        match &self.send {
            Some(send) => self.heard("broadcast", send(raw).map(|receipt| receipt.hash)),
            None => Box::pin(std::future::pending()),
        }
    }
    fn simulate(&self, _: Trial) -> Answer<'_, ()> {
        not_offered()
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.heard("block by height", (self.blocks)(number))
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.heard("logs", (self.logs)(search))
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

pub(crate) fn at(timestamp: u64) -> Script<(), Block> {
    Box::new(move |()| Ok(Block { number: 9, timestamp, base_fee: None }))
}

pub(crate) fn refused(code: i64) -> RpcError {
    RpcError::Refused(NodeError::new(code, "have 5, want 6"))
}

fn gone() -> Cause {
    Cause::from("gone")
}

/// The receipt of a transaction of transfers, as a node writes it.
fn mined(raw: &[u8]) -> Receipt {
    let signed = Signed::decode(raw).unwrap();
    let from = signed.sender().unwrap();
    let mut logs = Vec::new();
    for call in &signed.transaction.calls {
        let Ok(Transfer { to, amount, memo }) = Transfer::decode(&call.data) else { continue };
        let entry = |event: &str, memo: Option<B256>| Log {
            address: call.to,
            topics: [keccak256(event), from.into_word(), to.into_word()]
                .into_iter()
                .chain(memo)
                .collect(),
            data: amount.to_be_bytes_vec().into(),
        };
        logs.push(entry("Transfer(address,address,uint256)", None));
        let with_memo = "TransferWithMemo(address,address,uint256,bytes32)";
        logs.extend(memo.map(|memo| entry(with_memo, Some(memo))));
    }
    let block_hash = B256::repeat_byte(9);
    Receipt { hash: signed.hash(), success: true, from, block_hash, block_number: 9, logs }
}

#[derive(Debug)]
pub(crate) struct Still(pub(crate) i64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0, 0)
    }
}

fn key() -> Key {
    Key::new([7; 32]).unwrap()
}

fn payer_at(rpc: Arc<Scripted>) -> Payer {
    Payer::new(key(), &Chain::MODERATO, rpc).clock(Arc::new(Still(NOW)))
}

fn verifier_at(rpc: Arc<Scripted>) -> Verifier {
    let verifier = Verifier::new(&Chain::MODERATO, SHOP, rpc).unwrap();
    verifier.settle_deadline(Duration::from_millis(50)).clock(Arc::new(Still(NOW)))
}

fn keys() -> Keys {
    Keys::new([1; 32]).unwrap()
}

fn realm() -> Realm {
    Realm::parse("api.example.com").unwrap()
}

/// What the default verifier asks, for ten cents.
fn request() -> Request<TempoCharge> {
    let verifier = verifier_at(Arc::default());
    let terms = verifier.terms(&"0.10 usd".parse().unwrap()).unwrap();
    let method_details = Details { chain_id: Some(42431), ..Details::default() };
    Request { terms, details: Nested { method_details } }
}

fn challenge(request: &Request<TempoCharge>) -> Challenge {
    keys().seal(Draft {
        realm: realm(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("charge"),
        request: Encoded::of(request).unwrap(),
        expires: Some(Timestamp::from_unix(NOW + 300, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

fn allowance(up_to: u128) -> Allowance {
    let to = Site { origin: "https://api.example.com".into(), resource: "/".into() };
    Allowance { up_to: Amount::new(up_to), to }
}

/// What the default payer signs for a challenge.
async fn signed(challenge: &Challenge) -> Signed {
    let demand = challenge.read::<TempoCharge>().unwrap();
    let payment = payer_at(Arc::default()).pay(&demand, &allowance(150_000)).await.unwrap();
    let Payload::Transaction { signature } = payment.payload else { panic!("pull mode") };
    Signed::decode(&crate::chain::parse_hex(&signature).unwrap()).unwrap()
}

fn pull(raw: &[u8]) -> Payload {
    Payload::Transaction { signature: Bytes::copy_from_slice(raw).to_string() }
}

/// The claim that a gate would admit.
fn claim(challenge: &Challenge, payload: &Payload, source: Option<&str>) -> Claim<TempoCharge> {
    claim_at(NOW, challenge, payload, source)
}

fn claim_at(
    now: i64,
    challenge: &Challenge,
    payload: &Payload,
    source: Option<&str>,
) -> Claim<TempoCharge> {
    let demand = challenge.read::<TempoCharge>().unwrap();
    let credential = Credential::answer(&demand, source.map(Source::new), payload).unwrap();
    let ours = keys().recognise(credential, &realm()).unwrap();
    ours.admit_late(&Timestamp::from_unix(now, 0)).unwrap().claim().unwrap()
}

fn shop() -> Address {
    SHOP.parse().unwrap()
}

fn resigned(signed: &Signed, edit: impl FnOnce(&mut Transaction)) -> Signed {
    let mut transaction = signed.transaction.clone();
    edit(&mut transaction);
    transaction.sign(&key())
}

/// Somebody's account is to be run as a contract's code.
fn delegation() -> Bytes {
    let signature = key().sign(B256::ZERO).to_bytes();
    let payload = [&[0x80, 0x94], [0x33; 20].as_slice(), &[0x80, 0xb8, 65], &signature].concat();
    [&[0xf8, 90], payload.as_slice()].concat().into()
}

/// The payer lets another key do everything.
fn key_authorization() -> Bytes {
    let expiry = std::num::NonZeroU64::MAX;
    let allowed = KeyAuthorization::new(42431, KeyKind::Secp256k1, shop(), expiry);
    let made = key().sign(allowed.signing_hash());
    allowed.signed(made).unwrap().encode()
}
