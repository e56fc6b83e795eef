//! S1: what was paid once is served once, however it is spelled, and what was not taken is not used up.

use std::sync::Arc;

use mpp_core::store::Memory;
use mpp_tempo::charge::{Mode, Payload};
use mpp_testkit::devnet::{PATH_USD, PAYER};

use super::{
    faulty::{Act, Asked, Faulty},
    shop::{Counter, moved_to, payload, signed, with_payload},
    stage::{CENT, Stage},
};

const MEMO: &str = "0x4242424242424242424242424242424242424242424242424242424242424242";

fn hash_of(text: impl Into<String>) -> Payload {
    Payload::Hash { hash: text.into() }
}

#[tokio::test]
async fn s1_a_mined_hash_is_credited_to_the_one_challenge_it_names() {
    let stage = Stage::new().await;
    let counter = stage.counter().sell("/joke", "0.01 usd", stage.verifier());
    let shop = counter.sell("/poem", "0.01 usd", stage.verifier()).open().await;
    let pusher = stage.payer().mode(Mode::Push);
    let before = stage.books().await;
    let paid = shop.sign(&pusher, "/joke").await;
    // First shown for others, which does not use it up; then for its own; then again for others and its own.
    for other in ["/joke", "/poem"] {
        let stolen = moved_to(&paid, &shop.ask(other).await);
        shop.show(other, &stolen).await.is_refused(402, "not-transferred");
    }
    assert_eq!(shop.show("/joke", &paid).await.code(), 200);
    for other in ["/joke", "/poem"] {
        let stolen = moved_to(&paid, &shop.ask(other).await);
        shop.show(other, &stolen).await.is_refused(402, "not-transferred");
    }
    shop.show("/joke", &paid).await.is_refused(402, "already-used");
    assert_eq!(shop.served(), 1);
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
}

#[tokio::test]
async fn s1_a_hash_is_one_hash_however_it_is_spelled() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let paid = shop.sign(&stage.payer().mode(Mode::Push), "/joke").await;
    let Payload::Hash { hash } = payload(&paid) else { panic!("push mode") };
    let upper = format!("0x{}", hash[2..].to_uppercase());
    let mixed: String = hash
        .char_indices()
        .map(|(i, c)| if i % 2 == 0 { c } else { c.to_ascii_uppercase() })
        .collect();
    let mixed = mixed.replacen('X', "x", 1);
    for wrong in [
        hash[2..].to_owned(),
        format!("0X{}", &hash[2..]),
        format!("{hash} "),
        format!("0x0x{}", &hash[4..]),
    ] {
        let shown = with_payload(&paid, &hash_of(wrong));
        shop.show("/joke", &shown).await.is_refused(402, "unreadable");
    }
    let spelled = [hash.clone(), upper, mixed].map(|text| with_payload(&paid, &hash_of(text)));
    let [a, b, c] = &spelled;
    let (a, b, c) =
        tokio::join!(shop.show("/joke", a), shop.show("/joke", b), shop.show("/joke", c));
    let served = [&a, &b, &c].iter().filter(|heard| heard.code() == 200).count();
    assert_eq!((served, shop.served()), (1, 1), "{a:?} {b:?} {c:?}");
    for again in &spelled {
        let heard = shop.show("/joke", again).await;
        assert!(matches!(heard.code(), 402 | 403), "{heard:?}");
    }
    assert_eq!(shop.served(), 1);
}

#[tokio::test]
async fn s1_what_was_pulled_is_not_pushed_for_another_challenge_nor_for_its_own() {
    for memo in [None, Some(MEMO)] {
        let stage = Stage::new().await;
        let till = || memo.map_or(stage.verifier(), |memo| stage.verifier().memo(memo).unwrap());
        let counter = stage.counter().sell("/joke", "0.01 usd", till());
        // The same terms, but that they are taken by hash as well.
        let shop = counter.sell("/any", "0.01 usd", stage.verifier()).open().await;
        let paid = shop.sign(&stage.payer(), "/joke").await;
        let served = shop.show("/joke", &paid).await;
        assert_eq!(served.code(), 200);
        let hash = with_payload(&paid, &hash_of(served.receipt().reference));
        for (path, reason) in [
            ("/joke", if memo.is_some() { "mode-not-offered" } else { "not-transferred" }),
            ("/any", "not-transferred"),
        ] {
            let shown = moved_to(&hash, &shop.ask(path).await);
            shop.show(path, &shown).await.is_refused(402, reason);
        }
        shop.show("/joke", &hash).await.is_refused(402, "already-used");
        assert_eq!(shop.served(), 1);
    }
}

#[tokio::test]
async fn s1_a_signed_transaction_pays_for_one_challenge_whoever_shows_it() {
    let stage = Stage::new().await;
    // With a memo of the shop's own, nothing on the chain tells one challenge's transfer from another's.
    for till in [stage.verifier(), stage.verifier().memo(MEMO).unwrap()] {
        let fixed = till.clone();
        let shop = stage.selling("0.01 usd", till).await;
        let before = stage.books().await;
        let paid = shop.sign(&stage.payer(), "/joke").await;
        let others = [shop.ask("/joke").await, shop.ask("/joke").await];
        let stolen = others.map(|other| moved_to(&paid, &other));
        let (one, two, three) = tokio::join!(
            shop.show("/joke", &paid),
            shop.show("/joke", &stolen[0]),
            shop.show("/joke", &stolen[1])
        );
        let served = [&one, &two, &three].iter().filter(|heard| heard.code() == 200).count();
        assert_eq!((served, shop.served()), (1, 1), "{fixed:?}: {one:?} {two:?} {three:?}");
        for again in [&paid, &stolen[0], &stolen[1]] {
            let heard = shop.show("/joke", again).await;
            assert!(matches!(heard.code(), 402 | 403), "{heard:?}");
        }
        assert_eq!(shop.served(), 1);
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
    }
}

#[tokio::test]
async fn s1_a_proof_is_good_for_one_look() {
    let stage = Stage::new().await;
    let shop = stage.selling("0 usd", stage.verifier()).await;
    let proof = shop.sign(&stage.payer(), "/joke").await;
    let (a, b) = tokio::join!(shop.show("/joke", &proof), shop.show("/joke", &proof));
    let served = [&a, &b].iter().filter(|heard| heard.code() == 200).count();
    assert_eq!((served, shop.served()), (1, 1), "{a:?} {b:?}");
    shop.show("/joke", &proof).await.is_refused(402, "already-used");
    let elsewhere = moved_to(&proof, &shop.ask("/joke").await);
    shop.show("/joke", &elsewhere).await.is_refused(402, "bad-signature");
}

#[tokio::test]
async fn s1_what_the_node_would_not_take_is_not_used_up_and_is_paid_once_it_does() {
    // Refused and not taken; never heard; done, and the answer lost.
    for act in [Act::Refuses(-32003), Act::Refuses(-32000), Act::NeverHears, Act::DoesAndIsMute] {
        let stage = Stage::new().await;
        let line = Faulty::new(&stage.node);
        let shop = stage.selling("0.01 usd", stage.verifier_at(line.clone())).await;
        let before = stage.books().await;
        let paid = shop.sign(&stage.payer(), "/joke").await;
        line.next(Asked::Send, act.clone());
        let first = shop.show("/joke", &paid).await;
        match act {
            // The receipt is found by asking.
            Act::DoesAndIsMute => assert_eq!(first.code(), 200, "{first:?}"),
            _ => {
                // Nobody is invited to pay again for what may have been taken.
                assert_eq!((first.code(), first.challenges().len()), (503, 0), "{act:?} {first:?}");
                assert!(first.headers.contains_key("retry-after"));
                // Another challenge cannot have it meanwhile.
                let stolen = moved_to(&paid, &shop.ask("/joke").await);
                assert!(matches!(shop.show("/joke", &stolen).await.code(), 402 | 403));
                let mut heard = shop.show("/joke", &paid).await;
                for _ in 0..40 {
                    if heard.code() == 200 {
                        break;
                    }
                    assert_eq!(heard.challenges().len(), 0, "{heard:?}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    heard = shop.show("/joke", &paid).await;
                }
                assert_eq!(heard.code(), 200, "{act:?} {heard:?}");
            }
        }
        assert_eq!(shop.served(), 1);
        assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0], "{act:?}");
    }
}

#[tokio::test]
async fn s1_who_was_short_of_money_is_served_with_the_same_payment_once_the_account_is_filled() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let poor = stage.holding(0x41, PATH_USD, 10 * CENT).await;
    let account = poor.address().to_string();
    let payer = stage.payer_of(poor);
    let (paid, other) = (shop.sign(&payer, "/joke").await, shop.sign(&payer, "/joke").await);
    // The first takes so much that the second's is gone.
    let most = signed(&other).transaction.max_fee();
    assert!(most < 9 * CENT);
    let rest = stage.held(PATH_USD, &account).await;
    let drain = mpp_tempo::chain::tip20::Transfer {
        to: PAYER.address.parse().unwrap(),
        amount: alloy::primitives::U256::from(rest - most - CENT / 2),
        memo: None,
    };
    let key = mpp_tempo::Key::new([0x41; 32]).unwrap();
    let free = stage.node.clone();
    let moved = mpp_tempo::chain::transaction::Transaction {
        calls: vec![drain.call(mpp_tempo::chain::PATH_USD)],
        ..signed(&paid).transaction
    };
    use mpp_tempo::chain::rpc::Rpc;
    assert!(free.send(moved.sign(&key).encode().into()).await.unwrap().success);
    shop.show("/joke", &other).await.is_refused(402, "short-of-funds");
    stage.chain.fund(PATH_USD, &account, 10 * CENT).await.unwrap();
    assert_eq!(shop.show("/joke", &other).await.code(), 200);
    assert_eq!(shop.served(), 1);
}

#[tokio::test]
async fn s1_a_shop_that_lost_its_books_takes_no_payment_a_second_time() {
    let stage = Stage::new().await;
    let store = Arc::new(Memory::volatile());
    let open = |store: Arc<Memory>| {
        Counter::at(stage.gate(store).build().unwrap()).sell("/joke", "0.01 usd", stage.verifier())
    };
    let first = open(store.clone()).open().await;
    let before = stage.books().await;
    let paid = first.sign(&stage.payer(), "/joke").await;
    assert_eq!(first.show("/joke", &paid).await.code(), 200);
    // The next life of the same shop, and a second one beside it, on the same books.
    let again = open(store).open().await;
    again.show("/joke", &paid).await.is_refused(402, "already-used");
    assert_eq!(again.served(), 0);
    // With empty books it may serve again what was paid, but never charges for it twice.
    let forgetful = open(Arc::new(Memory::volatile())).open().await;
    let heard = forgetful.show("/joke", &paid).await;
    assert_eq!(heard.code(), 200, "{heard:?}");
    assert_eq!(stage.books().await.since(before), [-10_000, 10_000, 0, 0]);
}
