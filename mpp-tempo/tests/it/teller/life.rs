//! A channel is opened, drawn on, added to and collected from; each of these once, however often it is done.

use super::*;

#[tokio::test]
async fn a_channel_is_opened_once_however_often_its_order_is_carried_out() {
    let stage = Stage::new().await;
    let before = stage.held(&stage.payer).await;
    let opened = stage.opening(DEPOSIT).await;
    let act = stage.check(&opening(&opened, PRICE), None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    let account = Account::opening(kept.clone());
    assert!(matches!(stage.teller.reconcile(&order, &account).await, Fate::Absent));
    assert_eq!(stage.state(&opened.descriptor).await, ChannelState::default(), "nothing was sent");

    let first = settled(stage.teller.settle(&order, &account).await);
    let hash = first.extra["txHash"].clone();
    assert_eq!(hash, format!("{:#x}", opened.signed.hash()));
    assert_eq!(first.reference, id(&opened.descriptor).to_string());
    let seen: Channel = serde_json::from_value(first.kept.unwrap()).unwrap();
    assert_eq!((seen.deposit.get(), seen.settled.get()), (DEPOSIT, 0));
    assert!(seen.block > 0 && kept.block == 0);
    for order in [&order, &restored(&order)] {
        for fate in [
            stage.teller.settle(order, &account).await,
            stage.teller.reconcile(order, &account).await,
        ] {
            assert_eq!(settled(fate).extra["txHash"], hash);
        }
    }
    assert_eq!(stage.state(&opened.descriptor).await.deposit, DEPOSIT);
    let spent = before - stage.held(&stage.payer).await;
    assert!((DEPOSIT..DEPOSIT + 50_000).contains(&spent), "{spent}");
}

#[tokio::test]
async fn s11_an_open_that_is_replayed_is_the_same_order_and_no_more_money() {
    let stage = Stage::new().await;
    let opened = stage.opening(DEPOSIT).await;
    let shown = opening(&opened, PRICE);
    let act = stage.check(&shown, None).await.unwrap();
    let Act::Open { order, kept, .. } = act else { panic!("{act:?}") };
    let mut account = Account::opening(kept);
    let settlement = settled(stage.teller.settle(&order, &account).await);
    stage.merge(&mut account, &settlement);
    let act = stage.check(&shown, Some(&account)).await.unwrap();
    let Act::Open { order: again, kept, .. } = act else { panic!("{act:?}") };
    assert_eq!(stage.teller.name(&again), stage.teller.name(&order));
    assert_eq!(stage.teller.name(&order), format!("{:#x}", opened.descriptor.expiring_nonce_hash));
    assert_eq!(kept, account.kept, "what the chain said is not forgotten");
    assert_eq!(stage.state(&opened.descriptor).await.deposit, DEPOSIT);
}

#[tokio::test]
async fn a_top_up_adds_once_and_takes_back_a_request_to_close() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    let channel = account.kept.descriptor;
    stage.chain.request_close_long_ago(id(&channel).0, 60).await.unwrap();
    let seen = stage.teller.look(std::slice::from_ref(&account.kept)).await.remove(0).unwrap();
    stage.teller.merge(&mut account.kept, seen);
    assert_ne!(account.kept.close_requested_at, 0);

    let signed = stage.topping_up(channel, 5_000).await;
    let act = stage.check(&adding(&channel, &signed.encode(), 5_000), Some(&account)).await;
    let Act::TopUp { order } = act.unwrap() else { panic!("no top-up") };
    assert!(matches!(stage.teller.reconcile(&order, &account).await, Fate::Absent));
    let first = settled(stage.teller.settle(&order, &account).await);
    let again = settled(stage.teller.settle(&restored(&order), &account).await);
    assert_eq!(first.extra["txHash"], again.extra["txHash"]);
    stage.merge(&mut account, &first);
    assert_eq!((account.kept.deposit.get(), account.kept.close_requested_at), (15_000, 0));
    assert_eq!(stage.state(&channel).await.deposit, 15_000);
    // What the gate knows to have been done is judged by nobody again.
    account.orders.push(stage.teller.name(&order).into_owned());
    let payload = adding(&channel, &signed.encode(), 5_000);
    assert!(stage.check(&payload, Some(&account)).await.is_ok());
}

#[tokio::test]
async fn what_was_earned_is_collected_once_and_the_channel_stays_open() {
    let stage = Stage::new().await;
    let mut account = stage.account(DEPOSIT).await;
    stage.pay(&mut account, 3_000, 2).await;
    let payee = crate::teller::account(2);
    let before = stage.held(&payee).await;
    let order = stage.teller.collect(&account).unwrap();
    assert_eq!(stage.teller.name(&order), "settle/3000");
    assert!(matches!(stage.teller.reconcile(&order, &account).await, Fate::Absent));
    let first = settled(stage.teller.settle(&order, &account).await);
    assert!(first.extra.contains_key("txHash"));
    assert_eq!(stage.state(&account.kept.descriptor).await.settled, 3_000);
    let after = stage.held(&payee).await;
    assert!((before..before + 3_000).contains(&after), "but for the fee, which is the signer's");
    settled(stage.teller.settle(&restored(&order), &account).await);
    settled(stage.teller.reconcile(&order, &account).await);
    assert_eq!(stage.held(&payee).await, after, "neither money nor a fee");
    stage.merge(&mut account, &first);
    assert_eq!(stage.teller.paid_out(&account.kept).get(), 3_000);
    assert!(stage.teller.collect(&account).is_none(), "nothing is left to take");
}

#[tokio::test]
async fn several_collections_are_one_transaction() {
    let stage = Stage::new().await;
    let mut orders = Vec::new();
    for cumulative in [2_000, 3_000, 4_000] {
        let mut account = stage.account(DEPOSIT).await;
        let units = u64::try_from(cumulative / PRICE - 1).unwrap();
        stage.pay(&mut account, cumulative, units).await;
        orders.push((stage.teller.collect(&account).unwrap(), account));
    }
    let fates = stage.teller.settle_together(&orders).await;
    let hashes: Vec<_> =
        fates.into_iter().map(|fate| settled(fate).extra["txHash"].clone()).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    for ((_, account), due) in orders.iter().zip([2_000, 3_000, 4_000]) {
        assert_eq!(stage.state(&account.kept.descriptor).await.settled, due);
    }
    // One of them is gone by the next time: the others are collected all the same.
    let (_, gone) = &orders[0];
    settled(stage.teller.settle(&stage.teller.close(gone).unwrap(), gone).await);
    for (order, account) in &mut orders {
        account.kept.settled = account.credit;
        stage.pay(account, 9_000, 9 - u64::try_from(account.spent.get() / PRICE).unwrap()).await;
        *order = stage.teller.collect(account).unwrap();
    }
    let mut fates = stage.teller.settle_together(&orders).await;
    assert_eq!(fates.len(), 3);
    assert_eq!(failure(fates.remove(0)), Reason::CLOSED);
    for (fate, (_, account)) in fates.into_iter().zip(&orders[1..]) {
        settled(fate);
        assert_eq!(stage.state(&account.kept.descriptor).await.settled, 9_000);
    }
}
