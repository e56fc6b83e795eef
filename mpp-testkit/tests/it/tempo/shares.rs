//! S7: every share is a transfer of its own, and every transfer pays one share of one challenge.

use alloy::primitives::U256;
use mpp_core::Credential;
use mpp_tempo::{
    chain::{PATH_USD as PATH, attribution::Attribution, tip20::Transfer, transaction::Call},
    charge::{Mode, Payload},
};
use mpp_testkit::devnet::{ACCOUNTS, PAYER, RECIPIENT, SPLIT};

use super::{
    shop::{Shop, moved_to, signed, transaction, with_payload},
    stage::{CENT, Stage, key},
};

fn to(account: &str, amount: u128) -> Call {
    let to = account.parse().unwrap();
    Transfer { to, amount: U256::from(amount), memo: None }.call(PATH)
}

/// A transfer to the recipient that names a challenge.
fn named(credential: &Credential, amount: u128) -> Call {
    let memo = Attribution::new("127.0.0.1", credential.challenge.id().as_str()).memo(None);
    let to = RECIPIENT.address.parse().unwrap();
    Transfer { to, amount: U256::from(amount), memo: Some(memo) }.call(PATH)
}

/// The same payment, by other calls.
fn calling(credential: &Credential, calls: Vec<Call>) -> Credential {
    let mut made = signed(credential).transaction;
    made.calls = calls;
    with_payload(credential, &transaction(&made.sign(&key(PAYER.key.hex())).encode()))
}

async fn pushed(stage: &Stage, credential: &Credential, calls: Vec<Call>) -> Credential {
    let hash = stage.run(&key(PAYER.key.hex()), calls).await;
    with_payload(credential, &Payload::Hash { hash })
}

#[tokio::test]
async fn s7_two_equal_shares_are_two_transfers_pulled_or_pushed() {
    for mode in [Mode::Pull, Mode::Push] {
        let stage = Stage::new().await;
        // One to somebody twice, and one that is just like the recipient's own.
        let twice = stage.verifier().share(SPLIT.address, "0.01").unwrap();
        let twice = twice.share(SPLIT.address, "0.01").unwrap();
        let alike = stage.verifier().share(RECIPIENT.address, "0.01").unwrap();
        let counter = stage.counter().sell("/twice", "0.03 usd", twice);
        let shop = counter.sell("/alike", "0.02 usd", alike).open().await;
        let payer = || stage.payer().mode(Mode::Pull);
        let own = |c: &Credential| named(c, CENT);
        type Calls = Box<dyn Fn(&Credential) -> Vec<Call>>;
        let cases: [(&str, &str, Calls, bool); 8] = [
            (
                "/twice",
                "one of two",
                Box::new(move |c| vec![own(c), to(SPLIT.address, CENT)]),
                false,
            ),
            (
                "/twice",
                "both in one",
                Box::new(move |c| vec![own(c), to(SPLIT.address, 2 * CENT)]),
                false,
            ),
            (
                "/twice",
                "shares alone",
                Box::new(move |_| vec![to(SPLIT.address, CENT), to(SPLIT.address, CENT)]),
                false,
            ),
            (
                "/twice",
                "to another",
                Box::new(move |c| {
                    vec![own(c), to(SPLIT.address, CENT), to(ACCOUNTS[5].address, CENT)]
                }),
                false,
            ),
            (
                "/twice",
                "in another order",
                Box::new(move |c| vec![to(SPLIT.address, CENT), own(c), to(SPLIT.address, CENT)]),
                true,
            ),
            // One call writes two logs.
            ("/alike", "one for both", Box::new(move |c| vec![own(c)]), false),
            ("/alike", "whole", Box::new(move |c| vec![named(c, 2 * CENT)]), false),
            ("/alike", "two", Box::new(move |c| vec![own(c), to(RECIPIENT.address, CENT)]), true),
        ];
        for (path, name, calls, served) in cases {
            let asked = shop.sign(&payer(), path).await;
            let (before, mined) = (stage.books().await, stage.mined().await);
            let shown = match mode {
                Mode::Push => pushed(&stage, &asked, calls(&asked)).await,
                _ => calling(&asked, calls(&asked)),
            };
            let heard = shop.show(path, &shown).await;
            assert_eq!(heard.code(), if served { 200 } else { 402 }, "{mode:?} {name}: {heard:?}");
            if mode == Mode::Pull && !served {
                assert_eq!(heard.why().1, "wrong-calls", "{name}");
                assert_eq!(
                    (stage.books().await.since(before), stage.mined().await),
                    ([0; 4], mined)
                );
            } else if !served {
                assert_eq!(heard.why().1, "not-transferred", "{name}");
            }
        }
        assert_eq!(shop.served(), 2);
    }
}

#[tokio::test]
async fn s7_one_transaction_with_two_payments_in_it_is_credited_once() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    // Pulled, it is not sent: who is paid by it is paid more than was asked.
    let (one, two) = two_payments(&stage, &shop).await;
    let calls = vec![named(&one, CENT), named(&two, CENT)];
    let (before, mined) = (stage.books().await, stage.mined().await);
    for asked in [&one, &two] {
        let both = calling(asked, calls.clone());
        shop.show("/joke", &both).await.is_refused(402, "wrong-calls");
    }
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    // Pushed, it is there: for one of them.
    let one = pushed(&stage, &one, calls).await;
    let two = moved_to(&one, &two.challenge);
    let (a, b) = tokio::join!(shop.show("/joke", &one), shop.show("/joke", &two));
    let codes = [a.code(), b.code()];
    assert!(codes.contains(&200) && codes.contains(&403), "{a:?} {b:?}");
    for again in [&one, &two] {
        let heard = shop.show("/joke", again).await;
        assert!(matches!(heard.code(), 402 | 403), "{heard:?}");
    }
    assert_eq!(shop.served(), 1);
}

async fn two_payments(stage: &Stage, shop: &Shop) -> (Credential, Credential) {
    (shop.sign(&stage.payer(), "/joke").await, shop.sign(&stage.payer(), "/joke").await)
}
