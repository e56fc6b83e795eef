//! Subscribers, two servers, a club that charges by itself too: whatever comes in whatever order, nothing is served unpaid and
//! nothing is charged twice.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mpp_core::{agreement::Recorded, renewer::Said, time::Clock};
use mpp_server::Heard;
use mpp_testkit::rail::{Act, Step};
use proptest::prelude::*;

use super::{DAY, House, PRODUCT};

const NAMES: [&str; 2] = ["alice", "bob"];

/// Something that happens.
#[derive(Clone, Debug)]
enum Turn {
    /// Somebody asks, without a credential.
    Ask {
        house: usize,
        who: usize,
    },
    /// Somebody pays a fresh challenge, though it may be subscribed.
    Pay {
        house: usize,
        who: usize,
    },
    /// Somebody shows again what was last paid with, by whomever.
    Again {
        house: usize,
        who: usize,
        whose: usize,
    },
    /// Hours pass.
    Pass(u64),
    /// Somebody cancels.
    Cancel {
        house: usize,
        who: usize,
    },
    /// The club charges by itself, and its word comes so often.
    Collect {
        house: usize,
        heard: usize,
    },
    /// The club ends a membership by itself.
    Expel {
        house: usize,
        nth: usize,
    },
    /// What the club does next when it is to charge, or is asked.
    Settle(Act),
    Reconcile(Act),
    /// Whether it hears cancellations.
    Deaf(bool),
    /// A server dies at so many half operations from now, in what comes next.
    Dies {
        house: usize,
        halves: usize,
    },
    /// A server is started anew.
    Restart(usize),
    /// A server goes through the books.
    Recover(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    let (house, who) = (0..2usize, 0..2usize);
    let settle = prop::sample::select(vec![
        Act::Refuses,
        Act::TakesAndIsMute,
        Act::NeverHears,
        Act::Hangs,
        Act::TakesAndHangs,
    ]);
    let reconcile = prop::sample::select(vec![Act::NeverHears, Act::Hangs]);
    prop_oneof![
        6 => (house.clone(), who.clone()).prop_map(|(house, who)| Turn::Ask { house, who }),
        4 => (house.clone(), who.clone()).prop_map(|(house, who)| Turn::Pay { house, who }),
        2 => (house.clone(), who.clone(), 0..2usize).prop_map(|(house, who, whose)| Turn::Again { house, who, whose }),
        5 => prop::sample::select(vec![1, 24, 24 * 15, 24 * 30, 24 * 31, 24 * 65]).prop_map(Turn::Pass),
        1 => (house.clone(), who).prop_map(|(house, who)| Turn::Cancel { house, who }),
        2 => (house.clone(), 0..3usize).prop_map(|(house, heard)| Turn::Collect { house, heard }),
        1 => (house.clone(), 0..4usize).prop_map(|(house, nth)| Turn::Expel { house, nth }),
        3 => settle.prop_map(Turn::Settle),
        1 => reconcile.prop_map(Turn::Reconcile),
        1 => any::<bool>().prop_map(Turn::Deaf),
        3 => (house.clone(), 0..24usize).prop_map(|(house, halves)| Turn::Dies { house, halves }),
        2 => house.clone().prop_map(Turn::Restart),
        2 => house.prop_map(Turn::Recover),
    ]
}

struct World {
    houses: [Arc<House>; 2],
    /// What was last paid with, by whom.
    cards: [Option<mpp_core::Credential>; 2],
    served: usize,
    /// The charges that a notice was told to have granted a period.
    granted: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let one = House::new();
        let two = Arc::new(one.another());
        Self {
            houses: [Arc::new(one), two],
            cards: [None, None],
            served: 0,
            granted: BTreeSet::new(),
        }
    }

    /// Does something that a server may die in.
    async fn within<F, R>(&self, house: usize, work: impl FnOnce(Arc<House>) -> F) -> Option<R>
    where
        F: Future<Output = R> + Send + 'static,
        R: Send + 'static,
    {
        let working = tokio::spawn(work(self.houses[house].clone()));
        let done = tokio::time::timeout(Duration::from_secs(90), working).await;
        done.ok().map(Result::unwrap)
    }

    async fn ask(&mut self, house: usize, who: usize, card: Option<mpp_core::Credential>) {
        let came = self
            .within(house, async move |house| house.ask(Some(NAMES[who]), card.as_ref()).await)
            .await;
        if let Some(Ok(receipt)) = came {
            self.served += 1;
            let house = &self.houses[house];
            let (now, members) = (house.clock.now(), house.club.members());
            let member = &members[receipt.extra["subscriptionId"].as_str().unwrap()];
            assert_eq!(member.card, card_of(who), "served by another's subscription");
            let paid = member.charge_at(&now);
            assert_eq!(paid, Some(&receipt.reference), "served in a period that nobody paid");
        }
    }

    async fn pay(&mut self, house: usize, who: usize) {
        if self.houses[house].life.is_dead() {
            return;
        }
        let asked = self.within(house, async move |house| house.ask(None, None).await).await;
        let Some(Err(refusal)) = asked else { return };
        let card = mpp_testkit::club::answer(&refusal.challenges[0], &card_of(who));
        self.cards[who] = Some(card.clone());
        self.ask(house, who, Some(card)).await;
    }

    async fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Ask { house, who } => self.ask(house, who, None).await,
            Turn::Pay { house, who } => self.pay(house, who).await,
            Turn::Again { house, who, whose } => {
                // What began nothing is as good as a card of one's own.
                let used = |card: &mpp_core::Credential| {
                    self.houses[0].club.has_joined(card.challenge.id().as_str())
                };
                let card = self.cards[whose].clone().filter(|card| who == whose || used(card));
                self.ask(house, who, card).await;
            }
            Turn::Pass(hours) => self.houses[0].clock.advance(Duration::from_secs(hours * 3600)),
            Turn::Cancel { house, who } => {
                let cancelling = async move |house: Arc<House>| {
                    house.gate.subscriptions().cancel(PRODUCT, NAMES[who]).await.is_ok()
                };
                self.within(house, cancelling).await;
            }
            Turn::Collect { house, heard } => {
                for notice in self.houses[0].club.collect() {
                    for _ in 0..heard {
                        let Said::Charged { settlement, .. } = &notice.said else { continue };
                        let (notice, reference) = (notice.clone(), settlement.reference.clone());
                        let hearing = async move |house: Arc<House>| {
                            house.gate.subscriptions().hear(&house.club, notice).await
                        };
                        let heard = self.within(house, hearing).await;
                        if let Some(Ok(Heard::Charged(Recorded::New))) = heard {
                            self.granted.insert(reference);
                        }
                    }
                }
            }
            Turn::Expel { house, nth } => {
                let Some(notice) = self.houses[0].club.expel(&format!("club{nth}")) else { return };
                let hearing = async move |house: Arc<House>| {
                    house.gate.subscriptions().hear(&house.club, notice).await.is_ok()
                };
                self.within(house, hearing).await;
            }
            Turn::Settle(act) => self.houses[0].club.next(Step::Settle, [act]),
            Turn::Reconcile(act) => self.houses[0].club.next(Step::Reconcile, [act]),
            Turn::Deaf(deaf) => self.houses[0].club.deaf(deaf),
            Turn::Dies { house, halves } => self.houses[house].life.dies_after(halves + 1),
            Turn::Restart(house) => {
                self.houses[house].life.dies_after(0);
                self.houses[house] = Arc::new(self.houses[house].another());
            }
            Turn::Recover(house) => {
                self.within(house, async move |house| house.gate.recover().await.is_ok()).await;
            }
        }
        self.audit();
    }

    /// What is true whatever happened.
    fn audit(&self) {
        let club = &self.houses[0].club;
        assert_eq!(club.sent_again(), 0, "an order was sent again that had charged");
        // No two subscriptions of one subscriber are paid for one instant: at none of their beginnings.
        let members = club.members();
        for (id, it) in &members {
            for (other, older) in &members {
                if id == other || it.card != older.card {
                    continue;
                }
                // What the club charged by itself, too late or unheard, is to be given back.
                let grants = |(period, charge): (&u64, &String)| {
                    !older.collected.contains(period) || self.granted.contains(charge)
                };
                let now = older.cadence.period_at(&older.anchor, &it.anchor);
                let charge = now.and_then(|now| older.charged.get_key_value(&now.index));
                assert!(!charge.is_some_and(grants), "{id} began while {other} was paid");
            }
        }
    }

    /// Everything works again: whoever comes is served or invited, and nothing stays open.
    async fn ends_well(&mut self) {
        self.houses[0].club.calm();
        self.houses = [0, 1].map(|i| {
            self.houses[i].life.dies_after(0);
            Arc::new(self.houses[i].another())
        });
        for _ in 0..3 {
            self.houses[0].clock.advance(Duration::from_secs(180));
            self.houses[0].gate.recover().await.unwrap();
        }
        assert_eq!(self.houses[1].gate.recover().await.unwrap().open, 0);
        for (who, name) in NAMES.into_iter().enumerate() {
            if let Err(refused) = self.houses[1].ask(Some(name), None).await {
                assert_eq!(super::why(&refused).0, 402);
                self.pay(1, who).await;
            }
            let served = self.served;
            self.ask(0, who, None).await;
            assert_eq!(self.served, served + 1);
        }
        self.audit();
    }
}

fn card_of(who: usize) -> String {
    format!("b {}", NAMES[who])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn served_is_paid_and_paid_is_charged_once(turns in prop::collection::vec(turn(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let mut world = World::new();
            for turn in turns {
                world.turn(turn).await;
            }
            world.ends_well().await;
        });
    }
}

#[test]
fn a_period_is_as_long_as_the_model_takes_it_for() {
    assert_eq!(DAY * 30, Duration::from_secs(24 * 30 * 3600));
}
