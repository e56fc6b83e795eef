//! S8: the memo ties a payment to its challenge, and one that does not is refused before anything is sent.

use alloy::primitives::{B256, U256};
use mpp_core::Credential;
use mpp_tempo::chain::{
    PATH_USD as PATH, attribution::Attribution, tip20::Transfer, transaction::Call,
};
use mpp_testkit::devnet::{PAYER, RECIPIENT};

use super::{
    shop::{signed, transaction, with_payload},
    stage::{CENT, Stage, key},
};

fn bearing(memo: Option<B256>) -> Call {
    let to = RECIPIENT.address.parse().unwrap();
    Transfer { to, amount: U256::from(CENT), memo }.call(PATH)
}

fn calling(credential: &Credential, call: Call) -> Credential {
    let handed = signed(credential);
    let awaits = handed.transaction.fee_payer == mpp_tempo::chain::transaction::FeePayer::Awaited;
    let mut made = handed.transaction;
    made.calls = vec![call];
    let signed = made.sign(&key(PAYER.key.hex()));
    let bytes = if awaits { signed.envelope().unwrap() } else { signed.encode() };
    with_payload(credential, &transaction(&bytes))
}

#[tokio::test]
async fn s8_a_memo_that_names_another_challenge_or_none_is_refused_before_anything_is_sent() {
    let fixed = B256::repeat_byte(0x42);
    let stage = Stage::new().await;
    let memo = stage.verifier().memo(&fixed.to_string()).unwrap();
    let counter = stage.counter().sell("/own", "0.01 usd", stage.verifier());
    let counter = counter.sell("/fixed", "0.01 usd", memo);
    let shop = counter.sell("/sponsored", "0.01 usd", stage.sponsoring()).open().await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    for path in ["/own", "/fixed", "/sponsored"] {
        let paid = shop.sign(&stage.payer(), path).await;
        let id = paid.challenge.id().as_str().to_owned();
        let own = Attribution::new("127.0.0.1", &id).memo(None);
        let mut tagless = own;
        tagless.0[0] ^= 1;
        let mut versioned = own;
        versioned.0[4] = 2;
        let memos = [
            ("none", None),
            ("another challenge", Some(Attribution::new("127.0.0.1", "another").memo(None))),
            ("another realm", Some(Attribution::new("localhost", &id).memo(None))),
            ("no tag", Some(tagless)),
            ("another version", Some(versioned)),
            ("nothing", Some(B256::ZERO)),
            ("anything", Some(B256::repeat_byte(0x41))),
            ("the other kind", Some(if path == "/fixed" { own } else { fixed })),
        ];
        for (name, memo) in memos {
            let heard = shop.show(path, &calling(&paid, bearing(memo))).await;
            assert_eq!(heard.why(), (402, "wrong-memo".to_owned()), "{path} {name}: {heard:?}");
        }
    }
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.served(), 0);
    // With whatever name of the payer's in it, the right one is taken.
    for name in [None, Some("an agent")] {
        let paid = shop.sign(&stage.payer(), "/own").await;
        let memo = Attribution::new("127.0.0.1", paid.challenge.id().as_str()).memo(name);
        let heard = shop.show("/own", &calling(&paid, bearing(Some(memo)))).await;
        assert_eq!(heard.code(), 200, "{heard:?}");
    }
}
