//! A channel from its opening to its end.

use mpp_core::payer::Wish;

use super::*;

#[tokio::test]
async fn a_channel_is_opened_drawn_on_topped_up_and_closed_to_the_unit() {
    let shop = Shop::new().await;
    let payer = shop.payer().top_up("0.005").unwrap();
    let asked = challenge("data", json!({}));
    let (payer_before, payee_before) =
        (shop.held(PAYER.address).await, shop.held(RECIPIENT.address).await);

    assert_eq!(exposed(&payer, &asked), (10 * PRICE, 50_000));
    let opening = pay(&payer, &asked).await.unwrap();
    assert_eq!(opening.payload.action(), "open");
    assert_eq!(opening.payload.voucher().unwrap().0.get(), PRICE);
    assert!(is_signed_by(&opening.payload, payer_address()));
    let channel = id(&opening.payload);
    let fee = opening.exposed.unwrap().get() - 10 * PRICE;
    assert!((1..=50_000).contains(&fee), "{fee}");
    let receipt = shop.serve(&opening).await;
    accept(opening, receipt);
    let state = shop.chain.channel_state(channel.0).await.unwrap();
    assert_eq!((state.deposit, state.settled), (10 * PRICE, 0));

    for n in 2..=10 {
        assert_eq!(exposed(&payer, &asked), (0, 0));
        assert_eq!(buy(&shop, &payer, &asked).await, n * PRICE);
    }
    assert_eq!(exposed(&payer, &asked), (5 * PRICE, 50_000));
    let more = pay(&payer, &asked).await.unwrap();
    assert_eq!((more.step, more.payload.action()), (Step::Manage, "topUp"));
    let receipt = shop.serve(&more).await;
    accept(more, receipt);
    assert_eq!(buy(&shop, &payer, &asked).await, 11 * PRICE);
    assert_eq!(shop.chain.channel_state(channel.0).await.unwrap().deposit, 15 * PRICE);

    let demand = asked.read().unwrap();
    let within = Allowance { up_to: Amount::ZERO, to: site() };
    let close = payer.grant(&demand, &Wish::Close, &within).await.unwrap().unwrap();
    assert_eq!((close.step, close.payload.action()), (Step::Manage, "close"));
    let (amount, _) = close.payload.voucher().unwrap();
    assert_eq!(amount.get(), 11 * PRICE);
    let made_of = descriptor(&close.payload);
    let spent = 11 * PRICE;
    let call = reserve::close(&made_of, spent, spent, &signature(&close.payload));
    let closed = shop.as_payee(call).await;
    assert!(closed.success);
    let receipt = shop.receipt(close.payload.channel_id(), spent, Some(closed.hash.to_string()));
    accept(close, receipt);
    assert!(payer.grant(&demand, &Wish::Close, &within).await.unwrap().is_none());
    assert!(payer.channels().is_empty());
    // The payer's fees here are taken from the channel's own token, so its balance says that they were small, not what they were.
    let left = payer_before - shop.held(PAYER.address).await;
    assert!((spent..spent + 2 * 50_000).contains(&left), "{left}");
    let earned = shop.held(RECIPIENT.address).await + 100_000 - payee_before;
    assert!(earned >= spent && earned <= spent + 100_000, "{earned}");
    // Asked again, it opens anew.
    assert_eq!(exposed(&payer, &asked).0, 10 * PRICE);
}

#[tokio::test]
async fn a_sponsored_channel_costs_no_fee() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = challenge("sponsored", json!({"feePayer": true}));
    let before = shop.held(PAYER.address).await;
    assert_eq!(exposed(&payer, &asked), (10 * PRICE, 0));
    let opening = pay(&payer, &asked).await.unwrap();
    let Payload::Open { transaction, .. } = &opening.payload else { panic!() };
    assert!(transaction.starts_with("0x78"));
    let channel = id(&opening.payload);
    let receipt = shop.serve(&opening).await;
    accept(opening, receipt);
    assert_eq!(shop.chain.channel_state(channel.0).await.unwrap().deposit, 10 * PRICE);
    assert_eq!(before - shop.held(PAYER.address).await, 10 * PRICE);
}

#[tokio::test]
async fn a_stream_is_paid_as_it_asks_and_no_further_ahead() {
    let shop = Shop::new().await;
    let payer = shop.payer().stream_ahead("0.003").unwrap().max_deposit("0.02").unwrap();
    let asked = challenge("stream", json!({}));
    buy(&shop, &payer, &asked).await;
    let channel = payer.channels().remove(0).id;
    let demand = asked.read().unwrap();
    let need = |required: u128| {
        Wish::Need(json!({
            "channelId": channel, "acceptedCumulative": PRICE.to_string(), "deposit": "10000",
            "requiredCumulative": required.to_string(),
        }))
    };
    let within = |up_to| Allowance { up_to: Amount::new(up_to), to: site() };
    for required in [4, 7, 10] {
        let wish = need(required * PRICE);
        assert_eq!(payer.exposes_for(&demand, &wish).unwrap().amount, Amount::ZERO);
        let voucher = payer.grant(&demand, &wish, &within(0)).await.unwrap().unwrap();
        assert_eq!(voucher.payload.voucher().unwrap().0.get(), required * PRICE);
        assert!(is_signed_by(&voucher.payload, payer_address()));
        let receipt = shop.receipt(&channel, required * PRICE, None);
        accept(voucher, receipt);
        assert!(payer.grant(&demand, &wish, &within(0)).await.unwrap().is_none());
        // Before that has brought something, it is not asked for more.
        let more = need((required + 3) * PRICE);
        assert!(payer.grant(&demand, &more, &within(u128::MAX)).await.is_err());
        payer.delivered(&demand);
    }
    // The deposit is short: first that, then the voucher.
    let wish = need(11 * PRICE);
    let most = payer.exposes_for(&demand, &wish).unwrap().amount;
    let more = payer.grant(&demand, &wish, &within(most.get())).await.unwrap().unwrap();
    assert_eq!(more.payload.action(), "topUp");
    let receipt = shop.serve(&more).await;
    accept(more, receipt);
    let voucher = payer.grant(&demand, &wish, &within(most.get())).await.unwrap().unwrap();
    assert_eq!(voucher.payload.voucher().unwrap().0.get(), 11 * PRICE);
    // Somebody else's channel is nobody's to draw on here.
    let foreign = Wish::Need(json!({
        "channelId": format!("0x{}", "7".repeat(64)), "acceptedCumulative": "0", "deposit": "10000",
        "requiredCumulative": "1",
    }));
    assert!(payer.exposes_for(&demand, &foreign).is_none());
    assert!(payer.grant(&demand, &foreign, &within(u128::MAX)).await.is_err());
}

#[tokio::test]
async fn a_server_that_is_gone_keeps_nothing_that_was_not_signed_for() {
    let shop = Shop::new().await;
    let payer = shop.payer();
    let asked = challenge("gone", json!({}));
    buy(&shop, &payer, &asked).await;
    let channel = payer.channels().remove(0).id;
    payer.request_close(&channel).await.unwrap();
    let id: ChannelId = channel.parse().unwrap();
    assert_ne!(shop.chain.channel_state(id.0).await.unwrap().close_requested_at, 0);
    let refused = pay(&payer, &asked).await.unwrap_err();
    assert!(refused.to_string().contains("withdraw"), "{refused}");
    assert!(payer.withdraw(&channel).await.is_err(), "the grace is not over");
    shop.chain.request_close_long_ago(id.0, 1000).await.unwrap();
    let before = shop.held(PAYER.address).await;
    payer.withdraw(&channel).await.unwrap();
    let back = shop.held(PAYER.address).await + 50_000 - before;
    assert!(back >= 10 * PRICE, "{back}");
    assert!(payer.channels().is_empty());
}

#[tokio::test]
async fn a_channel_whose_store_was_lost_is_found_on_the_chain() {
    let shop = Shop::new().await;
    let asked = challenge("lost", json!({}));
    buy(&shop, &shop.payer(), &asked).await;
    let payer = shop.payer();
    assert!(payer.channels().is_empty());
    let found = payer.orphans(0).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].deposit.get(), found[0].usable), (10 * PRICE, false));
    assert!(payer.orphans(0).await.unwrap().is_empty());
    // Nobody knows what was signed for it: it is not paid from.
    assert_eq!(exposed(&payer, &asked).0, 10 * PRICE);
    payer.request_close(&found[0].id).await.unwrap();
    let id: ChannelId = found[0].id.parse().unwrap();
    assert_ne!(shop.chain.channel_state(id.0).await.unwrap().close_requested_at, 0);
}
