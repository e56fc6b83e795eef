//! The real ledger in a small world where everything that can come in any order does: each operation of the store, crashes,
//! copies, hang-ups, a rail in any mood, time.

mod stage;
mod world;

use mpp_server::{permit::Ending, route::Order};
use mpp_testkit::rail::{Act, Step};
use proptest::prelude::*;

use self::world::World;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// A copy of a credential comes to a server.
    Show { server: usize, credential: usize },
    /// A client hangs up.
    HangUp(usize),
    /// An operation of the store is done, and its answer is on its way.
    Apply(usize),
    /// An operation of the store is done and answered.
    Answer(usize),
    /// An operation of the store is lost, or only its answer.
    Lose { nth: usize, done: bool },
    /// The store answers everything.
    Drain,
    /// A server is killed; of what it asked of the store the marked is done.
    Crash { server: usize, done: u8 },
    /// A server goes through the books.
    Recover(usize),
    /// An operator gives up whatever a credential's challenge was paid with.
    WriteOff { server: usize, credential: usize },
    /// Seconds pass.
    Pass(u64),
    /// Every server stands still for longer than any lease.
    Stall,
    /// The rail behaves so when it is asked to settle.
    Settle(Act),
    /// The rail behaves so when it is asked what became of an order.
    Reconcile(Act),
    /// A handler ends.
    End(usize, Option<Ending>),
}

fn settling() -> impl Strategy<Value = Act> {
    prop::sample::select(vec![
        Act::Answers,
        Act::Refuses,
        Act::TakesAndIsMute,
        Act::NeverHears,
        Act::Hangs,
        Act::TakesAndHangs,
        Act::Panics,
        Act::TakesAndPanics,
    ])
}

fn reconciling() -> impl Strategy<Value = Act> {
    prop::sample::select(vec![Act::Answers, Act::NeverHears, Act::Hangs, Act::Panics])
}

fn turn() -> impl Strategy<Value = Turn> {
    let ending = prop::sample::select(vec![
        Some(Ending::Delivered),
        Some(Ending::Delivered),
        Some(Ending::NotDelivered),
        None,
    ]);
    prop_oneof![
        6 => (0..2usize, prop::sample::select(vec![0, 0, 0, 1, 1, 2])).prop_map(|(server, credential)| Turn::Show { server, credential }),
        1 => (0..4usize).prop_map(Turn::HangUp),
        2 => (0..4usize).prop_map(Turn::Apply),
        10 => (0..4usize).prop_map(Turn::Answer),
        2 => (0..4usize, any::<bool>()).prop_map(|(nth, done)| Turn::Lose { nth, done }),
        4 => Just(Turn::Drain),
        2 => (0..2usize, any::<u8>()).prop_map(|(server, done)| Turn::Crash { server, done }),
        1 => (0..2usize).prop_map(Turn::Recover),
        1 => (0..2usize, 0..2usize).prop_map(|(server, credential)| Turn::WriteOff { server, credential }),
        2 => (1..5u64).prop_map(Turn::Pass),
        1 => Just(Turn::Stall),
        2 => settling().prop_map(Turn::Settle),
        1 => reconciling().prop_map(Turn::Reconcile),
        4 => (0..2usize, ending).prop_map(|(nth, ending)| Turn::End(nth, ending)),
    ]
}

fn play(order: Order, script: &[Turn]) {
    let mut world = World::new(order, 2);
    for turn in script {
        match *turn {
            Turn::Show { server, credential } => world.show(server, credential),
            Turn::HangUp(nth) => world.hang_up(nth),
            Turn::Apply(nth) => world.with_waiting(nth, |stage, nth| stage.apply(nth)),
            Turn::Answer(nth) => world.with_waiting(nth, |stage, nth| stage.answer(nth)),
            Turn::Lose { nth, done } => world.with_waiting(nth, |stage, nth| stage.lose(nth, done)),
            Turn::Drain => world.drain(),
            Turn::Crash { server, done } => world.crash(server, done),
            Turn::Recover(server) => world.recover(server),
            Turn::WriteOff { server, credential } => world.write_off(server, credential),
            Turn::Pass(seconds) => world.pass(seconds),
            Turn::Stall => world.stall(),
            Turn::Settle(act) => world.rail.always(Step::Settle, act),
            Turn::Reconcile(act) => world.rail.always(Step::Reconcile, act),
            Turn::End(nth, ending) => world.end(nth, ending),
        }
    }
    world.all_is_well();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn whatever_happens_money_moves_once_and_what_was_paid_is_delivered(
        serve_first: bool,
        script in prop::collection::vec(turn(), 1..60),
    ) {
        play(if serve_first { Order::ServeFirst } else { Order::SettleFirst }, &script);
    }
}

/// More on demand: `MPP_MODEL_CASES=100000`.
fn cases() -> u32 {
    std::env::var("MPP_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512)
}

/// What the model found once, by the order and the script with which it found it.
#[test]
fn what_went_wrong_once_does_not_again() {
    use Turn::{Answer, Apply, Crash, Drain, End, HangUp, Lose, Pass, Settle, Show, Stall};
    let show = |server, credential| Show { server, credential };
    // A turn that the store granted after its lease was over: two handlers.
    let late = [
        show(1, 0),
        Drain,
        Crash { server: 1, done: 0 },
        Stall,
        show(1, 0),
        Answer(0),
        Answer(0),
        Answer(0),
        show(0, 0),
        show(0, 0),
        Stall,
    ];
    play(Order::ServeFirst, &late);
    // A mark that was freed under the same credential at another gate: one proof for two challenges.
    let freed =
        [show(1, 0), Answer(0), HangUp(0), show(0, 0), Pass(1), End(0, Some(Ending::Delivered))];
    play(Order::ServeFirst, &freed);
    // Two gates that ask after one payment: both send it.
    let asked = [
        Settle(Act::NeverHears),
        show(1, 1),
        Pass(4),
        show(0, 1),
        Drain,
        Stall,
        Answer(0),
        Answer(1),
    ];
    play(Order::SettleFirst, &asked);
    // And what it would find without its guards. Whose lease was used up before anything was sent sends nothing.
    let mut used_up = vec![show(1, 0), Answer(0), Answer(0), Apply(0), Stall, show(0, 0)];
    used_up.extend([Answer(1); 8]);
    used_up.push(Drain);
    play(Order::SettleFirst, &used_up);
    // Who lost an answer overwrites what it wrote itself, and nobody else.
    let mut in_doubt = vec![show(1, 0), Drain, Stall, Lose { nth: 0, done: true }, Stall];
    in_doubt.extend([show(0, 0), Answer(1), Answer(1), Drain]);
    in_doubt.extend([End(0, Some(Ending::NotDelivered)), Drain, show(1, 0), Drain]);
    play(Order::SettleFirst, &in_doubt);
}

/// What befalls one operation of the store.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Crash { done: bool },
    Lost { done: bool },
}

/// One payment, from a credential to its end, with a blow at the n-th operation of the store. False where it had fewer.
fn struck(
    order: Order,
    mood: Act,
    ending: Ending,
    recovers: bool,
    (nth, blow): (usize, Blow),
) -> bool {
    let mut world = World::new(order, 1);
    world.rail.next(Step::Settle, [mood]);
    world.show(0, 0);
    let mut operations = 0;
    loop {
        if world.stage.waiting() > 0 {
            if operations == nth {
                match blow {
                    Blow::Crash { done } => world.crash(0, if done { 255 } else { 0 }),
                    Blow::Lost { done } => world.with_waiting(0, |stage, at| stage.lose(at, done)),
                }
            } else {
                world.with_waiting(0, |stage, at| stage.answer(at));
            }
            operations += 1;
        } else if world.running() > 0 {
            world.end(0, Some(ending));
        } else {
            break;
        }
    }
    if recovers {
        world.pass(15);
        world.recover(0);
        world.drain();
    }
    world.all_is_well();
    operations > nth
}

#[test]
fn a_blow_at_each_operation_of_the_store_loses_no_payment_and_takes_none_twice() {
    let blows = [
        Blow::Crash { done: true },
        Blow::Crash { done: false },
        Blow::Lost { done: true },
        Blow::Lost { done: false },
    ];
    let moods = [
        Act::Answers,
        Act::Refuses,
        Act::TakesAndIsMute,
        Act::NeverHears,
        Act::Hangs,
        Act::TakesAndHangs,
        Act::Panics,
        Act::TakesAndPanics,
    ];
    let mut longest = 0;
    for order in [Order::SettleFirst, Order::ServeFirst] {
        for mood in moods {
            for ending in [Ending::Delivered, Ending::NotDelivered] {
                for blow in blows {
                    for recovers in [false, true] {
                        let mut nth = 0;
                        while told(order, mood, ending, recovers, (nth, blow)) {
                            nth += 1;
                        }
                        longest = longest.max(nth);
                    }
                }
            }
        }
    }
    assert!(longest >= 6, "a payment is more than {longest} operations of the store");
}

/// Says which case it is that fails.
fn told(order: Order, mood: Act, ending: Ending, recovers: bool, at: (usize, Blow)) -> bool {
    let run = || struck(order, mood, ending, recovers, at);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|e| {
        eprintln!("{order:?}, the rail {mood:?}, {ending:?}, recovers: {recovers}, blow {at:?}");
        std::panic::resume_unwind(e)
    })
}
