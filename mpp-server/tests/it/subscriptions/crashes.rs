//! A server that dies at every write and before each: what the next one finds, and makes of it.

use std::{sync::Arc, time::Duration};

use super::{DAY, House, PRODUCT};

/// Longer than any lease.
const LONG: Duration = Duration::from_secs(120);

/// Runs something on a server that dies after so many half operations of its store; whether it lived to the end.
async fn dying<F: Future<Output = ()> + Send + 'static>(
    house: &Arc<House>,
    halves: usize,
    work: impl FnOnce(Arc<House>) -> F,
) -> bool {
    house.life.dies_after(halves + 1);
    let working = tokio::spawn(work(house.clone()));
    let ended = tokio::time::timeout(LONG, working).await.is_ok();
    // What runs in tasks of its own, to its end or to its death.
    let _ = tokio::time::timeout(LONG, house.gate.idle()).await;
    ended && !house.life.is_dead()
}

#[tokio::test(start_paused = true)]
async fn an_activation_survives_its_server_wherever_it_dies() {
    let mut deaths = 0;
    for halves in 0.. {
        let house = Arc::new(House::new());
        let (card, other) = (house.card().await, house.card().await);
        let shown = card.clone();
        let lived = dying(&house, halves, async move |house| {
            let _ = house.ask(Some("alice"), Some(&shown)).await;
        });
        let lived = lived.await;
        deaths += usize::from(!lived);
        house.clock.advance(LONG);
        let next = house.another();
        if halves % 2 == 0 {
            next.gate.recover().await.unwrap();
        }
        // The same credential, or another, or none: she is served in the end, and was charged once.
        let charged = house.club.charges();
        let came = match halves % 3 {
            0 => next.ask(Some("alice"), Some(&card)).await,
            1 => next.ask(Some("alice"), Some(&other)).await,
            _ => next.ask(Some("alice"), None).await,
        };
        if let Err(refused) = came {
            // What is known to be free is offered anew; what is not is asked after first.
            let invited = !refused.challenges.is_empty();
            assert!(!invited || charged == 0, "charged, and invited to pay, after {halves}");
            next.gate.recover().await.unwrap();
            let came = next.ask(Some("alice"), None).await;
            assert!(came.is_ok() || charged == 0, "charged, and not served, after {halves}");
            if came.is_err() {
                next.subscribe("alice").await;
            }
        }
        next.served("alice").await;
        next.gate.recover().await.unwrap();
        assert_eq!((house.club.charges(), house.club.sent_again()), (1, 0), "after {halves}");
        let state = next.gate.subscriptions().find(PRODUCT, "alice").await.unwrap().unwrap();
        assert_eq!((state.id.as_str(), state.is_paid), ("club0", true));
        if lived {
            break;
        }
    }
    assert!(deaths > 15, "{deaths} deaths are too few for this many writes");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_survives_its_server_wherever_it_dies() {
    let mut deaths = 0;
    for halves in 0.. {
        let house = Arc::new(House::new());
        house.subscribe("alice").await;
        house.clock.advance(DAY * 30);
        let lived = dying(&house, halves, async move |house| {
            let _ = house.ask(Some("alice"), None).await;
        });
        let lived = lived.await;
        deaths += usize::from(!lived);
        house.clock.advance(LONG);
        let next = house.another();
        if halves % 2 == 0 {
            next.gate.recover().await.unwrap();
        }
        assert_eq!(next.served("alice").await.reference, "club0-1");
        next.gate.recover().await.unwrap();
        assert_eq!((house.club.charges(), house.club.sent_again()), (2, 0), "after {halves}");
        if lived {
            break;
        }
    }
    assert!(deaths > 5, "{deaths} deaths are too few for this many writes");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_was_written_down_is_told_wherever_its_server_dies() {
    let mut deaths = 0;
    for halves in 0.. {
        let house = Arc::new(House::new());
        house.subscribe("alice").await;
        let lived = dying(&house, halves, async move |house| {
            let _ = house.gate.subscriptions().cancel(PRODUCT, "alice").await;
        });
        let lived = lived.await;
        deaths += usize::from(!lived);
        house.clock.advance(LONG);
        let next = house.another();
        next.gate.recover().await.unwrap();
        let state = next.gate.subscriptions().find(PRODUCT, "alice").await.unwrap().unwrap();
        assert_eq!(state.cancelled.is_some(), house.club.told() > 0, "after {halves}");
        assert!(state.is_paid && !state.rail_untold);
        if lived {
            assert!(state.cancelled.is_some());
            break;
        }
    }
    assert!(deaths > 3, "{deaths} deaths are too few for this many writes");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_loses_no_charge_that_its_rail_made_wherever_its_server_dies() {
    let mut deaths = 0;
    for halves in 0.. {
        let house = Arc::new(House::new());
        house.subscribe("alice").await;
        house.clock.advance(DAY * 31);
        house.club.collect();
        let lived = dying(&house, halves, async move |house| {
            let _ = house.gate.subscriptions().cancel(PRODUCT, "alice").await;
        });
        let lived = lived.await;
        deaths += usize::from(!lived);
        house.clock.advance(LONG);
        let next = house.another();
        next.gate.recover().await.unwrap();
        assert_eq!(next.served("alice").await.reference, "club0-1", "after {halves}");
        next.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap();
        house.clock.advance(DAY * 30);
        assert_eq!(next.refused("alice", None).await.0, 402);
        assert_eq!((house.club.charges(), house.club.sent_again()), (2, 0), "after {halves}");
        if lived {
            break;
        }
    }
    assert!(deaths > 5, "{deaths} deaths are too few for this many writes");
}

/// Has a server fall asleep in something, another take over meanwhile, and the first go on; whether it slept at all.
async fn sleeping<F: Future<Output = ()> + Send + 'static>(
    house: &Arc<House>,
    halves: usize,
    work: impl FnOnce(Arc<House>) -> F,
    meanwhile: impl AsyncFnOnce(House),
) -> bool {
    house.life.dies_after(halves + 1);
    let working = tokio::spawn(work(house.clone()));
    tokio::time::sleep(LONG).await;
    house.clock.advance(LONG);
    let slept = house.life.is_dead();
    meanwhile(house.another()).await;
    house.life.wakes();
    let _ = working.await;
    house.gate.idle().await;
    slept
}

#[tokio::test(start_paused = true)]
async fn who_only_slept_in_an_activation_does_not_charge_beside_who_took_over() {
    for halves in 0.. {
        let house = Arc::new(House::new());
        let (card, other) = (house.card().await, house.card().await);
        let paying = async move |house: Arc<House>| {
            let _ = house.ask(Some("alice"), Some(&card)).await;
        };
        let slept = sleeping(&house, halves, paying, async |next| {
            if halves % 2 == 0 {
                next.gate.recover().await.unwrap();
            }
            let _ = next.ask(Some("alice"), Some(&other)).await;
        });
        let slept = slept.await;
        house.clock.advance(LONG);
        house.another().gate.recover().await.unwrap();
        house.another().served("alice").await;
        assert_eq!((house.club.charges(), house.club.sent_again()), (1, 0), "after {halves}");
        if !slept {
            assert!(halves > 15, "{halves} are too few for this many writes");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_slept_in_a_renewal_does_not_charge_beside_who_took_over() {
    for halves in 0.. {
        let house = Arc::new(House::new());
        house.subscribe("alice").await;
        house.clock.advance(DAY * 30);
        let asking = async move |house: Arc<House>| {
            let _ = house.ask(Some("alice"), None).await;
        };
        let slept = sleeping(&house, halves, asking, async |next| {
            next.served("alice").await;
        });
        let slept = slept.await;
        assert_eq!(house.another().served("alice").await.reference, "club0-1");
        assert_eq!((house.club.charges(), house.club.sent_again()), (2, 0), "after {halves}");
        if !slept {
            assert!(halves > 5, "{halves} are too few for this many writes");
            break;
        }
    }
}
