//! Meters: units in bulk, the rest returned, and what a crash costs.

use std::time::Duration;

use mpp_core::problem::Reason;
use mpp_server::{Dry, Meter, Permit, permit::Ending};
use mpp_testkit::bank::{close, open, voucher};

use super::{Stand, figures};

fn meter(permit: &Permit) -> Meter {
    permit.session().unwrap().meter().in_batches_of(4)
}

#[tokio::test]
async fn a_meter_spends_what_it_set_aside_and_returns_the_rest() {
    let s = metered();
    let permit = s.served(&open("a", 100, 20)).await;
    let mut meter = meter(&permit);
    for _ in 0..6 {
        meter.charge(1).await.unwrap();
    }
    assert_eq!(meter.in_hand(), 2);
    assert_eq!(figures(&meter.finish().await.unwrap()), (20, 12, 6));
    permit.finish(Ending::Delivered).await.unwrap();
    s.taken(&close("a", 12)).await;
    assert_eq!((s.bank.earned(), s.bank.refunded()), (12, 88));
}

#[tokio::test]
async fn a_meter_that_runs_dry_says_what_it_needs_and_goes_on_when_it_comes() {
    let s = metered();
    let permit = s.served(&open("a", 100, 2)).await;
    let mut meter = meter(&permit);
    meter.charge(1).await.unwrap();
    let Err(Dry::Need(need)) = meter.charge(1).await else { panic!("dry") };
    assert_eq!((need.event, need.data["required"].as_str()), ("payment-need-voucher", Some("10")));
    let waiting = tokio::spawn(async move {
        meter.replenished(Duration::from_secs(5)).await.unwrap();
        meter.charge(1).await.unwrap();
        meter.finish().await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    s.taken(&voucher("a", 10)).await;
    assert_eq!(figures(&waiting.await.unwrap()), (10, 4, 2));
}

#[tokio::test]
async fn s13_a_payer_that_does_nothing_is_waited_for_so_long_and_no_longer() {
    let s = metered();
    let permit = s.served(&open("a", 2, 2)).await;
    let mut meter = meter(&permit);
    meter.charge(1).await.unwrap();
    assert!(matches!(meter.charge(1).await, Err(Dry::Need(_))));
    let patience = Duration::from_millis(30);
    assert!(matches!(meter.replenished(patience).await, Err(Dry::TooLong)));
}

#[tokio::test]
async fn a_close_ends_a_running_meter_and_captures_what_it_used() {
    let s = metered();
    let permit = s.served(&open("a", 100, 40)).await;
    let mut meter = meter(&permit);
    meter.charge(1).await.unwrap();
    let running = tokio::spawn(async move {
        loop {
            match meter.charge(1).await {
                Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(Dry::Ended(e)) => return (e.reason, meter.finish().await.unwrap()),
                Err(e) => panic!("{e:?}"),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    s.taken(&close("a", 40)).await;
    let (reason, _) = running.await.unwrap();
    assert_eq!(reason, Reason::CLOSED);
    let (earned, refunded) = (s.bank.earned(), s.bank.refunded());
    assert_eq!(earned + refunded, 100);
    assert!((4..=40).contains(&earned), "{earned}");
}

#[tokio::test]
async fn a_crash_costs_the_payer_at_most_the_batch_and_the_seller_nothing() {
    let s = metered();
    let permit = s.served(&open("a", 100, 20)).await;
    let mut meter = meter(&permit);
    meter.charge(1).await.unwrap();
    // The process dies: nothing is returned.
    std::mem::forget((meter, permit));
    let again = s.restarted(|gate| gate);
    again.gate.sweep().await.unwrap();
    let receipt = again.taken(&voucher("a", 20)).await;
    assert_eq!(figures(&receipt), (20, 8, 4), "the batch of four counts as served");
}

#[tokio::test]
async fn many_meters_on_one_account_never_spend_more_than_there_is() {
    let s = metered();
    let permit = s.served(&open("a", 1000, 101)).await;
    let session = permit.session().unwrap().clone();
    let meters = (0..8).map(|_| {
        let session = session.clone();
        tokio::spawn(async move {
            let mut meter = session.meter().in_batches_of(3);
            let mut units = 0;
            while meter.charge(1).await.is_ok() {
                units += 1;
                tokio::task::yield_now().await;
            }
            meter.finish().await.unwrap();
            units
        })
    });
    let mut units = 0;
    for meter in meters.collect::<Vec<_>>() {
        units += meter.await.unwrap();
    }
    // Some end while others still hold units that they return: what is left is less than was held.
    let receipt = session.receipt().await.unwrap();
    assert_eq!(figures(&receipt).1, 2 * units);
    assert!(units <= 50, "{units}");
}

fn metered() -> Stand {
    let mut stand = Stand::new();
    stand.route = stand.route.metered();
    stand
}
