//! Accounts of other keys than the common one, and keys that are not the account's own: bought with, end to end.

use std::{num::NonZeroU64, sync::Arc};

use alloy::{primitives::U256, sol_types::SolCall};
use mpp_tempo::{
    Chain, Key,
    chain::{
        PATH_USD as PATH,
        keychain::{ACCOUNT_KEYCHAIN, KeyAuthorization, KeyKind, Limit},
        parse_address,
        signature::P256Key,
        signer::{AccessKey, Passkey, Signer, SoftwareAuthenticator},
        transaction::Call,
    },
    charge::{Mode, Payer, sponsor::Policy},
};
use mpp_testkit::devnet::{PATH_USD, PAYER};

use super::{
    shop::{payload, signed, transaction, with_payload},
    stage::{CENT, Stage, key, seconds},
};

alloy::sol! {
    function revokeKey(address keyId) external;
}

/// A key of an agent's, for the account of [`PAYER`].
fn agent(seed: u8) -> Arc<P256Key> {
    Arc::new(P256Key::new([seed; 32]).unwrap())
}

/// The agent's signer, with the account's word that it may spend so much.
fn authorised(seed: u8, limit: u128) -> AccessKey {
    let (agent, root) = (agent(seed), key(PAYER.key.hex()));
    let hour = NonZeroU64::new(seconds() + 3600).unwrap();
    let authorization = KeyAuthorization::new(42_431, KeyKind::P256, agent.account(), hour)
        .limit(Limit { token: PATH, amount: U256::from(limit), period: None });
    let signature = root.sign(authorization.signing_hash());
    let signed = authorization.signed(signature).unwrap();
    AccessKey::new(parse_address(PAYER.address).unwrap(), agent)
        .with_authorization(&signed)
        .unwrap()
}

fn paying(stage: &Stage, signer: impl Signer) -> Payer {
    Payer::signing_with(Arc::new(signer), &Chain::MODERATO, stage.node.clone())
}

#[tokio::test]
async fn accounts_of_every_kind_of_key_buy_in_every_mode() {
    let stage = Stage::new().await;
    let verifier = stage.verifier();
    let sponsoring = stage.sponsoring();
    let counter = stage.counter().sell("/own", "0.01 usd", verifier);
    let counter = counter.sell("/free", "0 usd", stage.verifier());
    let shop = counter.sell("/sponsored", "0.01 usd", sponsoring).open().await;
    let passkey =
        || SoftwareAuthenticator::new(P256Key::new([0x33; 32]).unwrap(), "wallet.example");
    let signers: [Arc<dyn Signer>; 4] = [
        Arc::new(Key::new([0x31; 32]).unwrap()),
        Arc::new(P256Key::new([0x32; 32]).unwrap()),
        Arc::new(P256Key::new([0x34; 32]).unwrap().prehashing()),
        Arc::new(Passkey::new(passkey())),
    ];
    for signer in signers {
        let account = signer.account().to_string();
        let payer = |mode| paying(&stage, signer.clone()).mode(mode);
        stage.chain.fund(PATH_USD, &account, 50 * CENT).await.unwrap();
        let ways = [
            ("/own", Mode::Pull),
            ("/own", Mode::Push),
            ("/sponsored", Mode::Pull),
            ("/free", Mode::Pull),
        ];
        for (path, mode) in ways {
            let before = stage.books_of(&account).await;
            let credential = shop.sign(&payer(mode.clone()), path).await;
            let heard = shop.show(path, &credential).await;
            assert_eq!(heard.code(), 200, "{path} {mode:?} {signer:?}: {heard:?}");
            assert_eq!(heard.body, format!("did:pkh:eip155:42431:{account}"));
            let [paid, got, sponsored, _] = stage.books_of(&account).await.since(before);
            let (price, fee) = match path {
                "/own" => (10_000, -10_000 - paid),
                "/sponsored" => (10_000, -sponsored),
                _ => (0, 1),
            };
            assert_eq!(got, price, "{path} {mode:?}");
            assert!((1..=50_000).contains(&fee), "{path} {mode:?}: {fee}");
            assert!(path == "/own" || paid == -price, "{path}: {paid}");
        }
    }
    assert_eq!(shop.served(), 16);
}

#[tokio::test]
async fn an_access_key_is_made_known_by_its_first_purchase_and_used_by_the_second() {
    let stage = Stage::new().await;
    let counter = stage.counter().sell("/joke", "0.01 usd", stage.verifier());
    let trusting = Policy { access_keys: true, ..Policy::on(&Chain::MODERATO) };
    let trusting = stage.verifier().sponsored_by(stage.sponsor().policy(trusting)).unwrap();
    let counter = counter.sell("/sponsored", "0.01 usd", stage.sponsoring());
    let shop = counter.sell("/trusting", "0.01 usd", trusting).open().await;
    let payer = paying(&stage, authorised(0x35, 100 * CENT));
    assert_ne!(payer.authorized_signer(), PAYER.address);
    // A sponsor pays for no key to be made known, so nothing is signed.
    let early = paying(&stage, authorised(0x35, 100 * CENT));
    let early = super::shop::client(early).get(shop.url("/sponsored")).send().await.unwrap_err();
    let early = mpp_client::Error::from_reqwest(&early).unwrap();
    assert_eq!(early.funds(), mpp_core::payer::Funds::Untouched);
    for brings in [true, false, false] {
        let before = stage.books().await;
        let credential = shop.sign(&payer, "/joke").await;
        assert_eq!(signed(&credential).transaction.key_authorization.is_some(), brings);
        let heard = shop.show("/joke", &credential).await;
        assert_eq!(heard.code(), 200, "{heard:?}");
        assert_eq!(heard.body, format!("did:pkh:eip155:42431:{}", PAYER.address));
        let [paid, got, ..] = stage.books().await.since(before);
        assert_eq!(got, 10_000);
        assert!((-160_000..-10_000).contains(&paid), "{paid}");
    }
    let before = stage.books().await;
    // What such a key may spend is in no trial, so that a sponsor has to say by name that it goes along.
    let credential = shop.sign(&payer, "/sponsored").await;
    assert_eq!(shop.show("/sponsored", &credential).await.code(), 402);
    let credential = shop.sign(&payer, "/trusting").await;
    assert_eq!(shop.show("/trusting", &credential).await.code(), 200);
    let [paid, got, sponsored, _] = stage.books().await.since(before);
    assert_eq!((paid, got, sponsored < 0), (-10_000, 10_000, true));
}

/// Signs the account's own payment anew, by another key.
async fn resigned(credential: &mpp_core::Credential, by: &dyn Signer) -> mpp_core::Credential {
    let transaction_ = signed(credential).transaction;
    let signature = by.sign(transaction_.signing_hash()).await.unwrap();
    with_payload(credential, &transaction(&transaction_.signed(signature).encode()))
}

#[tokio::test]
async fn s3_an_access_key_that_the_account_never_had_or_has_no_longer_buys_nothing() {
    let stage = Stage::new().await;
    let counter = stage.counter().sell("/joke", "0.01 usd", stage.verifier());
    let shop = counter.sell("/free", "0 usd", stage.verifier()).open().await;
    let account = parse_address(PAYER.address).unwrap();
    let stranger = AccessKey::new(account, agent(0x36));
    let (before, mined) = (stage.books().await, stage.mined().await);
    let own = shop.sign(&stage.payer(), "/joke").await;
    let refused = shop.show("/joke", &resigned(&own, &stranger).await).await;
    refused.is_refused(402, "key-inactive");
    let proof = shop.sign(&paying(&stage, AccessKey::new(account, agent(0x36))), "/free").await;
    shop.show("/free", &proof).await.is_refused(402, "bad-signature");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));

    // One that the account has: good for both, until it is revoked.
    let known = authorised(0x37, 100 * CENT);
    let payer = paying(&stage, authorised(0x37, 100 * CENT));
    let first = shop.sign(&payer, "/joke").await;
    assert_eq!(shop.show("/joke", &first).await.code(), 200);
    let proof = shop.sign(&payer, "/free").await;
    let heard = shop.show("/free", &proof).await;
    assert_eq!(heard.body, format!("did:pkh:eip155:42431:{}", PAYER.address));
    let (late, late_proof) = (shop.sign(&payer, "/joke").await, shop.sign(&payer, "/free").await);
    let revoke = revokeKeyCall { keyId: known.key() }.abi_encode();
    let call = Call { to: ACCOUNT_KEYCHAIN, value: U256::ZERO, data: revoke.into() };
    stage.run(&key(PAYER.key.hex()), vec![call]).await;
    let (before, mined) = (stage.books().await, stage.mined().await);
    shop.show("/joke", &late).await.is_refused(402, "key-inactive");
    shop.show("/free", &late_proof).await.is_refused(402, "bad-signature");
    assert_eq!((stage.books().await.since(before), stage.mined().await), ([0; 4], mined));
    assert_eq!(shop.served(), 2);
    assert!(matches!(payload(&late), mpp_tempo::charge::Payload::Transaction { .. }));
}
