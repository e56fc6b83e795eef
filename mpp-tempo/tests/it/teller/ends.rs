//! How channels end: by their payer's word, without it, against it; and how they are found again.

use mpp_core::{problem::ProblemType, teller::Standing};
use mpp_tempo::chain::reserve;

use super::*;

#[tokio::test]
async fn a_close_captures_exactly_what_was_spent_and_gives_back_the_rest() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    stage.pay(&mut account, 7_000, 2).await;
    let channel = account.kept.descriptor;
    let payer = stage.held(&stage.payer).await;
    let act = stage.check(&closing(&channel, 7_000), Some(&account)).await.unwrap();
    let Act::Close { order, last } = act else { panic!("{act:?}") };
    account.raise(&last, stage.teller.ceiling(&account.kept)).unwrap();
    assert!(matches!(stage.teller.reconcile(&order, &account).await, Fate::Absent));
    let first = settled(stage.teller.settle(&order, &account).await);
    let hash = first.extra["txHash"].clone();
    assert_eq!(first.extra["acceptedCumulative"], "7000");
    stage.merge(&mut account, &first);
    assert_eq!(account.kept.settled.get(), 3_000, "spent, and not what the voucher is good for");
    assert_eq!(stage.held(&stage.payer).await - payer, 7_000);
    assert_eq!(stage.teller.standing(&account.kept), Standing::Ended);
    // Whoever runs it again finds what it came to, and sends nothing.
    let held = stage.held(&crate::teller::account(2)).await;
    for fate in [
        stage.teller.settle(&restored(&order), &account).await,
        stage.teller.reconcile(&order, &account).await,
    ] {
        assert_eq!(settled(fate).extra["txHash"], hash);
    }
    assert_eq!(stage.held(&crate::teller::account(2)).await, held);
    assert!(stage.teller.close(&account).is_none());
}

#[tokio::test]
async fn a_channel_that_nothing_was_spent_of_is_closed_for_nothing() {
    let stage = Stage::new().await;
    let opened = stage.opening(DEPOSIT).await;
    let act = stage.check(&opening(&opened, PRICE), None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    let mut account = Account::opening(kept);
    let settlement = settled(stage.teller.settle(&order, &account).await);
    stage.merge(&mut account, &settlement);
    let before = stage.held(&stage.payer).await;
    // Not even a voucher is there.
    let order = stage.teller.close(&account).unwrap();
    assert_eq!(stage.teller.name(&order), "close");
    settled(stage.teller.settle(&order, &account).await);
    assert_eq!(stage.held(&stage.payer).await - before, DEPOSIT);
}

#[tokio::test]
async fn what_was_settled_before_is_no_less_of_a_close() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    stage.pay(&mut account, 4_000, 3).await;
    let collection = stage.teller.collect(&account).unwrap();
    settled(stage.teller.settle(&collection, &account).await);
    // The books have not heard of it, and something was given back meanwhile.
    account.give_back(2, Amount::new(PRICE), Amount::ZERO);
    let before = stage.held(&stage.payer).await;
    let order = stage.teller.close(&account).unwrap();
    settled(stage.teller.settle(&order, &account).await);
    assert_eq!(stage.held(&stage.payer).await - before, 6_000);
}

#[tokio::test]
async fn a_payer_who_asks_to_close_is_seen_and_what_was_earned_is_taken_in_time() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    let channel = account.kept.descriptor;
    stage.chain.request_close_long_ago(id(&channel).0, 600).await.unwrap();
    let seen = stage.teller.look(std::slice::from_ref(&account.kept)).await.remove(0).unwrap();
    stage.teller.merge(&mut account.kept, seen);
    let Standing::Ending { by } = stage.teller.standing(&account.kept) else { panic!("open") };
    let left = by.unix_seconds() - i64::try_from(stage.now().await).unwrap();
    assert!((290..=301).contains(&left), "{left}");
    // A server that lost its books takes no voucher of it either.
    let payload = voucher(&stage.payer, &channel, 2_000);
    let refused = stage.check(&payload, None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::CHANNEL_FINALIZED);
    let terms = stage.teller.terms(&"0.001 usd".parse().unwrap()).unwrap();
    assert!(stage.teller.fields(&id(&channel).to_string(), &account, &terms).is_empty());

    let order = stage.teller.close(&account).unwrap();
    let settlement = settled(stage.teller.settle(&order, &account).await);
    stage.merge(&mut account, &settlement);
    assert_eq!(account.kept.settled.get(), PRICE);
    assert_eq!(stage.teller.standing(&account.kept), Standing::Ended);
}

#[tokio::test]
async fn a_channel_that_its_payer_took_back_is_found_gone() {
    let stage = Stage::new().await;
    let (mut account, other) = (stage.account(DEPOSIT).await, stage.account(DEPOSIT).await);
    let channel = account.kept.descriptor;
    stage.chain.request_close_long_ago(id(&channel).0, 901).await.unwrap();
    stage.run(&stage.payer, reserve::withdraw(&channel)).await;
    let kept = [account.kept.clone(), other.kept.clone()];
    let seen = stage.teller.look(&kept).await;
    assert!(!seen[1].as_ref().unwrap().ended);
    let order = stage.teller.collect(&account).unwrap();
    assert_eq!(failure(stage.teller.settle(&order, &account).await), Reason::CLOSED);
    let order = stage.teller.close(&account).unwrap();
    let settlement = settled(stage.teller.settle(&order, &account).await);
    stage.merge(&mut account, &settlement);
    assert_eq!((account.kept.ended, account.kept.settled.get()), (true, 0), "the books say so");
    assert!(seen[0].as_ref().unwrap().ended);
    let payload = voucher(&stage.payer, &channel, 2_000);
    let refused = stage.check(&payload, None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemType::CHANNEL_NOT_FOUND);
}

#[tokio::test]
async fn a_channel_that_the_books_lost_is_gone_on_with_by_a_voucher_and_its_descriptor() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    stage.pay(&mut account, 3_000, 2).await;
    let order = stage.teller.collect(&account).unwrap();
    settled(stage.teller.settle(&order, &account).await);
    let channel = account.kept.descriptor;
    let act = stage.check(&voucher(&stage.payer, &channel, 5_000), None).await.unwrap();
    let Act::Adopt { kept, raise } = act else { panic!("{act:?}") };
    assert_eq!((kept.deposit.get(), kept.settled.get()), (DEPOSIT, 3_000));
    let mut adopted = Account::of(kept);
    adopted.raise(&raise, stage.teller.ceiling(&adopted.kept)).unwrap();
    adopted.spent = adopted.credit;
    let order = stage.teller.close(&adopted).unwrap();
    let settlement = settled(stage.teller.settle(&order, &adopted).await);
    stage.merge(&mut adopted, &settlement);
    assert_eq!(adopted.kept.settled.get(), 5_000);

    let refusals: [(&str, Payload, ProblemType); 3] = [
        (
            "no more than was settled",
            voucher(&stage.payer, &stage.account(DEPOSIT).await.kept.descriptor, 0),
            ProblemType::VERIFICATION_FAILED,
        ),
        (
            "no descriptor",
            Payload::Voucher {
                channel_id: id(&channel).to_string(),
                descriptor: None,
                cumulative_amount: Amount::new(6_000),
                signature: signature(&stage.payer, &channel, 6_000),
            },
            ProblemType::CHANNEL_NOT_FOUND,
        ),
        (
            "never opened",
            voucher(&stage.payer, &stage.opening(DEPOSIT).await.descriptor, 1_000),
            ProblemType::CHANNEL_NOT_FOUND,
        ),
    ];
    for (name, payload, kind) in refusals {
        assert_eq!(stage.check(&payload, None).await.unwrap_err().kind, kind, "{name}");
    }
}
