//! S3: who paid is who signed, and no word of anybody's makes it somebody else. Keys of an account are in `signers`.

use mpp_core::{Credential, credential::Source};
use mpp_tempo::charge::{Mode, Payload, proof::proof_digest};
use mpp_testkit::devnet::{ACCOUNTS, PAYER};

use super::{
    shop::{payload, signed, transaction, with_payload},
    stage::{Stage, key},
};

fn said(credential: &Credential, source: Option<&str>) -> Credential {
    let mut said = credential.clone();
    said.source = source.map(Source::new);
    said
}

#[tokio::test]
async fn s3_nobody_pays_in_anothers_name() {
    for mode in [Mode::Pull, Mode::Push] {
        let stage = Stage::new().await;
        let shop = stage.selling("0.01 usd", stage.verifier()).await;
        let before = stage.books().await;
        let paid = shop.sign(&stage.payer().mode(mode.clone()), "/joke").await;
        let (own, other) = (PAYER.address, ACCOUNTS[5].address);
        for lie in [
            format!("did:pkh:eip155:42431:{other}"),
            format!("did:pkh:eip155:4217:{own}"),
            format!("did:pkh:eip155:042431:{own}"),
            format!("did:pkh:eip155:42431:{own}:"),
            format!("did:pkh:eip155:42431:{}", &own[..41]),
            format!("did:key:{own}"),
            own.to_owned(),
            "mallory".to_owned(),
        ] {
            let shown = said(&paid, Some(&lie));
            let heard = shop.show("/joke", &shown).await;
            assert_eq!(heard.why(), (402, "wrong-source".to_owned()), "{mode:?} {lie}: {heard:?}");
        }
        let moved = stage.books().await.since(before);
        assert_eq!(moved, if mode == Mode::Pull { [0; 4] } else { [-10_000, 10_000, 0, 0] });
        // Who says nothing is known all the same.
        let heard = shop.show("/joke", &said(&paid, None)).await;
        assert_eq!((heard.code(), heard.body), (200, format!("did:pkh:eip155:42431:{own}")));
        assert_eq!(
            (stage.books().await.since(before), shop.served()),
            ([-10_000, 10_000, 0, 0], 1)
        );
    }
}

#[tokio::test]
async fn s3_a_proof_is_of_the_account_that_signed_it_here_and_now() {
    let stage = Stage::new().await;
    let shop = stage.selling("0 usd", stage.verifier()).await;
    let account = PAYER.address.parse().unwrap();
    let own = shop.sign(&stage.payer(), "/joke").await;
    let other = || key(ACCOUNTS[5].key.hex());
    let theirs = shop.answer(&stage.payer_of(other()), &own.challenge).await;
    let did = format!("did:pkh:eip155:42431:{}", PAYER.address);
    // Another's signature with this account's name, and this one's with another's.
    shop.show("/joke", &said(&theirs, Some(&did))).await.is_refused(402, "bad-signature");
    let theirs_did = theirs.source.as_ref().unwrap().as_str();
    shop.show("/joke", &said(&own, Some(theirs_did))).await.is_refused(402, "bad-signature");
    for nobody in [
        None,
        Some("mallory"),
        Some("did:pkh:eip155:4217:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    ] {
        shop.show("/joke", &said(&own, nobody)).await.is_refused(402, "wrong-source");
    }
    // Signed for another chain, another challenge, another realm; by anybody who knows the account.
    let id = own.challenge.id().as_str();
    let digests = [
        proof_digest(4217, account, id, "127.0.0.1"),
        proof_digest(42431, account, "another", "127.0.0.1"),
        proof_digest(42431, account, id, "localhost"),
        proof_digest(42431, other().address(), id, "127.0.0.1"),
    ];
    for digest in digests {
        let signature = key(PAYER.key.hex()).sign(digest).to_bytes();
        let signature = alloy::primitives::hex::encode_prefixed(signature);
        let forged = with_payload(&own, &Payload::Proof { signature });
        shop.show("/joke", &forged).await.is_refused(402, "bad-signature");
    }
    assert_eq!(shop.served(), 0);
    assert_eq!(shop.show("/joke", &own).await.code(), 200);
}

#[tokio::test]
async fn s3_what_nobody_signed_and_what_says_more_than_was_signed_is_not_sent() {
    let stage = Stage::new().await;
    let shop = stage.selling("0.01 usd", stage.verifier()).await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    let paid = shop.sign(&stage.payer(), "/joke").await;
    let bytes = signed(&paid).encode();
    let mut longer = bytes.clone();
    longer.push(0);
    let mut foreign = signed(&paid).transaction;
    foreign.chain_id = 4217;
    let elsewhere = foreign.sign(&key(PAYER.key.hex())).encode();
    let cases = [
        ("cut", bytes[..bytes.len() - 1].to_vec(), "unreadable"),
        ("longer", longer, "unreadable"),
        ("empty", Vec::new(), "unreadable"),
        ("another type", [&[0x02], &bytes[1..]].concat(), "unreadable"),
        ("another chain", elsewhere, "wrong-chain"),
    ];
    for (name, bytes, reason) in cases {
        let heard = shop.show("/joke", &with_payload(&paid, &transaction(&bytes))).await;
        assert_eq!(heard.why(), (402, reason.to_owned()), "{name}: {heard:?}");
    }
    // A proof where money is asked, and a payment where none is.
    let counter = stage.counter().sell("/joke", "0 usd", stage.verifier());
    let free = counter.open().await;
    let proof = free.sign(&stage.payer(), "/joke").await;
    let shown = with_payload(&paid, &payload(&proof));
    shop.show("/joke", &shown).await.is_refused(402, "wrong-payload");
    let shown = with_payload(&proof, &payload(&paid));
    free.show("/joke", &shown).await.is_refused(402, "wrong-payload");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.show("/joke", &paid).await.code(), 200);
}
