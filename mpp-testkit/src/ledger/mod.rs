//! What the ledger must do over any store: the suite that every store of ours passes behind a real gate.

mod life;

use std::{future::Future, sync::Arc};

use mpp_core::{problem::Reason, store::Store};
use mpp_server::{Admission, Permit, answer::Answer, permit::Ending};

use self::life::{Ask, Life, Why, route, until, why};
use crate::{
    clock::Hands,
    rail::{Act, Rail, Step},
};

/// Opens a store. Each call gives a handle to one and the same store.
///
/// The suite opens one handle per life of a server, on that life's own runtime, and drops it with everything else of that
/// life. Where lives overlap it opens the second while the first is in use: a store that one process opens once gives
/// clones of one handle.
pub trait Factory: Send + Sync {
    /// Opens a handle.
    fn open(&self) -> impl Future<Output = Arc<dyn Store>> + Send + 'static;
}

impl<F, Fut> Factory for F
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Arc<dyn Store>> + Send + 'static,
{
    fn open(&self) -> impl Future<Output = Arc<dyn Store>> + Send + 'static {
        self()
    }
}

/// How many copies of one credential come at once.
const COPIES: usize = 1_000;

const IN_FLIGHT: Why = (403, Reason::IN_FLIGHT, 0);
const USED: Why = (402, Reason::ALREADY_USED, 1);
const UNKNOWN: Why = (503, Reason::OUTCOME_UNKNOWN, 0);

/// Runs a gate over a store through copies, crashes, races and both orders of money. The store must hold no payments but
/// those of this suite, and nothing here waits for a clock.
///
/// Run it on a runtime with several threads.
///
/// # Panics
/// Where the ledger, over this store, misbehaves; the message says how.
pub async fn suite<F: Factory>(store: F) {
    let store = &store;
    what_a_crash_left_open_is_counted_and_gone_on_with(store).await;
    of_a_thousand_copies_one_is_paid_and_delivered(store).await;
    of_two_servers_one_takes_the_money_and_serves(store).await;
    an_unknown_outcome_is_asked_after_in_the_next_life(store).await;
    every_state_is_gone_on_with_after_a_crash(store).await;
    a_server_that_is_alone_waits_for_no_lease(store).await;
    what_is_over_stays_over_after_a_crash(store).await;
    the_money_moves_for_a_success_and_for_nothing_else(store).await;
    what_was_reserved_is_served_again_after_a_crash(store).await;
    an_answer_is_given_again_in_the_next_life(store).await;
    one_proof_pays_for_one_challenge(store).await;
    nothing_is_left_open(store).await;
}

/// A rail, a route to it, a clock: what outlives a server.
struct Town {
    rail: Arc<Rail>,
    clock: Hands,
}

impl Town {
    fn new() -> Self {
        Self { rail: Rail::new(), clock: Hands::new() }
    }

    async fn life<F: Factory>(&self, store: &F) -> Life {
        Life::begin(store, &self.clock, |gate| gate).await
    }

    fn taken_once_each(&self, times: usize) {
        assert_eq!(self.rail.taken(), times, "the rail took another number of payments");
        assert_eq!(self.rail.sent_again(), 0, "an order was sent again that was settled already");
    }
}

async fn delivered(permit: Permit) {
    permit.finish(Ending::Delivered).await.expect("a delivery can be written down");
}

async fn not_delivered(permit: Permit) {
    permit.finish(Ending::NotDelivered).await.expect("a turn can be given back");
}

async fn what_a_crash_left_open_is_counted_and_gone_on_with<F: Factory>(store: &F) {
    let town = Town::new();
    let (gone, dead) = (Rail::at("a place that closed"), Rail::at("a place that refuses"));
    let (here, there, void) = (route(&town.rail), route(&gone), route(&dead));
    let life = town.life(store).await;
    for rail in [&town.rail, &gone, &dead] {
        rail.next(Step::Settle, [Act::TakesAndIsMute]);
    }
    town.rail.next(Step::Settle, [Act::NeverHears]);
    for route in [&here, &here, &there, &void] {
        let (credential, _) = life.coupon(route).await;
        assert_eq!(life.refused(Ask::of(route, &credential)).await, UNKNOWN);
    }
    let (settled, _) = life.coupon(&here).await;
    not_delivered(life.serve(Ask::of(&here, &settled)).await).await;
    let (serving, _) = life.coupon(&here).await;
    let served = life.serve(Ask::of(&here, &serving)).await;
    let (reserved, _) = life.coupon(&here).await;
    let held = life.serve(Ask::of(&here.clone().charge_on_success(), &reserved)).await;
    life.die().await;
    drop((served, held));

    let life = town.life(store).await;
    life.leases_end();
    dead.always(Step::Reconcile, Act::Refuses);
    life.gate.recovers(&here);
    life.gate.recovers(&void);
    let gate = life.gate.clone();
    let found = life.run(async move { gate.recover().await }).await.expect("the store answers");
    let counts = (found.settled, found.failed, found.open, found.elsewhere, found.redeemable);
    assert_eq!(counts, (2, 1, 0, 1, 2), "settled, failed, open, elsewhere, redeemable: {found:?}");
    assert_eq!((found.reserved, found.dropped, found.unreadable), (1, 0, 0), "{found:?}");

    life.gate.recovers(&there);
    let gate = life.gate.clone();
    let again = life.run(async move { gate.recover().await }).await.expect("the store answers");
    assert_eq!((again.settled, again.redeemable, again.reserved), (1, 4, 1), "{again:?}");
    town.clock.advance(std::time::Duration::from_secs(600));
    let gate = life.gate.clone();
    let last = life.run(async move { gate.recover().await }).await.expect("the store answers");
    assert_eq!((last.dropped, last.redeemable, last.reserved), (1, 5, 0), "{last:?}");
    for credential in [settled, serving] {
        delivered(life.serve(Ask::of(&here, &credential)).await).await;
    }
    town.taken_once_each(4);
    life.die().await;
}

async fn of_a_thousand_copies_one_is_paid_and_delivered<F: Factory>(store: &F) {
    let town = Town::new();
    let (life, route) = (town.life(store).await, route(&town.rail));
    let (credential, _) = life.coupon(&route).await;
    let all = async || {
        let copies: Vec<_> =
            (0..COPIES).map(|_| life.start(Ask::of(&route, &credential))).collect();
        let (mut permits, mut refusals) = (Vec::new(), Vec::new());
        for copy in copies {
            match copy.await.expect("judging does not panic") {
                Ok(Admission::Serve(permit)) => permits.push(permit),
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => refusals.push(why(&refusal)),
            }
        }
        (permits, refusals)
    };
    let (mut permits, refusals) = all().await;
    assert_eq!((permits.len(), refusals.len()), (1, COPIES - 1), "one copy of all is served");
    let wrong = refusals.iter().find(|refusal| **refusal != IN_FLIGHT);
    assert_eq!(wrong, None, "a copy of a payment that is being served was told something else");
    delivered(permits.remove(0)).await;
    let (permits, refusals) = all().await;
    assert!(permits.is_empty(), "a delivered payment was served again");
    let wrong = refusals.iter().find(|refusal| **refusal != USED);
    assert_eq!(wrong, None, "a copy of a delivered payment was told something else");
    town.taken_once_each(1);
    life.die().await;
}

async fn of_two_servers_one_takes_the_money_and_serves<F: Factory>(store: &F) {
    for on_success in [false, true] {
        let town = Town::new();
        let lives = [town.life(store).await, town.life(store).await];
        let mut route = route(&town.rail);
        if on_success {
            route = route.charge_on_success();
        }
        for _ in 0..10 {
            let (credential, _) = lives[0].coupon(&route).await;
            let copies: Vec<_> =
                (0..20).map(|i| lives[i % 2].start(Ask::of(&route, &credential))).collect();
            let mut permits = Vec::new();
            for copy in copies {
                match copy.await.expect("judging does not panic") {
                    Ok(Admission::Serve(permit)) => permits.push(permit),
                    Ok(other) => panic!("{other:?}"),
                    Err(refusal) => assert_eq!(why(&refusal), IN_FLIGHT),
                }
            }
            assert_eq!(permits.len(), 1, "of two servers one serves");
            delivered(permits.remove(0)).await;
            for life in &lives {
                assert_eq!(life.refused(Ask::of(&route, &credential)).await, USED);
            }
        }
        town.taken_once_each(10);
        for life in lives {
            life.die().await;
        }
    }
}

async fn an_unknown_outcome_is_asked_after_in_the_next_life<F: Factory>(store: &F) {
    for act in [Act::TakesAndIsMute, Act::NeverHears, Act::Panics, Act::TakesAndPanics] {
        for dies in [false, true] {
            let town = Town::new();
            let (mut life, route) = (town.life(store).await, route(&town.rail));
            town.rail.next(Step::Settle, [act]);
            let (credential, code) = life.coupon(&route).await;
            let ask = || Ask::of(&route, &credential);
            assert_eq!(life.refused(ask()).await, UNKNOWN, "{act:?}");
            if dies {
                life.die().await;
                life = town.life(store).await;
            }
            // Its challenge is over by then: what may have been paid is asked after all the same.
            town.clock.advance(std::time::Duration::from_secs(900));
            delivered(life.serve(ask()).await).await;
            assert!(town.rail.took(&code));
            town.taken_once_each(1);
            life.die().await;
        }
    }
}

async fn every_state_is_gone_on_with_after_a_crash<F: Factory>(store: &F) {
    // Killed while it settles: before the rail heard, and after.
    for act in [Act::Hangs, Act::TakesAndHangs] {
        let town = Town::new();
        let (life, route) = (town.life(store).await, route(&town.rail));
        town.rail.next(Step::Settle, [act]);
        let (credential, _) = life.coupon(&route).await;
        let asked = life.start(Ask::of(&route, &credential));
        until("the rail is asked to settle", || town.rail.asked(Step::Settle) == 1).await;
        life.die().await;
        drop(asked);
        let life = town.life(store).await;
        assert_eq!(life.refused(Ask::of(&route, &credential)).await, IN_FLIGHT, "{act:?}");
        life.leases_end();
        delivered(life.serve(Ask::of(&route, &credential)).await).await;
        town.taken_once_each(1);
        life.die().await;
    }
    // Killed when it had settled, and while it served.
    for serving in [false, true] {
        let town = Town::new();
        let (life, route) = (town.life(store).await, route(&town.rail));
        let (credential, _) = life.coupon(&route).await;
        let permit = life.serve(Ask::of(&route, &credential)).await;
        let held = if serving {
            Some(permit)
        } else {
            not_delivered(permit).await;
            None
        };
        life.die().await;
        drop(held);
        let life = town.life(store).await;
        if serving {
            assert_eq!(life.refused(Ask::of(&route, &credential)).await, IN_FLIGHT);
            life.leases_end();
        }
        delivered(life.serve(Ask::of(&route, &credential)).await).await;
        town.taken_once_each(1);
        life.die().await;
    }
}

async fn a_server_that_is_alone_waits_for_no_lease<F: Factory>(store: &F) {
    let town = Town::new();
    let (life, route) = (town.life(store).await, route(&town.rail));
    let (credential, _) = life.coupon(&route).await;
    let held = life.serve(Ask::of(&route, &credential)).await;
    life.die().await;
    drop(held);
    let life = Life::begin(store, &town.clock, |gate| gate.alone()).await;
    let permit = life.serve(Ask::of(&route, &credential)).await;
    // Of its own turns it knows all the same.
    assert_eq!(life.refused(Ask::of(&route, &credential)).await, IN_FLIGHT);
    delivered(permit).await;
    town.taken_once_each(1);
    life.die().await;
}

async fn what_is_over_stays_over_after_a_crash<F: Factory>(store: &F) {
    let town = Town::new();
    let (life, route) = (town.life(store).await, route(&town.rail));
    let (paid, _) = life.coupon(&route).await;
    delivered(life.serve(Ask::of(&route, &paid)).await).await;
    town.rail.next(Step::Settle, [Act::Refuses]);
    let (void, _) = life.coupon(&route).await;
    assert_eq!(life.refused(Ask::of(&route, &void)).await, (402, Reason::BAD_PROOF, 1));
    life.die().await;
    let life = town.life(store).await;
    for credential in [&paid, &void] {
        assert_eq!(life.refused(Ask::of(&route, credential)).await, USED);
    }
    town.taken_once_each(1);
    life.die().await;
}

async fn the_money_moves_for_a_success_and_for_nothing_else<F: Factory>(store: &F) {
    let town = Town::new();
    let life = town.life(store).await;
    let route = route(&town.rail).charge_on_success();
    let (credential, code) = life.coupon(&route).await;
    let ask = || Ask::of(&route, &credential);
    for _ in 0..2 {
        let permit = life.serve(ask()).await;
        assert!(permit.receipt().is_none(), "a receipt before the money moved");
        not_delivered(permit).await;
    }
    drop(life.serve(ask()).await);
    town.taken_once_each(0);
    until("the dropped turn is given back", || town.rail.asked(Step::Check) >= 3).await;
    let mut permit = loop {
        match life.judge(ask()).await {
            Ok(Admission::Serve(permit)) => break permit,
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => assert_eq!(why(&refusal), IN_FLIGHT),
        }
    };
    let permit = life
        .run(async move {
            permit.charge().await.expect("a good coupon is taken");
            permit
        })
        .await;
    assert_eq!(permit.receipt().map(|r| r.reference.clone()), Some(code));
    delivered(permit).await;
    assert_eq!(life.refused(ask()).await, USED);
    town.taken_once_each(1);

    // Refused, unknown: nothing is handed over, and who may have paid is not asked again.
    for (act, told) in [
        (Act::Refuses, (402, Reason::BAD_PROOF, 1)),
        (Act::TakesAndIsMute, UNKNOWN),
        (Act::NeverHears, UNKNOWN),
    ] {
        let (credential, _) = life.coupon(&route).await;
        let mut permit = life.serve(Ask::of(&route, &credential)).await;
        town.rail.next(Step::Settle, [act]);
        let refusal = life.run(async move { permit.charge().await }).await;
        let refusal = refusal.expect_err("what was not taken was charged");
        assert_eq!(why(&refusal), told, "{act:?}");
        life.leases_end();
        if told == UNKNOWN {
            delivered(life.serve(Ask::of(&route, &credential)).await).await;
        } else {
            assert_eq!(life.refused(Ask::of(&route, &credential)).await, USED);
        }
    }
    town.taken_once_each(3);
    life.die().await;
}

async fn what_was_reserved_is_served_again_after_a_crash<F: Factory>(store: &F) {
    let town = Town::new();
    let route = route(&town.rail).charge_on_success();
    let life = town.life(store).await;
    let (credential, _) = life.coupon(&route).await;
    let held = life.serve(Ask::of(&route, &credential)).await;
    life.die().await;
    drop(held);
    let life = town.life(store).await;
    assert_eq!(life.refused(Ask::of(&route, &credential)).await, IN_FLIGHT);
    life.leases_end();
    let permit = life.serve(Ask::of(&route, &credential)).await;
    town.taken_once_each(0);
    delivered(permit).await;
    town.taken_once_each(1);
    life.die().await;
}

async fn an_answer_is_given_again_in_the_next_life<F: Factory>(store: &F) {
    let town = Town::new();
    let (life, route) = (town.life(store).await, route(&town.rail));
    let (credential, code) = life.coupon(&route).await;
    let ask = || Ask::of(&route, &credential).named("order 1");
    let mut permit = life.serve(ask()).await;
    assert!(permit.keeps().is_some_and(|most| most >= 4), "a named request is kept");
    let fields = vec![("content-type".to_owned(), "text/plain".to_owned())];
    permit.keep(Answer::new(200, fields, b"joke".to_vec()));
    assert_eq!(life.refused(ask()).await, IN_FLIGHT, "not delivered yet");
    delivered(permit).await;
    for _ in 0..2 {
        let life = town.life(store).await;
        match life.judge(ask()).await {
            Ok(Admission::Replay { receipt, answer }) => {
                assert_eq!(receipt.map(|r| r.reference), Some(code.clone()));
                assert_eq!((answer.status, &*answer.body), (200, &b"joke"[..]));
                assert_eq!(answer.headers.len(), 1);
            }
            other => panic!("what was delivered is not given again: {other:?}"),
        }
        // No name, another name, or the name alone: nothing.
        assert_eq!(life.refused(Ask::of(&route, &credential)).await, USED);
        let other = Ask::of(&route, &credential).named("order 2");
        assert_eq!(life.refused(other).await, USED);
        let nameless = Ask { credential: None, ..ask() };
        assert_eq!(life.refused(nameless).await, (402, Reason::NO_CREDENTIAL, 1));
        let elsewhere = Ask { scope: "GET /elsewhere", ..ask() };
        assert_eq!(life.refused(elsewhere).await, (422, Reason::KEY_REUSED, 0));
        let (stranger, _) = life.coupon(&route).await;
        let stolen = crate::rail::answer(&credential.challenge, "b of somebody else");
        assert_eq!(life.refused(Ask::of(&route, &stolen).named("order 1")).await, USED);
        // Another payment under the same name is another payment.
        not_delivered(life.serve(Ask::of(&route, &stranger).named("order 1")).await).await;
        delivered(life.serve(Ask::of(&route, &stranger).named("order 1")).await).await;
        life.die().await;
    }
    town.taken_once_each(3);
    life.die().await;
}

async fn one_proof_pays_for_one_challenge<F: Factory>(store: &F) {
    let town = Town::new();
    let lives = [town.life(store).await, town.life(store).await];
    let route = route(&town.rail);
    let (first, code) = lives[0].coupon(&route).await;
    let mut asks = vec![Ask::of(&route, &first)];
    for i in 0..7 {
        let challenge = lives[i % 2].challenge(&route).await;
        asks.push(Ask::of(&route, &crate::rail::answer(&challenge, &code)));
    }
    let asked: Vec<_> =
        asks.iter().enumerate().map(|(i, ask)| lives[i % 2].start(ask.clone())).collect();
    let mut permits = Vec::new();
    for asked in asked {
        match asked.await.expect("judging does not panic") {
            Ok(Admission::Serve(permit)) => permits.push(permit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => assert_eq!((why(&refusal).0, why(&refusal).2), (403, 0)),
        }
    }
    assert_eq!(permits.len(), 1, "one proof paid for several challenges at once");
    delivered(permits.remove(0)).await;
    let mut told = Vec::new();
    for ask in asks {
        told.push(lives[1].refused(ask).await);
    }
    told.sort_by_key(|(status, ..)| *status);
    assert_eq!(told.remove(0), USED);
    assert!(told.iter().all(|told| *told == (403, Reason::CREDITED_ELSEWHERE, 0)), "{told:?}");
    town.taken_once_each(1);
    for life in lives {
        life.die().await;
    }
}

/// Whatever this suite began it ended, but for three payments that nobody came back for.
async fn nothing_is_left_open<F: Factory>(store: &F) {
    let town = Town::new();
    let life = town.life(store).await;
    let gate = life.gate.clone();
    let found = life.run(async move { gate.recover().await }).await.expect("the store answers");
    assert_eq!((found.open, found.settled, found.elsewhere), (0, 0, 0), "{found:?}");
    assert_eq!(found.redeemable, 3, "{found:?}");
    life.die().await;
}
