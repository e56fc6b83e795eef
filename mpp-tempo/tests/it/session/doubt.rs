//! What a server says is not the last word: refusals, silence, lost stores and forged memories.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mpp_core::{
    payer::{Became, Recall, Wish},
    store::Memory,
    time::Clock,
};
use mpp_tempo::{
    chain::rpc::{Answer, Block, Receipt as Mined, Search, Told, Trial},
    session::{ChannelStore, DescriptorText, HighestVoucher, Snapshot},
};

use super::*;

/// A node whose blocks, and a clock whose seconds, are so much later than they are.
#[derive(Debug)]
struct Later(Arc<HttpRpc>, AtomicU64);

impl Later {
    fn of(shop: &Shop) -> Arc<Self> {
        Arc::new(Self(shop.node.clone(), AtomicU64::new(0)))
    }

    fn payer(self: &Arc<Self>) -> Payer {
        Payer::new(key(PAYER.key.hex()), &Chain::MODERATO, self.clone()).clock(self.clone())
    }
}

impl Clock for Later {
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_unix(i64::try_from(now.as_secs() + self.1.load(Relaxed)).unwrap(), 0)
    }
}

impl Rpc for Later {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.0.chain_id()
    }
    fn gas_price(&self) -> Answer<'_, u128> {
        self.0.gas_price()
    }
    fn latest_block(&self) -> Answer<'_, Block> {
        Box::pin(async {
            let block = self.0.latest_block().await?;
            Ok(Block { timestamp: block.timestamp + self.1.load(Relaxed), ..block })
        })
    }
    fn estimate_gas(&self, trial: Trial) -> Answer<'_, u64> {
        self.0.estimate_gas(Trial { valid_before: None, ..trial })
    }
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        self.0.call(trial)
    }
    fn send(&self, raw: Bytes) -> Answer<'_, Mined> {
        self.0.send(raw)
    }
    fn receipt(&self, hash: alloy::primitives::B256) -> Answer<'_, Option<Mined>> {
        self.0.receipt(hash)
    }
    fn broadcast(&self, raw: Bytes) -> Answer<'_, alloy::primitives::B256> {
        self.0.broadcast(raw)
    }
    fn block(&self, number: u64) -> Answer<'_, Option<Block>> {
        self.0.block(number)
    }
    fn logs(&self, search: Search) -> Answer<'_, Vec<Told>> {
        self.0.logs(search)
    }
    fn simulate(&self, trial: Trial) -> Answer<'_, ()> {
        self.0.simulate(trial)
    }
}

#[tokio::test]
async fn a_challenge_that_leads_the_money_elsewhere_is_left_alone() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let stranger = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
    let cases = [
        ("escrow", json!({"escrowContract": stranger})),
        (
            "the contract of version 1",
            json!({"escrowContract": "0xe1c4d3dce17bc111181ddf716f75bae49e61a336"}),
        ),
        ("chain 4217", json!({"chainId": 4217})),
        ("kind of session", json!({"sessionProtocol": "v3"})),
        ("escrow", json!({"sessionProtocol": "v1"})),
        ("escrow", json!({"sessionProtocol": null})),
        ("currency", json!({"currency": "usd"})),
        ("no dollar", json!({"currency": "0x20c0000000000000000000000000000000000042"})),
        ("recipient", json!({"recipient": "0x22"})),
        ("very account", json!({"recipient": PAYER.address})),
        ("operator", json!({"operator": "nobody"})),
        ("asks for nothing", json!({"amount": "0"})),
        ("max_deposit", json!({"amount": "1000001"})),
        ("stream_ahead", json!({"minVoucherDelta": "60000"})),
    ];
    for (why, edit) in cases {
        let asked = challenge("elsewhere", edit.clone());
        let demand = asked.read().unwrap();
        if why == "stream_ahead" {
            buy(&shop, &payer, &challenge("first", json!({}))).await;
        }
        assert_eq!(payer.exposes(&demand), None, "{why} {edit}");
        let said = payer.declines(&demand).unwrap();
        let why = if why.starts_with("the contract") { "escrow" } else { why };
        assert!(said.contains(why), "{why}: {said}");
        let within = Allowance { up_to: Amount::new(u128::MAX), to: site() };
        let refused = payer.pay(&demand, &within).await.unwrap_err();
        assert_eq!(refused.funds, mpp_core::payer::Funds::Untouched, "{why}");
    }
    let narrow = shop.payer().only_to([stranger]).unwrap();
    assert!(narrow.exposes(&challenge("listed", json!({})).read().unwrap()).is_none());
}

#[tokio::test]
async fn many_requests_at_once_open_one_channel_and_count_up() {
    let shop = Shop::new().await;
    let payer = Arc::new(shop.payer());
    let asked = Arc::new(challenge("many", json!({})));
    let opening = pay(&payer, &asked).await.unwrap();
    assert_eq!(exposed(&payer, &asked), (0, 0), "somebody else's opening costs this one nothing");
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let (payer, asked) = (payer.clone(), asked.clone());
            tokio::spawn(async move { pay(&payer, &asked).await.unwrap() })
        })
        .collect();
    tokio::task::yield_now().await;
    let receipt = shop.serve(&opening).await;
    accept(opening, receipt);
    let mut payments = Vec::new();
    for one in waiting {
        payments.push(one.await.unwrap());
    }
    let mut totals: Vec<u128> =
        payments.iter().map(|p| p.payload.voucher().unwrap().0.get()).collect();
    totals.sort_unstable();
    assert_eq!(totals, [2, 3, 4, 5, 6].map(|n| n * PRICE));
    assert!(payments.iter().all(|p| p.exposed == Some(Amount::ZERO) && p.step == Step::Pay));
    // The highest is taken first, so that the others are refused; each of them is then paid by what was signed already.
    payments.sort_by_key(|p| std::cmp::Reverse(p.payload.voucher().unwrap().0));
    let first = payments.remove(0);
    let receipt = shop.serve(&first).await;
    accept(first, receipt);
    for lower in payments {
        refuse(lower, "verification-failed", json!({"reason": "lower-voucher"}));
    }
    for _ in 0..4 {
        assert_eq!(buy(&shop, &payer, &asked).await, 6 * PRICE);
    }
    assert_eq!(buy(&shop, &payer, &asked).await, 7 * PRICE);
}

#[tokio::test]
async fn a_refused_opening_locks_no_second_deposit() {
    let shop = Shop::new().await;
    let later = Later::of(&shop);
    let payer = later.payer();
    let asked = challenge("refused", json!({}));
    let opening = pay(&payer, &asked).await.unwrap();
    let first = id(&opening.payload);
    let kept = opening.payload.clone();
    refuse(opening, "verification-failed", json!({}));
    // While it can be mined, the very same transaction is shown again.
    let again = pay(&payer, &asked).await.unwrap();
    assert_eq!((id(&again.payload), again.exposed), (first, Some(Amount::ZERO)));
    drop(again);
    later.1.store(15, Relaxed);
    let waits = pay(&payer, &asked).await.unwrap_err();
    assert!(waits.to_string().contains("can still come to be"), "{waits}");
    let demand = asked.read().unwrap();
    assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Open);
    // Once its time is over without it, another channel is opened.
    later.1.store(90, Relaxed);
    assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Dead);
    // What that takes was not asked for, since it did not seem to be needed: that is asked the next time.
    assert_eq!(exposed(&payer, &asked), (0, 0));
    assert!(pay(&payer, &asked).await.is_err());
    let second = pay(&payer, &asked).await.unwrap();
    assert_eq!(second.payload.action(), "open");
    assert_ne!(id(&second.payload), first);
}

#[tokio::test]
async fn an_opening_that_was_mined_and_refused_is_drawn_on() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = challenge("mined", json!({}));
    let opening = pay(&payer, &asked).await.unwrap();
    let kept = opening.payload.clone();
    shop.broadcast(&kept).await;
    refuse(opening, "verification-failed", json!({}));
    let demand = asked.read().unwrap();
    assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Paid);
    assert!(matches!(payer.recall(&demand).await.unwrap(), Recall::Never));
    let next = pay(&payer, &asked).await.unwrap();
    assert_eq!((next.payload.action(), id(&next.payload)), ("voucher", id(&kept)));
    assert_eq!(next.payload.voucher().unwrap().0.get(), PRICE);
}

#[tokio::test]
async fn what_a_server_has_forgotten_is_reopened_only_where_the_chain_has_too() {
    for suffix in ["session/channel-not-found", "session/channel-finalized"] {
        let shop = Shop::new().await;
        let payer = shop.payer();
        let asked = challenge("stale", json!({}));
        buy(&shop, &payer, &asked).await;
        let stale = pay(&payer, &asked).await.unwrap();
        let (kept, made_of) = (stale.payload.clone(), descriptor(&stale.payload));
        refuse(stale, suffix, json!({}));
        let refused = pay(&payer, &asked).await.unwrap_err();
        assert!(refused.to_string().contains("no second deposit"), "{refused}");
        let demand = asked.read().unwrap();
        assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Open);
        // The server closes it after all.
        let voucher = signature(&kept);
        assert!(shop.as_payee(reserve::close(&made_of, 2 * PRICE, PRICE, &voucher)).await.success);
        assert_eq!(payer.became(&demand, &kept).await.unwrap(), Became::Dead);
        let again = pay(&payer, &asked).await.unwrap();
        assert_eq!(again.payload.action(), "open");
        assert_ne!(id(&again.payload), id(&kept));
    }
}

#[tokio::test]
async fn two_top_ups_never_fund_one_need() {
    let shop = Shop::new().await;
    let later = Later::of(&shop);
    let payer = Arc::new(later.payer().deposit("0.001").unwrap().top_up("0.002").unwrap());
    let asked = Arc::new(challenge("short", json!({})));
    buy(&shop, &payer, &asked).await;
    let first = pay(&payer, &asked).await.unwrap();
    assert_eq!(first.payload.action(), "topUp");
    let second = {
        let (payer, asked) = (payer.clone(), asked.clone());
        tokio::spawn(async move { pay(&payer, &asked).await.unwrap() })
    };
    let receipt = shop.serve(&first).await;
    accept(first, receipt);
    let second = second.await.unwrap();
    assert_eq!(second.payload.voucher().unwrap().0.get(), 2 * PRICE);
    let receipt = shop.serve(&second).await;
    accept(second, receipt);
    assert_eq!(buy(&shop, &payer, &asked).await, 3 * PRICE);
    // One that is lost is shown again as it was, and counted once it is seen on the chain.
    let lost = pay(&payer, &asked).await.unwrap();
    let kept = lost.payload.clone();
    drop(lost);
    let again = pay(&payer, &asked).await.unwrap();
    assert_eq!((again.payload.clone(), again.exposed), (kept.clone(), Some(Amount::ZERO)));
    shop.broadcast(&again.payload).await;
    drop(again);
    assert_eq!(payer.became(&asked.read().unwrap(), &kept).await.unwrap(), Became::Paid);
    assert_eq!(buy(&shop, &payer, &asked).await, 4 * PRICE);
    assert_eq!(payer.channels()[0].deposit.get(), 5 * PRICE);
}

#[tokio::test]
async fn s14_no_channel_holds_more_than_allowed_whoever_opened_it() {
    let shop = Shop::new().await;
    let payer = shop.payer().deposit("0.003").unwrap().max_deposit("0.0045").unwrap();
    let asked = challenge("bounded", json!({"suggestedDeposit": "9000000"}));
    for n in 1..=3 {
        assert_eq!(buy(&shop, &payer, &asked).await, n * PRICE);
    }
    // There is room for half of what would be added.
    assert_eq!(exposed(&payer, &asked).0, 3 * PRICE / 2);
    let more = pay(&payer, &asked).await.unwrap();
    let receipt = shop.serve(&more).await;
    accept(more, receipt);
    assert_eq!(buy(&shop, &payer, &asked).await, 4 * PRICE);
    let demand = asked.read().unwrap();
    assert!(payer.exposes(&demand).is_none());
    assert!(payer.declines(&demand).unwrap().contains("max_deposit"));
    let need = Wish::Need(json!({
        "channelId": payer.channels()[0].id, "acceptedCumulative": "4000", "deposit": "100000",
        "requiredCumulative": "5000",
    }));
    let within = Allowance { up_to: Amount::new(u128::MAX), to: site() };
    assert!(payer.grant(&demand, &need, &within).await.is_err());
    assert!(payer.exposes_for(&demand, &Wish::TopUp(Amount::new(PRICE))).is_none());
}

#[tokio::test]
async fn a_channel_outlives_the_process_in_its_store() {
    let shop = Shop::new().await;
    let store: Arc<Memory> = Arc::new(Memory::volatile());
    let kept = async || ChannelStore::open(store.clone(), "agent").await.unwrap();
    let asked = challenge("durable", json!({}));
    {
        let payer = shop.payer().keeping(kept().await);
        // Its credential has left when the process dies; nobody says what became of it.
        let opening = pay(&payer, &asked).await.unwrap();
        shop.serve(&opening).await;
        std::mem::forget(opening);
    }
    let payer = shop.payer().keeping(kept().await);
    assert_eq!(payer.channels().len(), 1);
    assert_eq!(buy(&shop, &payer, &asked).await, 2 * PRICE);
    assert_eq!(payer.hint(&site()), Some(payer.channels()[0].id.clone()));
    drop(payer);
    let payer = shop.payer().keeping(kept().await);
    assert_eq!(exposed(&payer, &asked), (0, 0));
    assert_eq!(buy(&shop, &payer, &asked).await, 3 * PRICE);
    let other = ChannelStore::open(store.clone(), "another").await.unwrap();
    assert!(shop.payer().keeping(other).channels().is_empty());
}

/// A snapshot of the channel that a payload is of.
fn snapshot(payload: &Payload, spent: u128) -> Snapshot {
    let (amount, signature) = payload.voucher().unwrap();
    Snapshot {
        accepted_cumulative: amount,
        chain_id: 42431,
        channel_id: payload.channel_id().to_owned(),
        close_requested_at: None,
        deposit: Amount::new(10 * PRICE),
        descriptor: payload.descriptor().unwrap().clone(),
        escrow: CHANNEL_RESERVE.to_string(),
        highest_voucher: Some(HighestVoucher {
            channel_id: payload.channel_id().to_owned(),
            cumulative_amount: amount,
            signature: signature.to_owned(),
        }),
        required_cumulative: Amount::ZERO,
        settled: Amount::ZERO,
        spent: Amount::new(spent),
        units: None,
    }
}

#[tokio::test]
async fn a_forgotten_channel_is_taken_up_from_what_its_server_can_prove() {
    let shop = Shop::new().await;
    let first = shop.payer();
    let asked = challenge("returning", json!({}));
    buy(&shop, &first, &asked).await;
    let voucher = pay(&first, &asked).await.unwrap();
    let shown = snapshot(&voucher.payload, 2 * PRICE);
    // In a challenge,
    let back = shop.payer();
    let named =
        challenge("named", json!({"sessionSnapshot": serde_json::to_value(&shown).unwrap()}));
    let next = pay(&back, &named).await.unwrap();
    assert_eq!((next.payload.action(), next.exposed), ("voucher", Some(Amount::ZERO)));
    assert_eq!(next.payload.voucher().unwrap().0.get(), 3 * PRICE);
    // and in a header.
    let back = shop.payer();
    back.remember(&site(), &shown.to_header()).await.unwrap();
    assert_eq!(back.hint(&site()), Some(shown.channel_id.clone()));
    let next = pay(&back, &asked).await.unwrap();
    assert_eq!(next.payload.voucher().unwrap().0.get(), 3 * PRICE);
}

#[tokio::test]
async fn s9_a_forged_snapshot_makes_nobody_sign_more() {
    type Forge = fn(&mut Snapshot);
    let shop = Shop::new().await;
    let first = shop.payer();
    let asked = challenge("forged", json!({}));
    buy(&shop, &first, &asked).await;
    let voucher = pay(&first, &asked).await.unwrap();
    let whole = snapshot(&voucher.payload, 2 * PRICE);
    let forged: [(&str, Forge); 7] = [
        ("another channel", |s| s.channel_id = format!("0x{}", "7".repeat(64))),
        ("another payer", |s| s.descriptor.payer = RECIPIENT.address.to_lowercase()),
        ("another escrow", |s| s.escrow = RECIPIENT.address.to_owned()),
        ("another chain", |s| s.chain_id = 4217),
        ("more than was signed", |s| {
            s.highest_voucher.as_mut().unwrap().cumulative_amount = Amount::new(9 * PRICE);
        }),
        ("another payee", |s| {
            let text: DescriptorText = s.descriptor.clone();
            let mut made_of = Descriptor::try_from(&text).unwrap();
            made_of.payee = Address::repeat_byte(9);
            s.descriptor = made_of.into();
            s.channel_id = made_of.id(CHANNEL_RESERVE, 42431).to_string();
            s.highest_voucher = None;
        }),
        ("no such channel", |s| {
            let mut made_of = Descriptor::try_from(&s.descriptor).unwrap();
            made_of.salt = alloy::primitives::B256::repeat_byte(9);
            s.descriptor = made_of.into();
            s.channel_id = made_of.id(CHANNEL_RESERVE, 42431).to_string();
            s.highest_voucher = None;
        }),
    ];
    for (name, forge) in forged {
        let mut forged = whole.clone();
        forge(&mut forged);
        let payer = shop.payer();
        assert!(payer.remember(&site(), &forged.to_header()).await.is_err(), "{name}");
        let value = serde_json::to_value(&forged).unwrap();
        let named = challenge("forged", json!({"sessionSnapshot": value}));
        let opened = pay(&payer, &named).await.unwrap();
        assert_eq!(opened.payload.action(), "open", "{name}");
    }
    // What was spent is believed as far as a voucher of our own proves it, and no further.
    for (accepted, spent, shows, signs) in
        [(9, 9, false, 1), (2, 9, true, 3), (9, 9, true, 3), (2, 1, true, 2)]
    {
        let mut told = snapshot(&voucher.payload, spent * PRICE);
        told.accepted_cumulative = Amount::new(accepted * PRICE);
        told.highest_voucher = told.highest_voucher.filter(|_| shows);
        let payer = shop.payer();
        payer.remember(&site(), &told.to_header()).await.unwrap();
        let next = pay(&payer, &asked).await.unwrap();
        let signed = next.payload.voucher().unwrap().0.get();
        assert_eq!(signed, signs * PRICE, "{accepted} {spent} {shows}");
    }
    assert!(first.remember(&site(), "!").await.is_err());
}

#[tokio::test]
async fn a_voucher_is_refused_for_want_of_money_once_and_then_raised() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = challenge("short", json!({}));
    buy(&shop, &payer, &asked).await;
    // An answer was lost, and the server served more than we heard of.
    let lost = pay(&payer, &asked).await.unwrap();
    shop.serve(&lost).await;
    drop(lost);
    assert_eq!(buy(&shop, &payer, &asked).await, 3 * PRICE);
    let short = pay(&payer, &asked).await.unwrap();
    refuse(short, "session/insufficient-balance", json!({"requiredTopUp": "1000000"}));
    let raised = pay(&payer, &asked).await.unwrap();
    assert_eq!(raised.payload.voucher().unwrap().0.get(), 5 * PRICE);
    // Asked for yet more, it gives none before something was served.
    refuse(raised, "session/insufficient-balance", json!({"requiredTopUp": "1000000"}));
    let same = pay(&payer, &asked).await.unwrap();
    assert_eq!(same.payload.voucher().unwrap().0.get(), 5 * PRICE);
}
