//! What a hostile review found, as tests: a server that lies, and a store that is late.

use std::sync::{Arc, Mutex};

use alloy::primitives::B256;
use mpp_core::{
    Amount, Challenge, Draft, Encoded, Realm, Receipt, Request, Timestamp,
    binding::Keys,
    name::{IntentName, MethodName},
    payer::{Allowance, Outcome, Payer as _, Site, Wish},
    problem::Problem,
    receipt::Status,
    store::{BoxFuture, Keep, Key as At, Memory, Store, StoreError, Version as Of, Versioned},
};
use serde_json::json;

use super::{
    super::{ChannelId, SessionReceipt, TempoSession},
    Payer,
    channel::{Channel, Life, OnChain},
    limits::Limits,
    seat::{Seat, Version},
    shelf::{Cost, Next},
    store::ChannelStore,
};
use crate::{
    HttpRpc,
    chain::{Chain, PATH_USD, look::MARGIN, reserve::CHANNEL_RESERVE},
};

const PAYEE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

fn payer() -> Payer {
    let node = Arc::new(HttpRpc::new("http://127.0.0.1:9").unwrap());
    let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d".parse().unwrap();
    Payer::new(key, &Chain::MODERATO, node)
}

fn challenge() -> Challenge {
    let request = json!({
        "amount": "1000", "currency": PATH_USD.to_string(), "recipient": PAYEE, "unitType": "request",
        "methodDetails": {
            "chainId": 42431, "escrowContract": CHANNEL_RESERVE.to_string(), "sessionProtocol": "v2",
        },
    });
    let request: Request<TempoSession> = serde_json::from_value(request).unwrap();
    Keys::new([1; 32]).unwrap().seal(Draft {
        realm: Realm::parse("a.example.com").unwrap(),
        method: MethodName::from_static("tempo"),
        intent: IntentName::from_static("session"),
        request: Encoded::of(&request).unwrap(),
        expires: None,
        digest: None,
        description: None,
        header: None,
        opaque: None,
    })
}

/// An open channel of a dollar, with what one request costs spent of it.
fn channel(seat: &Seat) -> Channel {
    let made_of = seat.made_of(B256::repeat_byte(1), B256::repeat_byte(2));
    let mut channel = Channel::of(seat, seat.id(&made_of), made_of, Life::Open);
    channel.deposit = Amount::new(1_000_000);
    (channel.signed, channel.accepted) = (Amount::new(1000), Amount::new(1000));
    channel.earned = channel.signed;
    (channel.charged, channel.said) = (Amount::new(1000), Some(Amount::new(1000)));
    channel
}

fn receipt(id: ChannelId, accepted: Amount, spent: Amount, hash: Option<&str>) -> Receipt {
    let members = SessionReceipt {
        channel_id: id.to_string(),
        challenge_id: String::new(),
        accepted_cumulative: accepted,
        spent,
        units: None,
        tx_hash: hash.map(str::to_owned),
    };
    Receipt {
        method: MethodName::from_static("tempo"),
        reference: id.to_string(),
        status: Status::Success,
        timestamp: Timestamp::from_unix(0, 0),
        external_id: None,
        extra: members.members(),
    }
}

fn nothing() -> Allowance {
    let to = Site { origin: "https://evil.example.com".into(), resource: "/".into() };
    Allowance { up_to: Amount::ZERO, to }
}

/// `stream_ahead`: "what is lost at most to one that takes it and serves nothing".
#[tokio::test]
async fn a_stream_that_serves_nothing_gets_no_more_than_what_it_may_be_ahead() {
    let (payer, asked) = (payer(), challenge());
    let demand = asked.read::<TempoSession>().unwrap();
    let seat = payer.seat(&demand).unwrap();
    let channel = channel(&seat);
    let (id, before) = (channel.id, channel.signed);
    payer.shelf.book().put(channel);
    // As many needs as a stream may send without one message between them (`events::NEEDS`).
    for _ in 0..16 {
        let signed = payer.shelf.channel(id).unwrap().signed;
        let required = signed.checked_add(Amount::new(50_000)).unwrap();
        let need = json!({
            "acceptedCumulative": signed.to_string(), "channelId": id.to_string(),
            "deposit": "1000000", "requiredCumulative": required.to_string(),
        });
        let Ok(Some(payment)) = payer.grant(&demand, &Wish::Need(need), &nothing()).await else {
            break;
        };
        let told = receipt(id, required, signed, None);
        payment.hold.unwrap().resolve(Outcome::Accepted(Box::new(told)));
    }
    let given = payer.shelf.channel(id).unwrap().signed.saturating_sub(before);
    assert!(given <= payer.limits.ahead, "{given} was given to a stream that served nothing");
}

/// S10: "success" without a chain transaction; a client forgets a funded channel.
#[tokio::test]
async fn s10_a_close_that_a_server_makes_up_forgets_no_funded_channel() {
    let payer = payer();
    let asked = challenge();
    let demand = asked.read::<TempoSession>().unwrap();
    let seat = payer.seat(&demand).unwrap();
    let channel = channel(&seat);
    let id = channel.id;
    payer.shelf.book().put(channel);
    payer.shelf.save_first(id).await.unwrap();
    let closing = payer.grant(&demand, &Wish::Close, &nothing()).await.unwrap().unwrap();
    let amount = closing.payload.voucher().unwrap().0;
    // No transaction was ever sent: the deposit of a dollar is where it was.
    let told = receipt(id, amount, amount, Some("0xnothing"));
    closing.hold.unwrap().resolve(Outcome::Accepted(Box::new(told)));
    // What every later payment does first.
    payer.shelf.sweep().await;
    assert!(!payer.channels().is_empty(), "the channel and its descriptor are forgotten");
    let cost = Cost { price: Amount::new(1000), step: Amount::ZERO, usual: Amount::new(100_000) };
    let next = payer.shelf.next(&seat, cost, &payer.limits);
    assert!(!matches!(next, Next::Open(_)), "a second deposit is made while the first is there");
}

/// A store into which another task of the same payer writes between a reading and its swap.
struct Between {
    there: Arc<Memory>,
    newer: Mutex<Option<Channel>>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

impl Store for Between {
    fn get<'a>(&'a self, key: &'a At) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.there.get(key)
    }
    fn swap<'a>(
        &'a self,
        key: &'a At,
        expect: Option<Of>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Of>, StoreError>> {
        Box::pin(async move {
            let newer = self.newer.lock().unwrap().take();
            if let Some(newer) = newer {
                let store = super::store::Kept::of(self.there.clone(), "agent");
                store.write(newer.id, || Some(newer.clone())).await?;
            }
            self.there.swap(key, expect, value, keep).await
        })
    }
    fn scan<'a>(
        &'a self,
        prefix: &'a At,
        after: Option<&'a At>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(At, Versioned)>, StoreError>> {
        self.there.scan(prefix, after, limit)
    }
}

/// `top_up.rs`: "A crash in here leaves a top-up in the store"; S14: double funding.
#[tokio::test]
async fn s14_a_voucher_that_is_written_late_takes_no_top_up_out_of_the_store() {
    let asked = challenge();
    let seat = payer().seat(&asked.read::<TempoSession>().unwrap()).unwrap();
    let memory = Arc::new(Memory::volatile());
    let store = Arc::new(Between { there: memory.clone(), newer: Mutex::default() });
    let channels = ChannelStore::open(store.clone(), "agent").await.unwrap();
    let channel = channel(&seat);
    let id = channel.id;
    channels.shelf.book().put(channel);
    channels.shelf.save_first(id).await.unwrap();
    // A voucher is being written; meanwhile a top-up is signed, written down (durably, as `save_first` says) and sent.
    let mut newer = channels.shelf.channel(id).unwrap();
    newer.adds(Amount::new(500_000), 2_000_000_000);
    *store.newer.lock().unwrap() = Some(newer);
    channels.shelf.save_first(id).await.unwrap();
    // The process dies, and another reads what was written.
    let after = ChannelStore::open(memory, "agent").await.unwrap();
    let read = after.shelf.channel(id).unwrap();
    assert!(read.is_adding(), "the top-up that is out is forgotten, and the next need adds again");
}

/// `stream_ahead` bounds a stream; a plain request of 1,000 with `minVoucherDelta` of 50,000 costs fifty times its price.
#[test]
fn a_request_costs_no_more_than_its_price_whatever_least_step_its_server_takes() {
    let asked = challenge();
    let seat = payer().seat(&asked.read::<TempoSession>().unwrap()).unwrap();
    let (mut channel, limits) = (channel(&seat), Limits::default());
    let before = channel.signed.get();
    for _ in 0..10 {
        let claim = channel.claim(Amount::new(1000), Amount::new(50_000), &limits).unwrap();
        let all = claim.cumulative;
        let told = SessionReceipt::read(&receipt(channel.id, all, all, None)).unwrap();
        channel.accepted(claim, Some(&told));
    }
    let paid = channel.signed.get() - before;
    assert!(paid <= 10 * 1000 + 50_000, "ten requests of 1,000 cost {paid}");
}

/// Ids are public, and any stream's receipt is heard: of whatever channel it names.
#[test]
fn a_receipt_of_one_server_says_nothing_of_another_ones_channel() {
    let payer = payer();
    let seat = Seat { version: Version::V1, ..payer.seat(&challenge().read().unwrap()).unwrap() };
    let mut channel = channel(&seat);
    channel.site = Some("https://honest.example.com".into());
    channel.signed = Amount::new(51_000);
    let id = channel.id;
    payer.shelf.book().put(channel);
    payer.hear(&receipt(id, Amount::new(51_000), Amount::new(51_000), None));
    let closes_at = payer.shelf.channel(id).unwrap().closing_at().get();
    assert_eq!(closes_at, 1000, "a close of version 1 gives away what it is signed for");
}

/// The same, by a server that refuses every other request first: no balance is left, it says.
#[test]
fn a_server_that_says_that_all_is_spent_gets_no_further_ahead_than_allowed() {
    let asked = challenge();
    let seat = payer().seat(&asked.read::<TempoSession>().unwrap()).unwrap();
    let (mut channel, limits) = (channel(&seat), Limits::default());
    let before = channel.signed.get();
    let mut problem: Problem = serde_json::from_value(json!({
        "type": "https://paymentauth.org/problems/session/insufficient-balance",
        "title": "", "status": 402, "detail": "",
    }))
    .unwrap();
    problem.extra.insert("requiredTopUp".into(), "50000".into());
    let (mut asked, mut refused) = (0, false);
    for round in 0..40 {
        let Ok(claim) = channel.claim(Amount::new(1000), Amount::new(50_000), &limits) else {
            refused = true;
            break;
        };
        asked += 1000;
        if round % 2 == 0 {
            channel.refused(claim, Some(&problem), &limits);
            continue;
        }
        let all = claim.cumulative;
        let told = SessionReceipt::read(&receipt(channel.id, all, all, None)).unwrap();
        channel.accepted(claim, Some(&told));
    }
    let paid = channel.signed.get() - before;
    assert!(paid <= asked + 50_000, "requests of {asked} in all cost {paid}");
    assert!(refused, "nothing more is signed for it");
}

/// Needs are asked without end, and every second one is followed by something that was delivered.
#[tokio::test]
async fn a_stream_gets_as_much_as_it_delivers_for() {
    let (payer, asked) = (payer(), challenge());
    let demand = asked.read::<TempoSession>().unwrap();
    let channel = channel(&payer.seat(&demand).unwrap());
    let (id, before) = (channel.id, channel.signed.get());
    payer.shelf.book().put(channel);
    let (mut given, mut refused) = (0, 0);
    for round in 0..8 {
        let signed = payer.shelf.channel(id).unwrap().signed;
        let need = json!({
            "acceptedCumulative": signed.to_string(), "channelId": id.to_string(),
            "deposit": "1000000", "requiredCumulative": (signed.get() + 50_000).to_string(),
        });
        match payer.grant(&demand, &Wish::Need(need), &nothing()).await {
            Ok(payment) => {
                drop(payment);
                given += 50_000;
            }
            Err(_) => refused += 1,
        }
        if round % 2 == 1 {
            payer.delivered(&demand);
        }
    }
    assert_eq!((given, refused), (4 * 50_000, 4));
    assert_eq!(payer.shelf.channel(id).unwrap().signed.get(), before + given);
}

/// A close is out and not answered: a need that comes in between is not signed for, and once the payer asked for its money back
/// no late answer makes the channel usable.
#[tokio::test]
async fn a_late_answer_undoes_no_close_that_was_forced() {
    let refused = || Outcome::Refused(None);
    let accepted = |id| Outcome::Accepted(Box::new(receipt(id, Amount::ZERO, Amount::ZERO, None)));
    for late in [0, 1] {
        let (payer, asked) = (payer(), challenge());
        let demand = asked.read::<TempoSession>().unwrap();
        let channel = channel(&payer.seat(&demand).unwrap());
        let id = channel.id;
        payer.shelf.book().put(channel);
        let closing = payer.grant(&demand, &Wish::Close, &nothing()).await.unwrap().unwrap();
        assert!(!payer.shelf.channel(id).unwrap().streams());
        payer.shelf.change(id, |channel| channel.life = Life::Leaving);
        closing.hold.unwrap().resolve(if late == 0 { refused() } else { accepted(id) });
        let now = payer.shelf.channel(id).unwrap();
        assert_eq!((now.life, now.now.closed), (Life::Leaving, false));
    }
}

/// What is written down of a top-up: a later one is never lost to an earlier writing, and one that was cleared up is not out again.
#[test]
fn of_two_writings_the_later_top_up_is_kept() {
    let asked = challenge();
    let seat = payer().seat(&asked.read::<TempoSession>().unwrap()).unwrap();
    let (none, mut out) = (channel(&seat), channel(&seat));
    out.adds(Amount::new(5), 100);
    let mut cleared = out.clone();
    cleared.adds_nothing();
    let mut next = cleared.clone();
    next.adds(Amount::new(7), 100);
    let cases = [
        (&none, &out, Some(5)),
        (&out, &none, Some(5)),
        (&cleared, &out, None),
        (&out, &cleared, None),
        (&next, &out, Some(7)),
        (&out, &next, Some(7)),
        (&next, &cleared, Some(7)),
        (&cleared, &next, Some(7)),
    ];
    for (ours, theirs, kept) in cases {
        let written = ours.clone().over(theirs);
        assert_eq!(written.adding.map(|adding| adding.amount.get()), kept, "{ours:?} {theirs:?}");
    }
}

/// A channel that was seen, and is missing with no log that it ended: once is a node that is behind, for long enough it is gone.
#[test]
fn a_channel_that_was_seen_is_missed_twice_before_it_has_ended() {
    let asked = challenge();
    let seat = payer().seat(&asked.read::<TempoSession>().unwrap()).unwrap();
    let chain = |at, gone, over| {
        let (deposit, settled) = (Amount::new(1_000_000), Amount::ZERO);
        OnChain { deposit, settled, closing: false, gone, over, at }
    };
    /// Second, gone, log of its end.
    type Reading = (u64, bool, bool);
    let cases: [(&[Reading], Life); 5] = [
        (&[(100, false, false), (500, true, false)], Life::Open),
        (&[(100, false, false), (500, true, false), (500 + MARGIN, true, false)], Life::Open),
        (&[(100, false, false), (500, true, false), (501 + MARGIN, true, false)], Life::Ended),
        (
            &[(1, false, false), (50, true, false), (60, false, false), (99 + MARGIN, true, false)],
            Life::Open,
        ),
        (&[(100, false, false), (101, true, true)], Life::Ended),
    ];
    for (readings, life) in cases {
        let mut channel = channel(&seat);
        for (at, gone, over) in readings {
            channel.seen(&chain(*at, *gone, *over), MARGIN);
        }
        assert_eq!(channel.life, life, "{readings:?}");
    }
}

/// Sellers ask for a batch at a time. A dear unit's batch is more than is given ahead: it is given in part, and the stream goes on.
#[tokio::test]
async fn a_need_that_goes_too_far_ahead_is_met_as_far_as_it_may_be() {
    let (payer, asked) = (payer(), challenge());
    let demand = asked.read::<TempoSession>().unwrap();
    let seat = payer.seat(&demand).unwrap();
    let channel = channel(&seat);
    let (id, before) = (channel.id, channel.signed);
    payer.shelf.book().put(channel);
    let need = |accepted: Amount| {
        Wish::Need(json!({
            "acceptedCumulative": accepted.to_string(), "channelId": id.to_string(), "deposit": "1000000",
            "requiredCumulative": accepted.checked_add(Amount::new(160_000)).unwrap().to_string(),
        }))
    };
    let wish = need(before);
    let payment = payer.grant(&demand, &wish, &nothing()).await.unwrap().unwrap();
    let given = payment.payload.voucher().unwrap().0;
    assert_eq!(given.saturating_sub(before), payer.limits.ahead);
    let told = receipt(id, given, before, None);
    payment.hold.unwrap().resolve(Outcome::Accepted(Box::new(told)));
    assert!(payer.grant(&demand, &wish, &nothing()).await.unwrap().is_none(), "met in part");
    // Nothing was delivered since, so there is no more; what is delivered earns more.
    assert!(payer.grant(&demand, &need(given), &nothing()).await.is_err());
    payer.delivered(&demand);
    assert!(payer.grant(&demand, &need(given), &nothing()).await.unwrap().is_some());
}
