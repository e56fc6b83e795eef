//! Any steps in any order, by two processes on one store: the budget holds, and one signature of a payment leaves.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const PAYMENTS: usize = 8;
const SENDERS: u8 = 4;

/// A step of one of two processes with one of eight payments of four senders.
#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve(usize, usize),
    Cosign(usize, usize),
    Withdraw(usize, usize),
    Pending(usize),
    /// The chain mined it.
    Ended(usize),
    /// A process dies, and with it all it had in hand.
    Crash(usize),
    /// The signer fails from here on, or no longer.
    Signer(bool),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..2_usize, 0..PAYMENTS);
    prop_oneof![
        6 => at().prop_map(|(by, n)| Step::Reserve(by, n)),
        6 => at().prop_map(|(by, n)| Step::Cosign(by, n)),
        2 => at().prop_map(|(by, n)| Step::Withdraw(by, n)),
        2 => (0..PAYMENTS).prop_map(Step::Pending),
        2 => (0..PAYMENTS).prop_map(Step::Ended),
        1 => (0..2_usize).prop_map(Step::Crash),
        1 => any::<bool>().prop_map(Step::Signer),
        2 => (1..20_u8).prop_map(Step::Wait),
    ]
}

/// What really happened, for the books to be held against.
struct Truth {
    world: World,
    processes: [Sponsor; 2],
    payments: &'static [(Signed, Approved)],
    turns: HashMap<(usize, usize), Reserved>,
    /// What left, and the chain has not ended.
    left: HashMap<usize, Cosigned>,
    /// What the chain has mined, and does not take again.
    mined: HashSet<usize>,
    /// All that ever left.
    bytes: HashMap<usize, Vec<u8>>,
}

impl Truth {
    fn new() -> Self {
        // Room for three, of four senders.
        let policy = Policy { max_reservations: 10, budget: 3 * COST, ..policy() };
        let world = World { policy, ..World::new() };
        static PAYMENTS_MADE: LazyLock<Vec<(Signed, Approved)>> = LazyLock::new(|| {
            let world = World::new();
            (0..PAYMENTS).map(|n| world.payment(n as u8 % SENDERS, n as u64)).collect()
        });
        let payments = PAYMENTS_MADE.as_slice();
        let processes = [world.sponsor(), world.sponsor()];
        let (turns, left, mined, bytes) = Default::default();
        Self { world, processes, payments, turns, left, mined, bytes }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Reserve(by, n) => {
                if let Ok(turn) = self.processes[by].reserve(&self.payments[n].1).await {
                    self.turns.insert((by, n), turn);
                }
            }
            Step::Cosign(by, n) => {
                let Some(turn) = self.turns.remove(&(by, n)) else { return };
                if let Ok(made) = self.processes[by].cosign(turn, &self.payments[n].0).await {
                    let bytes = made.signed().encode();
                    let first = self.bytes.entry(n).or_insert_with(|| bytes.clone());
                    assert_eq!(*first, bytes, "two signatures of one payment left");
                    if !self.mined.contains(&n) {
                        self.left.insert(n, made);
                    }
                }
            }
            Step::Withdraw(by, n) => {
                let Some(turn) = self.turns.remove(&(by, n)) else { return };
                self.processes[by].withdraw(turn).await.unwrap();
            }
            Step::Pending(n) => {
                let Some(made) = self.left.get(&n) else { return };
                self.processes[0].pending(made).await.unwrap();
            }
            Step::Ended(n) => {
                let Some(made) = self.left.remove(&n) else { return };
                self.mined.insert(n);
                self.processes[1].ended(&made).await.unwrap();
            }
            Step::Crash(by) => self.turns.retain(|(of, _), _| *of != by),
            Step::Signer(signs) => {
                self.world.remote.is(if signs { Mood::Signs } else { Mood::Refuses });
            }
            Step::Wait(seconds) => self.world.hands.advance(Duration::from_secs(seconds.into())),
        }
    }

    async fn holds(&self) {
        let book = self.world.book().await;
        let now = self.world.hands.now().unix_seconds();
        let live: Vec<_> = book.live.iter().filter(|held| held.until > now * 1000).collect();
        let fees: u128 = live.iter().map(|held| held.max_fee.get()).sum();
        assert!(fees <= self.world.policy.budget, "the budget is overdrawn: {fees}");
        for n in 0..SENDERS {
            let sender = payer(n).address();
            let of = live.iter().filter(|held| held.sender == sender).count();
            assert!(of <= 1, "{of} payments of one sender at once");
        }
        for n in self.left.keys() {
            let (_, approved) = &self.payments[*n];
            let counted = live.iter().any(|held| held.id == approved.id);
            assert!(counted || approved.valid_before <= now, "what may be mined does not count");
        }
        let hashes = self.world.remote.hashes.lock().unwrap();
        let mut once = hashes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), hashes.len(), "a payment was signed twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_and_nothing_is_signed_twice(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut truth = Truth::new();
            for step in steps {
                truth.take(step).await;
                truth.holds().await;
            }
        });
    }
}
