//! Every kind of key opens channels and signs vouchers that the contract takes.

use std::num::NonZeroU64;

use mpp_tempo::chain::{
    keychain::{KeyAuthorization, KeyKind, Limit},
    signature::P256Key,
    signer::{AccessKey, Passkey, Signer, SoftwareAuthenticator},
};

use super::*;

async fn settles(shop: &Shop, signer: Arc<dyn Signer>) {
    let (account, voucher_key) = (signer.account(), signer.key());
    shop.chain.fund(&TOKEN.to_string(), &account.to_string(), 10_000_000).await.unwrap();
    let payer = Payer::signing_with(signer, &Chain::MODERATO, shop.node.clone());
    let asked = challenge("keys", json!({}));
    buy(shop, &payer, &asked).await;
    let voucher = pay(&payer, &asked).await.unwrap();
    let made_of = descriptor(&voucher.payload);
    assert_eq!((made_of.payer, made_of.authorized_signer), (account, voucher_key));
    assert!(is_signed_by(&voucher.payload, voucher_key));
    let signature = signature(&voucher.payload);
    let settled = shop.as_payee(reserve::settle(&made_of, 2 * PRICE, &signature)).await;
    assert!(settled.success);
    let state = shop.chain.channel_state(id(&voucher.payload).0).await.unwrap();
    assert_eq!(state.settled, 2 * PRICE);
}

#[tokio::test]
async fn vouchers_of_every_kind_of_key_are_settled() {
    let shop = Shop::new().await;
    let p256 = || Arc::new(P256Key::new([0x61; 32]).unwrap());
    settles(&shop, Arc::new(Key::new([0x62; 32]).unwrap())).await;
    settles(&shop, p256()).await;
    let device = SoftwareAuthenticator::new(P256Key::new([0x63; 32]).unwrap(), "example.com");
    settles(&shop, Arc::new(Passkey::new(device))).await;
    let root = Key::new([0x64; 32]).unwrap();
    let inner = p256();
    let hour = NonZeroU64::new(shop.node.latest_block().await.unwrap().timestamp + 3600).unwrap();
    let allowed = KeyAuthorization::new(42431, KeyKind::P256, inner.account(), hour).limit(Limit {
        token: TOKEN,
        amount: alloy::primitives::U256::from(5_000_000),
        period: None,
    });
    let signature = root.sign(allowed.signing_hash());
    let allowed = allowed.signed(signature).unwrap();
    let agent = AccessKey::new(root.address(), inner).with_authorization(&allowed).unwrap();
    settles(&shop, Arc::new(agent)).await;
}
