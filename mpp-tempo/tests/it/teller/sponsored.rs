//! Channels whose payers hold nothing but what they deposit.

use mpp_core::store::{Memory, Store};
use mpp_tempo::charge::sponsor::{Policy, Sponsor};

use super::*;

async fn stage() -> Stage {
    Stage::with(|teller| {
        let store: Arc<dyn Store> = Arc::new(Memory::volatile());
        let sponsor = Sponsor::new(&Chain::MODERATO, Arc::new(account(3)), store).unwrap();
        let teller = teller.sponsor(sponsor.policy(Policy::on(&Chain::MODERATO))).unwrap();
        teller.min_deposit("0.0005").unwrap()
    })
    .await
}

fn awaiting(transaction: &mut Transaction) {
    (transaction.fee_token, transaction.fee_payer) = (None, FeePayer::Awaited);
    transaction.gas_limit = 1_000_000;
}

#[tokio::test]
async fn a_sponsor_pays_the_fee_of_an_open_and_of_a_top_up_and_each_is_sent_once() {
    let stage = stage().await;
    let sponsor = account(3);
    let before = (stage.held(&stage.payer).await, stage.held(&sponsor).await);
    let opened = stage.opening_as(DEPOSIT, awaiting).await;
    let mut payload = opening(&opened, PRICE);
    if let Payload::Open { transaction, .. } = &mut payload {
        *transaction = hex(&opened.signed.envelope().unwrap());
    }
    let act = stage.check(&payload, None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    let mut account = Account::opening(kept);
    assert!(matches!(stage.teller.reconcile(&order, &account).await, Fate::Absent));
    let first = settled(stage.teller.settle(&order, &account).await);
    for fate in [
        stage.teller.settle(&restored(&order), &account).await,
        stage.teller.reconcile(&restored(&order), &account).await,
    ] {
        assert_eq!(settled(fate).extra["txHash"], first.extra["txHash"]);
    }
    assert_eq!(before.0 - stage.held(&stage.payer).await, DEPOSIT, "no fee of the payer's");
    let fee = before.1 - stage.held(&sponsor).await;
    assert!((1..50_000).contains(&fee), "{fee}");
    stage.merge(&mut account, &first);

    let channel = opened.descriptor;
    let call = TopUp { descriptor: channel, additional_deposit: 500 }.call();
    let mut transaction = stage.transaction(call).await;
    awaiting(&mut transaction);
    let signed = transaction.sign(&stage.payer).envelope().unwrap();
    let act = stage.check(&adding(&channel, &signed, 500), Some(&account)).await.unwrap();
    let Act::TopUp { order } = act else { panic!("{act:?}") };
    settled(stage.teller.settle(&order, &account).await);
    assert_eq!(before.0 - stage.held(&stage.payer).await, DEPOSIT + 500);
    assert_eq!(stage.state(&channel).await.deposit, DEPOSIT + 500);
}

#[tokio::test]
async fn a_sponsored_open_that_another_sponsor_has_sent_is_found_by_its_channel() {
    let stage = stage().await;
    let opened = stage.opening_as(DEPOSIT, awaiting).await;
    let act = stage.check(&opening(&opened, PRICE), None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    let account = Account::opening(kept);
    let whole = opened.signed.clone().sponsored(PATH_USD, &crate::teller::account(4)).unwrap();
    assert!(stage.node.send(whole.encode().into()).await.unwrap().success);
    let settlement = settled(stage.teller.reconcile(&order, &account).await);
    assert_eq!(settlement.extra["txHash"], format!("{:#x}", whole.hash()));
    assert_eq!(stage.state(&opened.descriptor).await.deposit, DEPOSIT);
}
