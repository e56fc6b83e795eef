//! Digests and signatures of vouchers, against published values and the chain's own definitions.

use std::sync::Arc;

use alloy::primitives::{address, hex};

use super::*;
use crate::{
    Key,
    chain::{
        escrow,
        signature::P256Key,
        signer::{AccessKey, Passkey, SoftwareAuthenticator},
    },
    session::VoucherKey,
};

const FIRST: ChannelId = ChannelId(B256::with_last_byte(1));
const MILLION: Amount = Amount::new(1_000_000);

fn key() -> Key {
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".parse().unwrap()
}

fn v1(chain_id: u64) -> Domain {
    Domain::v1(chain_id, escrow::known(chain_id).unwrap())
}

#[test]
fn separators_are_those_of_deployed_contracts() {
    let cases = [
        (
            Domain::v2(42431),
            b256!("a3aa475070603a80823360e5a4a0d3b4fe2cd4e82a109ee3c21a4640a199688d"),
        ),
        (
            Domain::v2(4217),
            b256!("6465ffa0b0c1e7cfc1a894ba54d79615bc06fd7cc9cfec558f3df82189d17367"),
        ),
        (v1(42431), b256!("3271aa2ef112b8493e889b17f852ad8e0a0b30565a62f3c066aa9fb0b7444e0c")),
        (v1(4217), b256!("c3eb96493d8b195ca1671190861b10909e09ea4f1662c5a577f2bcc7ecf47eb8")),
    ];
    for (domain, separator) in cases {
        assert_eq!(domain.separator(), separator, "{domain:?}");
    }
}

#[test]
fn type_hashes_are_of_the_types() {
    let domain =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    let voucher = |bits| format!("Voucher(bytes32 channelId,uint{bits} cumulativeAmount)");
    assert_eq!(DOMAIN, keccak256(domain));
    assert_eq!(VOUCHER_96, keccak256(voucher(96)));
    assert_eq!(VOUCHER_128, keccak256(voucher(128)));
}

#[test]
fn digests_are_published_ones() {
    let published =
        ChannelId(b256!("57e629663a75a0a49f8dc65c9f62ee38ab5dfa9124d7316d160766e4ecbc1227"));
    let cases = [
        (
            Domain::v2(42431).digest(published, Amount::new(50)),
            b256!("41a23f1573d302acae1dcec60d237f78d2514768faf670ef27458931c38b5db3"),
        ),
        (
            Domain::v2(42431).digest(FIRST, MILLION),
            b256!("513df895662485e1b58a14895b6fa72699a4a90520ffe8d5abe5854a5a53275e"),
        ),
        (
            v1(42431).digest(FIRST, MILLION),
            b256!("09ad77ebcef2ee2ae69706c59e4923560be8ac823755b79afc4190e97e82669f"),
        ),
    ];
    for (digest, expected) in cases {
        assert_eq!(digest, expected);
    }
}

#[tokio::test]
async fn signatures_are_published_ones() {
    let cases = [
        (
            Domain::v2(42431),
            "c450ec62183b00c4c64c7e171a7f289e4d227d93346d8f763b1fbc29e660a1b32c7f6a0e7130f022edb0bca0fae6e347c2c4eedd321fc3168ea12c2437a8233f1c",
        ),
        (
            v1(42431),
            "6e895c8eeb3cb3c8b6d1d97be754d9aef18dcc0a1d79e8ddf52241a6f5d959f936ea96938529ce78c42adbf03e15b5560619f28a2f42d7fab49f2c0d3f54cd1c1b",
        ),
    ];
    assert_eq!(key().address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    for (domain, expected) in cases {
        let made = domain.sign(&key(), FIRST, MILLION).await.unwrap();
        assert_eq!(hex::encode(&made), expected);
        let digest = domain.digest(FIRST, MILLION);
        assert_eq!(VoucherKey::new(key().address()).check(digest, &made), Ok(()));
    }
}

#[test]
fn a_domain_is_of_a_protocol_that_is_known() {
    let at = Address::repeat_byte(9);
    assert_eq!(Domain::of(&Protocol::V1, 5, at), Some(Domain::v1(5, at)));
    assert_eq!(Domain::of(&Protocol::V2, 5, CHANNEL_RESERVE), Some(Domain::v2(5)));
    assert_ne!(Domain::of(&Protocol::V2, 5, at), Some(Domain::v1(5, at)));
    assert_eq!(Domain::of(&Protocol::Other("v3".into()), 5, at), None);
    assert_eq!((Domain::v1(5, at).chain_id(), Domain::v1(5, at).escrow()), (5, at));
}

#[tokio::test]
async fn every_signer_signs_in_its_keys_own_name_and_an_access_key_wraps_no_voucher() {
    let p256 = || P256Key::new([3; 32]).unwrap();
    let passkey = || Passkey::new(SoftwareAuthenticator::new(p256(), "wallet.example"));
    let access = |key: Arc<dyn Signer>| AccessKey::new(Address::repeat_byte(7), key);
    let signers: [Arc<dyn Signer>; 6] = [
        Arc::new(key()),
        Arc::new(p256()),
        Arc::new(passkey()),
        Arc::new(access(Arc::new(key()))),
        Arc::new(access(Arc::new(p256()))),
        Arc::new(access(Arc::new(passkey()))),
    ];
    let domain = Domain::v2(4217);
    let digest = domain.digest(FIRST, MILLION);
    for signer in signers {
        let made = domain.sign(&signer, FIRST, MILLION).await.unwrap();
        assert_eq!(VoucherKey::new(signer.key()).check(digest, &made), Ok(()), "{signer:?}");
    }
}

/// Signs as another key than it names.
#[derive(Debug)]
struct Liar;

impl Signer for Liar {
    fn account(&self) -> Address {
        Address::repeat_byte(1)
    }

    fn kind(&self) -> crate::chain::keychain::KeyKind {
        crate::chain::keychain::KeyKind::Secp256k1
    }

    fn sign(&self, hash: B256) -> crate::chain::signer::Signing<'_> {
        let made = key().sign(hash);
        Box::pin(async move { Ok(made.into()) })
    }
}

#[tokio::test]
async fn a_voucher_that_somebody_else_signed_does_not_leave() {
    let made = Domain::v2(1).sign(&Liar, FIRST, MILLION).await;
    assert!(matches!(made, Err(SignerError::Foreign)));
    let access = AccessKey::new(Address::repeat_byte(7), Arc::new(Liar));
    let made = Domain::v2(1).sign(&access, FIRST, MILLION).await;
    assert!(matches!(made, Err(SignerError::Foreign)));
}
