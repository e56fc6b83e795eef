//! Any interleaving of vouchers, top-ups, spends, collections, closes, restarts and stale reads keeps the books in order.

use std::time::Duration;

use mpp_server::{Admission, permit::Ending};
use mpp_testkit::bank::{Mood, Slip, close, open, top_up, voucher};
use proptest::prelude::*;

use super::{Stand, schedule};

#[derive(Clone, Debug)]
enum Step {
    Voucher(u128),
    TopUp(u8, u128),
    Close(u128),
    Meter(u64, bool),
    Collect,
    Sweep,
    Restart,
    Freeze(bool),
    Mood(Mood),
    AskBack,
    Fail(u128),
}

fn step() -> impl Strategy<Value = Step> {
    let mood =
        prop_oneof![Just(Mood::Refuses), Just(Mood::TakesAndIsMute), Just(Mood::NeverHears),];
    prop_oneof![
        10 => (0..60_u128).prop_map(Step::Voucher),
        3 => (0..6_u8, 1..20_u128).prop_map(|(n, more)| Step::TopUp(n, more)),
        1 => (0..60_u128).prop_map(Step::Close),
        4 => (1..9_u64, any::<bool>()).prop_map(|(n, end)| Step::Meter(n, end)),
        2 => Just(Step::Collect),
        2 => Just(Step::Sweep),
        2 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Freeze),
        3 => mood.prop_map(Step::Mood),
        1 => Just(Step::AskBack),
        2 => (0..60_u128).prop_map(Step::Fail),
    ]
}

/// What a payer counts by itself.
#[derive(Default)]
struct Payer {
    signed: u128,
    served: u128,
}

async fn run(steps: Vec<Step>) {
    let settings = |gate: mpp_server::gate::GateBuilder| gate.sessions(schedule().after_units(3));
    let mut s = Stand::with(settings);
    let mut payer = Payer { signed: 2, served: 0 };
    s.served(&open("a", 20, 2)).await.finish(Ending::Delivered).await.unwrap();
    payer.served += 2;
    for step in steps {
        match step {
            Step::Voucher(total) => {
                if let Ok(Admission::Serve(permit)) =
                    show(&s, &mut payer, voucher("a", total), total).await
                {
                    payer.served += 2;
                    permit.finish(Ending::Delivered).await.unwrap();
                }
            }
            Step::Fail(total) => {
                if let Ok(Admission::Serve(permit)) =
                    show(&s, &mut payer, voucher("a", total), total).await
                {
                    permit.finish(Ending::NotDelivered).await.unwrap();
                }
            }
            Step::TopUp(name, more) => {
                let _ = s.manage(&top_up("a", &name.to_string(), more)).await;
            }
            Step::Close(total) => {
                payer.signed = payer.signed.max(total);
                let _ = s.manage(&close("a", total)).await;
            }
            Step::Meter(units, ends) => {
                let slip = voucher("a", payer.signed);
                let metered = s.route.clone().metered();
                let paid = std::mem::replace(&mut s.route, metered);
                if let Ok(Admission::Serve(permit)) = s.show(&slip).await {
                    let mut meter = permit.session().unwrap().meter().in_batches_of(4);
                    for _ in 0..units {
                        match meter.charge(1).await {
                            Ok(()) => payer.served += 2,
                            Err(_) => break,
                        }
                    }
                    match ends {
                        true => drop(meter.finish().await),
                        false => std::mem::forget(meter),
                    }
                }
                s.route = paid;
            }
            Step::Collect => {
                s.gate.settle_all().await.unwrap();
            }
            Step::Sweep => {
                s.gate.sweep().await.unwrap();
            }
            Step::Restart => s = s.restarted(settings),
            Step::Freeze(frozen) => s.bank.freeze(frozen),
            Step::Mood(mood) => s.bank.will([mood]),
            Step::AskBack => {
                s.bank.ask_back("a", mpp_core::Timestamp::from_unix(1_800_000_900, 0));
            }
        }
        check(&s, &payer);
    }
    // In the end all is known, everything that was served is earned, and the rest goes back.
    s.bank.freeze(false);
    s.bank.will(std::iter::repeat_n(Mood::Answers, 0));
    let s = s.restarted(settings);
    for _ in 0..12 {
        s.clock.advance(Duration::from_secs(700));
        s.gate.sweep().await.unwrap();
        let _ = s.manage(&close("a", payer.signed.max(1000))).await;
        if s.bank.tab("a").unwrap().ended {
            break;
        }
    }
    check(&s, &payer);
    let tab = s.bank.tab("a").unwrap();
    assert!(tab.ended, "it can always be closed");
    assert!(
        s.bank.earned() >= payer.served,
        "{} earned of {} served",
        s.bank.earned(),
        payer.served
    );
    assert_eq!(s.bank.earned() + s.bank.refunded(), tab.deposit.get());
}

async fn show(
    s: &Stand,
    payer: &mut Payer,
    slip: Slip,
    total: u128,
) -> Result<Admission, mpp_core::transport::Refusal> {
    payer.signed = payer.signed.max(total);
    s.show(&slip).await
}

/// Settled is never more than spent, what was served never more than what was signed, and all within the deposit.
fn check(s: &Stand, payer: &Payer) {
    let tab = s.bank.tab("a").unwrap();
    assert!(tab.paid_out <= tab.deposit);
    assert!(payer.served <= payer.signed, "{} served of {} signed", payer.served, payer.signed);
    assert!(payer.served <= tab.deposit.get());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn settled_is_at_most_spent_at_most_accepted_at_most_the_deposit(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
