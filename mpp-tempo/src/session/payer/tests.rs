//! Any interleaving of payments, answers, silence, top-ups, closes and restarts, against a server that counts for itself.

use std::{collections::HashMap, sync::Arc};

use alloy::primitives::{Address, B256};
use mpp_core::{
    Amount, Receipt, Timestamp,
    name::MethodName,
    payer::{Hold, Outcome},
    problem::Problem,
    receipt::Status,
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{ChannelId, SessionReceipt},
    channel::{Channel, Life, OnChain},
    limits::Limits,
    open::opens,
    seat::{Seat, Version},
    shelf::{Claim, Cost, Next, Shelf},
    store::ChannelStore,
    top_up::adds,
};
use crate::chain::{look::MARGIN, reserve::CHANNEL_RESERVE};

const LIFE: u64 = 25;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody pays so much.
    Pay(u8),
    /// The server takes one of the credentials that are out, and answers.
    Serve(u8),
    /// The server sends the transaction of one, and says nothing yet.
    Mine(u8),
    /// The server does as if it took one, and does nothing.
    Lie(u8),
    /// An answer is lost, whether the server took the credential or not.
    Lose(u8, bool),
    /// The server refuses one, and sends its transaction all the same where it has one.
    Refuse(u8, bool),
    /// The server says that the channel is gone.
    Gone(u8),
    /// A stream asks for so much more.
    Need(u8),
    /// A stream delivers something.
    Deliver,
    /// So many seconds pass.
    Wait(u8),
    /// The server ends the channel on the chain.
    End,
    /// The process dies, and comes back with what it wrote down.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_u8..5).prop_map(Step::Pay),
        8 => any::<u8>().prop_map(Step::Serve),
        2 => any::<u8>().prop_map(Step::Mine),
        1 => any::<u8>().prop_map(Step::Lie),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(at, took)| Step::Lose(at, took)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(at, sent)| Step::Refuse(at, sent)),
        1 => any::<u8>().prop_map(Step::Gone),
        2 => (1_u8..8).prop_map(Step::Need),
        1 => Just(Step::Deliver),
        3 => (1_u8..90).prop_map(Step::Wait),
        1 => Just(Step::End),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// A credential that has left.
struct Sent {
    id: ChannelId,
    what: What,
    until: u64,
    hold: Hold,
}

#[derive(Clone, Copy)]
enum What {
    Open { deposit: u128, total: u128, cost: u128 },
    TopUp { key: u64, amount: u128 },
    Voucher { total: u128, cost: u128 },
}

/// What the server and the chain know of a channel.
#[derive(Clone, Copy, Default)]
struct There {
    deposit: u128,
    ended: bool,
    accepted: u128,
    spent: u128,
}

struct World {
    shelf: Arc<Shelf>,
    limits: Limits,
    seat: Seat,
    at: u64,
    count: u64,
    there: HashMap<ChannelId, There>,
    mined: Vec<u64>,
    /// Top-ups that the server said it took.
    believed: Vec<u64>,
    /// Transactions that were signed: channel, a name of its own, what they deposit, until when.
    signed: Vec<(ChannelId, u64, u128, u64)>,
    out: Vec<Sent>,
    highest: HashMap<ChannelId, Amount>,
    honest: bool,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            max_deposit: Amount::new(40),
            max_price: None,
            deposit: Some(Amount::new(10)),
            top_up: Some(Amount::new(7)),
            top_up_below: None,
            ahead: Amount::new(6),
        };
        let address = Address::repeat_byte;
        let seat = Seat {
            version: Version::V2,
            chain_id: 42431,
            escrow: CHANNEL_RESERVE,
            payer: address(1),
            payee: address(2),
            operator: Address::ZERO,
            token: address(3),
            signer: address(1),
        };
        Self {
            shelf: ChannelStore::default().shelf,
            limits,
            seat,
            at: 1000,
            count: 0,
            there: HashMap::new(),
            mined: Vec::new(),
            believed: Vec::new(),
            signed: Vec::new(),
            out: Vec::new(),
            highest: HashMap::new(),
            honest: true,
        }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn pay(&mut self, cost: u128) {
        for _ in 0..4 {
            let price = Amount::new(cost);
            let asked = Cost { price, step: Amount::ZERO, usual: Amount::new(7) };
            match self.shelf.next(&self.seat, asked, &self.limits) {
                Next::Voucher(claim) => {
                    let (id, total) = (claim.id, claim.claimed.cumulative.get());
                    let what = What::Voucher { total, cost };
                    return self.sent(id, what, u64::MAX, claim.hold());
                }
                Next::Open(mut turn) => {
                    let number = self.number();
                    let salt = B256::left_padding_from(&number.to_be_bytes());
                    let made_of = self.seat.made_of(salt, salt);
                    let id = self.seat.id(&made_of);
                    let (deposit, until) = (self.limits.first(price, None), self.at + LIFE);
                    let mut channel = Channel::of(&self.seat, id, made_of, Life::Opening);
                    (channel.deposit, channel.until) = (deposit, until);
                    channel.now.busy = true;
                    let claimed = channel.claim(price, Amount::ZERO, &self.limits).unwrap();
                    turn.opens(channel);
                    let claim = Claim::new(&self.shelf, id, claimed, self.limits);
                    turn.hand_over();
                    self.signed.push((id, number, deposit.get(), until));
                    let total = claimed.cumulative.get();
                    let what = What::Open { deposit: deposit.get(), total, cost };
                    return self.sent(id, what, until, opens(&self.shelf, claim));
                }
                Next::TopUp(turn, more) => {
                    let id = self.shelf.book().at(&self.seat).unwrap().id;
                    let (key, until) = (self.number(), self.at + LIFE);
                    self.shelf.change(id, |channel| channel.adds(more, until));
                    turn.hand_over();
                    self.signed.push((id, key, more.get(), until));
                    let what = What::TopUp { key, amount: more.get() };
                    return self.sent(id, what, until, adds(&self.shelf, id, "challenge"));
                }
                Next::Ask(id) => self.check(id),
                Next::Wait | Next::Never(_) => return,
            }
        }
    }

    fn sent(&mut self, id: ChannelId, what: What, until: u64, hold: Hold) {
        self.out.push(Sent { id, what, until, hold });
    }

    fn check(&mut self, id: ChannelId) {
        let there = self.there.get(&id).copied().unwrap_or_default();
        let gone = there.deposit == 0 || there.ended;
        let chain = OnChain {
            deposit: Amount::new(if gone { 0 } else { there.deposit }),
            settled: Amount::ZERO,
            closing: false,
            gone,
            over: there.ended,
            at: self.at,
        };
        self.shelf.change(id, |channel| channel.seen(&chain, MARGIN));
    }

    /// Sends what a credential carries, while that can be mined.
    fn mine(&mut self, id: ChannelId, what: What, until: u64) {
        let there = self.there.entry(id).or_default();
        let can = self.at < until && !there.ended;
        match what {
            What::TopUp { key, amount }
                if can && there.deposit > 0 && !self.mined.contains(&key) =>
            {
                self.mined.push(key);
                there.deposit += amount;
            }
            What::Open { deposit, .. } if can && there.deposit == 0 => there.deposit = deposit,
            _ => {}
        }
    }

    /// What the server does with a credential, where it is honest: what it answers.
    fn serve(&mut self, id: ChannelId, what: What, until: u64) -> Outcome {
        self.mine(id, what, until);
        let there = self.there.entry(id).or_default();
        if there.ended {
            return refused("session/channel-finalized", json!({}));
        }
        let (total, cost) = match what {
            What::TopUp { key, .. } if self.mined.contains(&key) => {
                self.believed.push(key);
                return accepted(id, there);
            }
            What::Open { total, cost, .. } | What::Voucher { total, cost } if there.deposit > 0 => {
                (total, cost)
            }
            _ => return refused("verification-failed", json!({})),
        };
        if total > there.deposit {
            return refused("session/amount-exceeds-deposit", json!({}));
        }
        if total < there.accepted {
            return refused("verification-failed", json!({"reason": "lower-voucher"}));
        }
        there.accepted = total;
        let short = cost.saturating_sub(there.accepted - there.spent);
        if short > 0 {
            let extra = json!({"requiredTopUp": short.to_string()});
            return refused("session/insufficient-balance", extra);
        }
        there.spent += cost;
        accepted(id, there)
    }

    fn pick(&mut self, at: u8) -> Option<Sent> {
        let count = self.out.len();
        (count > 0).then(|| self.out.remove(usize::from(at) % count))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pay(cost) => self.pay(cost.into()),
            Step::Serve(at) => {
                let Some(sent) = self.pick(at) else { return };
                let told = self.serve(sent.id, sent.what, sent.until);
                sent.hold.resolve(told);
            }
            Step::Mine(at) => {
                let Some(sent) = self.pick(at) else { return };
                self.mine(sent.id, sent.what, sent.until);
                self.out.push(sent);
            }
            Step::Lie(at) => {
                let Some(sent) = self.pick(at) else { return };
                self.honest = false;
                if let What::TopUp { key, .. } = sent.what {
                    self.believed.push(key);
                }
                let there = self.there.get(&sent.id).copied().unwrap_or_default();
                sent.hold.resolve(accepted(sent.id, &there));
            }
            Step::Lose(at, took) => {
                let Some(sent) = self.pick(at) else { return };
                if took {
                    self.serve(sent.id, sent.what, sent.until);
                }
                drop(sent.hold);
            }
            Step::Refuse(at, mined) => {
                let Some(sent) = self.pick(at) else { return };
                if mined {
                    self.honest = false;
                    self.serve(sent.id, sent.what, sent.until);
                }
                sent.hold.resolve(refused("verification-failed", json!({})));
            }
            Step::Gone(at) => {
                let Some(sent) = self.pick(at) else { return };
                sent.hold.resolve(refused("session/channel-not-found", json!({})));
            }
            Step::Need(more) => {
                let Some((id, signed)) =
                    self.shelf.book().at(&self.seat).map(|channel| (channel.id, channel.signed))
                else {
                    return;
                };
                let required = Amount::new(signed.get() + u128::from(more));
                let unit = Amount::new(1);
                let _ =
                    self.shelf.change(id, |channel| channel.raise_to(required, unit, &self.limits));
            }
            Step::Deliver => {
                let at = self.shelf.book().at(&self.seat).map(|channel| channel.id);
                at.map(|id| self.shelf.change(id, Channel::delivered));
            }
            Step::Wait(seconds) => self.at += u64::from(seconds),
            Step::End => {
                let at = self.shelf.book().at(&self.seat).map(|channel| channel.id);
                if let Some(there) = at.and_then(|id| self.there.get_mut(&id))
                    && there.deposit > 0
                {
                    there.ended = true;
                }
            }
            Step::Restart => {
                let kept: Vec<Channel> =
                    self.shelf.book().channels.values().map(|c| c.clone().kept()).collect();
                let text = serde_json::to_string(&kept).unwrap();
                let read: Vec<Channel> = serde_json::from_str(&text).unwrap();
                assert_eq!(read, kept);
                self.out.clear();
                let store = ChannelStore::default();
                read.into_iter().for_each(|channel| store.shelf.book().put(channel));
                self.shelf = store.shelf;
            }
        }
    }

    /// Whether a transaction opens its channel.
    fn opens(&self, signed: &(ChannelId, u64, u128, u64)) -> bool {
        self.signed.iter().find(|(id, ..)| *id == signed.0).is_some_and(|first| first.1 == signed.1)
    }

    fn holds(&mut self) {
        let book = self.shelf.book();
        for channel in book.channels.values() {
            let before = self.highest.insert(channel.id, channel.signed).unwrap_or_default();
            assert!(channel.signed >= before, "what was signed never falls");
            assert!(channel.signed <= self.limits.max_deposit);
            assert!(channel.counted() <= channel.signed, "{channel:?}");
            let ahead = channel.signed.checked_sub(channel.earned).unwrap();
            assert!(ahead <= self.limits.ahead, "{channel:?}");
            assert!(channel.accepted <= channel.signed && channel.said <= Some(channel.signed));
            assert!(channel.closing_at() <= channel.signed);
            let there = self.there.get(&channel.id).copied().unwrap_or_default();
            assert!(there.spent <= channel.signed.get());
            if self.honest && channel.life == Life::Open && !there.ended && there.deposit > 0 {
                assert!(channel.signed.get() <= there.deposit, "{channel:?}");
            }
        }
        // Whatever of it the server sends: no two channels of one payee hold, or can come to hold, money at once, and none more
        // than allowed.
        let mut alive: HashMap<ChannelId, u128> = HashMap::new();
        for (id, key, amount, until) in &self.signed {
            let there = self.there.get(id).copied().unwrap_or_default();
            let opened = there.deposit > 0;
            let opening = self.signed.iter().find(|(other, ..)| other == id).unwrap();
            let mined = if opening.1 == *key { opened } else { self.mined.contains(key) };
            // Nothing is added to what never came to be.
            let comes = self.at < *until && (opened || self.at < opening.3);
            if !there.ended && (mined || comes) {
                *alive.entry(*id).or_default() += amount;
            }
        }
        let open = |(id, key, _, until): &&(ChannelId, u64, u128, u64)| {
            let ended = self.there.get(id).is_none_or(|there| there.ended || there.deposit == 0);
            let opens = self.signed.iter().any(|first| first.1 == *key && self.opens(first));
            !ended
                && !opens
                && self.at < *until
                && !self.mined.contains(key)
                && !self.believed.contains(key)
        };
        assert!(self.signed.iter().filter(open).count() <= 1, "two top-ups for one need");
        assert!(alive.len() <= 1, "{} channels at once", alive.len());
        assert!(alive.values().all(|deposit| *deposit <= self.limits.max_deposit.get()));
    }
}

fn accepted(id: ChannelId, there: &There) -> Outcome {
    let members = SessionReceipt {
        channel_id: id.to_string(),
        challenge_id: String::new(),
        accepted_cumulative: Amount::new(there.accepted),
        spent: Amount::new(there.spent),
        units: None,
        tx_hash: None,
    };
    Outcome::Accepted(Box::new(Receipt {
        method: MethodName::from_static("tempo"),
        reference: id.to_string(),
        status: Status::Success,
        timestamp: Timestamp::from_unix(0, 0),
        external_id: None,
        extra: members.members(),
    }))
}

fn refused(suffix: &str, extra: serde_json::Value) -> Outcome {
    let kind = format!("https://paymentauth.org/problems/{suffix}");
    let problem: Problem =
        serde_json::from_value(json!({"type": kind, "title": "", "status": 402, "detail": ""}))
            .unwrap();
    let extra = extra.as_object().cloned().unwrap_or_default();
    Outcome::Refused(Some(Box::new(Problem { extra, ..problem })))
}

/// A channel with ten in it, and seven more on the way.
fn topping_up() -> Channel {
    let world = World::new();
    let made_of = world.seat.made_of(B256::ZERO, B256::ZERO);
    let mut channel = Channel::of(&world.seat, world.seat.id(&made_of), made_of, Life::Open);
    channel.deposit = Amount::new(10);
    channel.adds(Amount::new(7), 100);
    channel.now.busy = true;
    channel
}

fn on_chain(deposit: u128, at: u64) -> OnChain {
    let (deposit, settled) = (Amount::new(deposit), Amount::ZERO);
    OnChain { deposit, settled, closing: false, gone: deposit.is_zero(), over: false, at }
}

#[test]
fn a_top_up_is_counted_once_whoever_tells_of_it_first() {
    let mut channel = topping_up();
    channel.seen(&on_chain(17, 50), MARGIN);
    channel.added();
    assert_eq!(channel.deposit.get(), 17);
    let mut channel = topping_up();
    channel.added();
    channel.now.busy = false;
    channel.seen(&on_chain(17, 50), MARGIN);
    assert_eq!((channel.deposit.get(), channel.adding), (17, None));
}

#[test]
fn a_top_up_that_was_said_to_be_taken_is_missed_only_once_its_time_is_over() {
    for (at, deposit) in [(50, 17), (100 + MARGIN, 17), (101 + MARGIN, 10)] {
        let mut channel = topping_up();
        channel.added();
        channel.now.busy = false;
        channel.seen(&on_chain(10, at), MARGIN);
        assert_eq!(channel.deposit.get(), deposit, "{at}");
    }
}

#[test]
fn a_refused_close_is_signed_for_more_only_where_the_contract_takes_no_more_than_was_spent() {
    let refused = |extra: serde_json::Value| match refused("verification-failed", extra) {
        Outcome::Refused(Some(problem)) => problem,
        _ => unreachable!(),
    };
    let told = json!({"spent": "5"});
    let cases: [(Version, Option<&serde_json::Value>, &[u128]); 4] = [
        (Version::V2, None, &[3, 6, 9]),
        (Version::V2, Some(&told), &[3, 5]),
        (Version::V1, None, &[3]),
        (Version::V1, Some(&told), &[3, 5]),
    ];
    for (version, told, amounts) in cases {
        let mut channel = topping_up();
        channel.version = version;
        channel.signed = Amount::new(9);
        (channel.said, channel.charged) = (Some(Amount::new(3)), Amount::new(6));
        let problem = told.cloned().map(refused);
        for amount in amounts {
            assert!(!channel.now.close_stuck);
            assert_eq!(channel.closing_at().get(), *amount, "{version:?} {told:?}");
            channel.close_refused(problem.as_deref());
        }
        let last = channel.closing_at();
        channel.close_refused(None);
        let stuck = version == Version::V1 || last == channel.signed;
        assert_eq!(channel.now.close_stuck, stuck, "{version:?} {told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn s10_no_interleaving_signs_less_than_before_more_than_there_is_or_for_two_deposits(
        steps in steps(),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.holds();
        }
    }

    /// Where every answer comes, whatever their order, a close is for exactly what the server counts, and what was paid for is
    /// served.
    #[test]
    fn a_close_is_for_exactly_what_was_spent(
        steps in prop::collection::vec(
            prop_oneof![
                (1_u8..4).prop_map(Step::Pay),
                any::<u8>().prop_map(Step::Serve),
            ],
            1..60,
        ),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.holds();
        }
        while !world.out.is_empty() {
            world.step(&Step::Serve(0));
        }
        for channel in world.shelf.book().channels.values() {
            let there = world.there[&channel.id];
            prop_assert_eq!(channel.closing_at().get(), there.spent);
            prop_assert_eq!(channel.deposit.get(), there.deposit);
            prop_assert!(channel.now.in_flight.is_zero());
        }
    }
}
