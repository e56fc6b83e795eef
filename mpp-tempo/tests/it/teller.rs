//! The server half of sessions: a channel's whole life, where every base unit is counted on the chain.

mod attacks;
mod both;
mod ends;
mod life;
mod sponsored;

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use mpp_core::{
    Amount, Challenge, Credential, Draft, Encoded, Realm, Request, Timestamp,
    account::{Account, Raise},
    binding::{Claim, Keys},
    credential::Source,
    fate::{Fate, Settlement},
    name::{IntentName, MethodName},
    problem::{Reason, Rejection},
    teller::{Act, Teller as _},
    transport::Resource,
    verifier::Asking,
};
use mpp_tempo::{
    Chain, HttpRpc, Key, TempoSession,
    chain::{
        PATH_USD,
        reserve::{Open, TopUp},
        rpc::{Rpc, http::Patience},
        transaction::{Call, FeePayer, Signed, Transaction},
    },
    session::{
        Descriptor, DescriptorText, Domain, Payload, Teller,
        teller::{Channel, Order},
    },
};
use mpp_testkit::devnet::{ACCOUNTS, ChannelState, Devnet};

/// What one unit costs.
const PRICE: u128 = 1_000;
/// What a channel is opened with.
const DEPOSIT: u128 = 10_000;

/// A chain, a seller and a payer on it.
struct Stage {
    chain: Devnet,
    node: Arc<HttpRpc>,
    teller: Teller,
    payer: Key,
    salts: AtomicU64,
}

/// A channel of the payer's, as the payer knows it.
struct Opened {
    descriptor: Descriptor,
    signed: Signed,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|teller| teller).await
    }

    async fn with(change: impl FnOnce(Teller) -> Teller) -> Self {
        let chain = Devnet::start_complete().await.unwrap();
        // A node answers half a minute late about what it dropped.
        let patience = Patience { ask: Duration::from_secs(3), send: Duration::from_secs(3) };
        let node = Arc::new(HttpRpc::new(chain.rpc_url()).unwrap().patience(patience));
        let payee = account(2);
        let recipient = payee.address().to_string();
        let teller =
            Teller::new(&Chain::MODERATO, &recipient, Arc::new(payee), node.clone()).unwrap();
        let teller = change(teller.settle_deadline(Duration::from_secs(3)));
        Self { chain, node, teller, payer: account(1), salts: AtomicU64::new(1) }
    }

    async fn now(&self) -> u64 {
        self.node.latest_block().await.unwrap().timestamp
    }

    async fn transaction(&self, call: Call) -> Transaction {
        Transaction {
            calls: vec![call],
            max_fee_per_gas: 41_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            gas_limit: 1_500_000,
            valid_before: NonZeroU64::new(self.now().await + 25),
            fee_token: Some(PATH_USD),
            ..Transaction::on(42431)
        }
    }

    fn open_call(&self, deposit: u128) -> Open {
        let salt = self.salts.fetch_add(1, Relaxed);
        Open {
            payee: account(2).address(),
            operator: alloy::primitives::Address::ZERO,
            token: PATH_USD,
            deposit,
            salt: alloy::primitives::U256::from(salt).into(),
            authorized_signer: self.payer.address(),
        }
    }

    /// What the payer signs to open a channel.
    async fn opening(&self, deposit: u128) -> Opened {
        self.opening_as(deposit, |_| {}).await
    }

    async fn opening_as(&self, deposit: u128, edit: impl FnOnce(&mut Transaction)) -> Opened {
        let open = self.open_call(deposit);
        let mut transaction = self.transaction(open.call()).await;
        edit(&mut transaction);
        let id = transaction.expiring_nonce_hash(self.payer.address());
        let descriptor = open.descriptor(self.payer.address(), id);
        Opened { descriptor, signed: transaction.sign(&self.payer) }
    }

    async fn topping_up(&self, descriptor: Descriptor, additional_deposit: u128) -> Signed {
        let call = TopUp { descriptor, additional_deposit }.call();
        self.transaction(call).await.sign(&self.payer)
    }

    /// What a gate has in hand when the payer shows this.
    async fn claim(&self, payload: &Payload) -> Claim<TempoSession> {
        let source = format!("did:pkh:eip155:42431:{}", self.payer.address());
        claim(&challenge(&self.teller).await, payload, Some(&source))
    }

    async fn check(
        &self,
        payload: &Payload,
        known: Option<&Account<Channel>>,
    ) -> Result<Act<Order, Channel>, Rejection> {
        self.teller.check(&self.claim(payload).await, known).await
    }

    /// A channel on the chain, and its account after the first unit was served.
    async fn account(&self, deposit: u128) -> Account<Channel> {
        let opened = self.opening(deposit).await;
        let act = self.check(&opening(&opened, PRICE), None).await.unwrap();
        let Act::Open { order, kept, raise } = act else { panic!("{act:?}") };
        let mut account = Account::opening(kept);
        let settlement = settled(self.teller.settle(&order, &account).await);
        self.merge(&mut account, &settlement);
        account.state = mpp_core::account::State::Open;
        self.draw(&mut account, &raise, 1);
        account
    }

    /// Does to an account what a gate does with a settled order.
    fn merge(&self, account: &mut Account<Channel>, settlement: &Settlement) {
        let seen = serde_json::from_value(settlement.kept.clone().unwrap()).unwrap();
        self.teller.merge(&mut account.kept, seen);
    }

    fn draw(&self, account: &mut Account<Channel>, raise: &Raise, units: u64) {
        let ceiling = self.teller.ceiling(&account.kept);
        account.draw(raise, ceiling, units, Amount::new(PRICE)).unwrap();
    }

    /// Shows a voucher, and spends units of it.
    async fn pay(&self, account: &mut Account<Channel>, cumulative: u128, units: u64) {
        let payload = voucher(&self.payer, &account.kept.descriptor, cumulative);
        let act = self.check(&payload, Some(account)).await.unwrap();
        let Act::Draw(raise) = act else { panic!("{act:?}") };
        self.draw(account, &raise, units);
    }

    async fn state(&self, channel: &Descriptor) -> ChannelState {
        self.chain.channel_state(id(channel).0).await.unwrap()
    }

    async fn held(&self, who: &Key) -> u128 {
        self.chain.balance(PATH_USD, who.address()).await.unwrap()
    }

    /// Sends what one of the payer's accounts signs.
    async fn run(&self, key: &Key, call: Call) {
        let signed = self.transaction(call).await.sign(key);
        assert!(self.node.send(signed.encode().into()).await.unwrap().success);
    }
}

fn account(index: usize) -> Key {
    ACCOUNTS[index].key.hex().parse().unwrap()
}

fn id(channel: &Descriptor) -> mpp_tempo::session::ChannelId {
    channel.id(mpp_tempo::chain::reserve::CHANNEL_RESERVE, 42431)
}

fn opening(opened: &Opened, cumulative: u128) -> Payload {
    Payload::Open {
        channel_id: id(&opened.descriptor).to_string(),
        transaction: hex(&opened.signed.encode()),
        signature: signature(&account(1), &opened.descriptor, cumulative),
        cumulative_amount: Amount::new(cumulative),
        descriptor: Some(DescriptorText::from(&opened.descriptor)),
        authorized_signer: None,
    }
}

fn adding(descriptor: &Descriptor, signed: &[u8], added: u128) -> Payload {
    Payload::TopUp {
        channel_id: id(descriptor).to_string(),
        transaction: hex(signed),
        descriptor: Some(DescriptorText::from(descriptor)),
        additional_deposit: Amount::new(added),
    }
}

fn voucher(by: &Key, descriptor: &Descriptor, cumulative: u128) -> Payload {
    Payload::Voucher {
        channel_id: id(descriptor).to_string(),
        descriptor: Some(DescriptorText::from(descriptor)),
        cumulative_amount: Amount::new(cumulative),
        signature: signature(by, descriptor, cumulative),
    }
}

fn closing(descriptor: &Descriptor, cumulative: u128) -> Payload {
    Payload::Close {
        channel_id: id(descriptor).to_string(),
        descriptor: Some(DescriptorText::from(descriptor)),
        cumulative_amount: Amount::new(cumulative),
        signature: signature(&account(1), descriptor, cumulative),
    }
}

fn signature(by: &Key, channel: &Descriptor, cumulative: u128) -> String {
    let digest = Domain::v2(42431).digest(id(channel), Amount::new(cumulative));
    hex(&by.sign(digest).to_bytes())
}

fn hex(bytes: &[u8]) -> String {
    alloy::primitives::hex::encode_prefixed(bytes)
}

fn keys() -> Keys {
    Keys::new([1; 32]).unwrap()
}

fn realm() -> Realm {
    Realm::parse("api.example.com").unwrap()
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap(), 0)
}

async fn challenge(teller: &Teller) -> Challenge {
    let terms = teller.terms(&"0.001 usd per token".parse().unwrap()).unwrap();
    let (at, realm, until) = (Resource::at("GET /"), realm(), Timestamp::from_unix(0, 0));
    let asking = Asking::new(&at, &realm, &until);
    let details = teller.details(&terms, asking, None).await.unwrap().details;
    keys().seal(Draft {
        realm: realm.clone(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("session"),
        request: Encoded::of(&Request::<TempoSession> { terms, details }).unwrap(),
        expires: Some(now().plus(Duration::from_secs(300))),
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

fn claim(challenge: &Challenge, payload: &Payload, source: Option<&str>) -> Claim<TempoSession> {
    let demand = challenge.read::<TempoSession>().unwrap();
    let credential = Credential::answer(&demand, source.map(Source::new), payload).unwrap();
    let ours = keys().recognise(credential, &realm()).unwrap();
    ours.admit_metered(&now()).unwrap().claim().unwrap()
}

fn settled(fate: Fate) -> Settlement {
    match fate {
        Fate::Settled(settlement) => settlement,
        Fate::Failed(refusal) => panic!("failed: {refusal:?}"),
        other => panic!("{other:?}"),
    }
}

fn failure(fate: Fate) -> Reason {
    match fate {
        Fate::Failed(rejection) => rejection.reason,
        other => panic!("{other:?}"),
    }
}

/// As after a crash: what the books kept of an order.
fn restored(order: &Order) -> Order {
    serde_json::from_str(&serde_json::to_string(order).unwrap()).unwrap()
}
