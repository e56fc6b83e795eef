//! What a session's payer signs, against a real chain: deposits are made once, vouchers are good at the contract, and the rest comes
//! back.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, hex};
use mpp_core::{
    Amount, Challenge, Draft, Encoded, Realm, Receipt, Request, Timestamp,
    binding::Keys,
    name::{IntentName, MethodName},
    payer::{Allowance, Outcome, PayError, Payer as _, Payment, Site, Step},
    problem::Problem,
};
use mpp_tempo::{
    Chain, HttpRpc, Key, TempoSession,
    chain::{
        PATH_USD as TOKEN,
        reserve::{self, CHANNEL_RESERVE},
        rpc::{Rpc, http::Patience},
        transaction::{Call, Signed, Transaction},
    },
    session::{ChannelId, Descriptor, Domain, Payer, Payload, SessionReceipt, VoucherKey},
};
use mpp_testkit::devnet::{Devnet, Options, PAYER, RECIPIENT, SPONSOR};
use serde_json::{Value, json};

mod contract;
mod doubt;
mod hostile;
mod keys;
mod life;

const PRICE: u128 = 1_000;

/// A chain with a shop on it that does what a server does, without looking.
struct Shop {
    chain: Devnet,
    node: Arc<HttpRpc>,
    spent: std::sync::Mutex<u128>,
}

impl Shop {
    async fn new() -> Self {
        let patience = Patience {
            ask: std::time::Duration::from_secs(3),
            send: std::time::Duration::from_secs(3),
        };
        let options = Options { complete: true, ..Options::default() };
        let chain = Devnet::start_with(options).await.unwrap();
        let node = Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience));
        Self { chain, node, spent: std::sync::Mutex::new(0) }
    }

    fn payer(&self) -> Payer {
        Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, self.node.clone())
    }

    async fn held(&self, account: &str) -> u128 {
        self.chain.balance_of(&TOKEN.to_string(), account).await.unwrap()
    }

    async fn send(&self, signed: &Signed) -> mpp_tempo::chain::rpc::Receipt {
        self.node.send(signed.encode().into()).await.unwrap()
    }

    /// Sends what a payload carries, paying its fee where that is asked.
    async fn broadcast(&self, payload: &Payload) -> String {
        let (Payload::Open { transaction, .. } | Payload::TopUp { transaction, .. }) = payload
        else {
            panic!("{payload:?}")
        };
        let mut signed = Signed::decode(&hex::decode(transaction).unwrap()).unwrap();
        if signed.transaction.fee_payer == mpp_tempo::chain::transaction::FeePayer::Awaited {
            signed = signed.sponsored(TOKEN, &key(SPONSOR.key.hex())).unwrap();
        }
        let receipt = self.send(&signed).await;
        assert!(receipt.success);
        format!("{:#x}", receipt.hash)
    }

    /// Does what the payee does on the chain.
    async fn as_payee(&self, call: Call) -> mpp_tempo::chain::rpc::Receipt {
        let block = self.node.latest_block().await.unwrap();
        let transaction = Transaction {
            max_fee_per_gas: 41_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            gas_limit: 3_000_000,
            calls: vec![call],
            valid_before: std::num::NonZeroU64::new(block.timestamp + 25),
            fee_token: Some(TOKEN),
            ..Transaction::on(self.chain.chain_id())
        };
        self.send(&transaction.sign(&key(RECIPIENT.key.hex()))).await
    }

    /// Takes a credential as a server does that serves one unit for it, and answers its receipt.
    async fn serve(&self, payment: &Payment<TempoSession>) -> Receipt {
        let mut hash = None;
        match &payment.payload {
            Payload::Open { .. } => hash = Some(self.broadcast(&payment.payload).await),
            Payload::TopUp { .. } => hash = Some(self.broadcast(&payment.payload).await),
            _ => {}
        }
        if payment.step == Step::Pay {
            *self.spent.lock().unwrap() += PRICE;
        }
        let accepted = payment.payload.voucher().map_or(0, |(amount, _)| amount.get());
        self.receipt(payment.payload.channel_id(), accepted, hash)
    }

    fn receipt(&self, channel: &str, accepted: u128, tx_hash: Option<String>) -> Receipt {
        let members = SessionReceipt {
            channel_id: channel.to_owned(),
            challenge_id: String::new(),
            accepted_cumulative: Amount::new(accepted),
            spent: Amount::new(*self.spent.lock().unwrap()),
            units: None,
            tx_hash,
        };
        receipt(channel, members.members())
    }
}

fn receipt(reference: &str, extra: serde_json::Map<String, Value>) -> Receipt {
    Receipt {
        method: MethodName::from_static("tempo"),
        reference: reference.to_owned(),
        status: mpp_core::receipt::Status::Success,
        timestamp: Timestamp::from_unix(1_795_000_000, 0),
        external_id: None,
        extra,
    }
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn challenge(name: &str, edit: Value) -> Challenge {
    let mut details = json!({
        "chainId": 42431, "escrowContract": CHANNEL_RESERVE.to_string(), "sessionProtocol": "v2",
    });
    let mut request = json!({
        "amount": PRICE.to_string(), "currency": TOKEN.to_string(), "recipient": RECIPIENT.address,
        "unitType": "request", "suggestedDeposit": (10 * PRICE).to_string(),
    });
    for (member, value) in edit.as_object().unwrap() {
        if let Some(known) = request.get_mut(member) {
            *known = value.clone();
        } else {
            details[member] = value.clone();
        }
    }
    request["methodDetails"] = details;
    let request: Request<TempoSession> = serde_json::from_value(request).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Keys::new([1; 32]).unwrap().seal(Draft {
        realm: Realm::parse(&format!("{name}.example.com")).unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("session"),
        request: Encoded::of(&request).unwrap(),
        expires: Some(Timestamp::from_unix(i64::try_from(now.as_secs()).unwrap() + 300, 0)),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

fn site() -> Site {
    Site { origin: "https://api.example.com".into(), resource: "/".into() }
}

async fn pay(payer: &Payer, challenge: &Challenge) -> Result<Payment<TempoSession>, PayError> {
    let demand = challenge.read().unwrap();
    let up_to = payer.exposes(&demand).unwrap().amount;
    payer.pay(&demand, &Allowance { up_to, to: site() }).await
}

fn exposed(payer: &Payer, challenge: &Challenge) -> (u128, u128) {
    let exposed = payer.exposes(&challenge.read().unwrap()).unwrap();
    (exposed.amount.get() - exposed.fees.get(), exposed.fees.get())
}

fn accept(payment: Payment<TempoSession>, receipt: Receipt) {
    payment.hold.unwrap().resolve(Outcome::Accepted(Box::new(receipt)));
}

fn refuse(payment: Payment<TempoSession>, suffix: &str, extra: Value) {
    let problem: Problem = serde_json::from_value(json!({
        "type": format!("https://paymentauth.org/problems/{suffix}"), "title": "", "status": 402, "detail": "",
    }))
    .unwrap();
    let problem = Problem { extra: extra.as_object().cloned().unwrap_or_default(), ..problem };
    payment.hold.unwrap().resolve(Outcome::Refused(Some(Box::new(problem))));
}

/// Pays and is served, and answers what the voucher was for.
async fn buy(shop: &Shop, payer: &Payer, challenge: &Challenge) -> u128 {
    let payment = pay(payer, challenge).await.unwrap();
    assert_eq!(payment.step, Step::Pay);
    let cumulative = payment.payload.voucher().unwrap().0.get();
    let receipt = shop.serve(&payment).await;
    accept(payment, receipt);
    cumulative
}

fn descriptor(payload: &Payload) -> Descriptor {
    Descriptor::try_from(payload.descriptor().unwrap()).unwrap()
}

/// The id of a payload's channel, once it is what its descriptor says.
fn id(payload: &Payload) -> ChannelId {
    let id = descriptor(payload).id(CHANNEL_RESERVE, 42431);
    assert_eq!(payload.channel_id(), id.to_string());
    id
}

fn signature(payload: &Payload) -> Bytes {
    hex::decode(payload.voucher().unwrap().1).unwrap().into()
}

/// Whether a payload's voucher is this signer's.
fn is_signed_by(payload: &Payload, signer: Address) -> bool {
    let (amount, signature) = payload.voucher().unwrap();
    let digest = Domain::v2(42431).digest(id(payload), amount);
    VoucherKey::new(signer).check(digest, &hex::decode(signature).unwrap()).is_ok()
}

fn payer_address() -> Address {
    PAYER.address.parse().unwrap()
}
