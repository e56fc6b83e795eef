//! Signatures that contracts take, and those they do not.

use alloy::primitives::{Bytes, U256, address, b256, hex, uint};
use mpp_core::Amount;
use proptest::prelude::*;

use super::*;
use crate::{
    Key,
    chain::signature::{Keychain, P256Key},
    session::{ChannelId, Domain},
};

const HASH: B256 = B256::repeat_byte(0x5a);

fn key(byte: u8) -> Key {
    Key::new([byte; 32]).unwrap()
}

fn signed(byte: u8) -> [u8; 65] {
    key(byte).sign(HASH).to_bytes()
}

/// The same signature with s in the upper half, and the recovery byte that goes with it.
fn high(low: [u8; 65]) -> [u8; 65] {
    const ORDER: U256 =
        uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
    let s = ORDER - U256::from_be_slice(&low[32..64]);
    let mut made = low;
    made[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    made[64] = 55 - low[64];
    made
}

fn check(signature: &[u8]) -> Result<(), BadVoucher> {
    VoucherKey::new(key(7).address()).check(HASH, signature)
}

#[test]
fn only_the_spelling_that_contracts_take_is_taken() {
    let good = signed(7);
    assert_eq!(check(&good), Ok(()));
    let v = |v: u8| [&good[..64], &[v]].concat();
    let wrapped = key(7).sign(Keychain::hash(HASH, key(7).address()));
    let wrapped = Keychain::new(key(7).address(), wrapped.into()).unwrap().to_bytes();
    let malformed: [(&str, Vec<u8>); 13] = [
        ("nothing", vec![]),
        ("64 bytes", good[..64].to_vec()),
        ("66 bytes", [&good[..], &[0]].concat()),
        ("v without its 27", v(good[64] - 27)),
        ("v 2", v(2)),
        ("v 29", v(29)),
        ("high s", high(good).to_vec()),
        ("zeros", vec![0; 65]),
        ("ones", vec![0xff; 65]),
        ("a keychain's", wrapped.to_vec()),
        ("a wallet's mark", [&good[..], &[0x77; 32]].concat()),
        ("P-256 of nobody", [&[1], &[9; 129][..]].concat()),
        ("a passkey of nobody", [&[2], &[9; 300][..]].concat()),
    ];
    for (name, signature) in malformed {
        assert_eq!(check(&signature), Err(BadVoucher::Malformed), "{name}");
    }
}

#[test]
fn a_voucher_of_somebody_else_says_so() {
    assert_eq!(check(&signed(8)), Err(BadVoucher::OtherSigner));
    let p256 = P256Key::new([7; 32]).unwrap().sign(HASH).unwrap().to_bytes();
    assert_eq!(check(&p256), Err(BadVoucher::OtherSigner));
    let other_hash = key(7).sign(B256::ZERO).to_bytes();
    assert_eq!(check(&other_hash), Err(BadVoucher::OtherSigner));
}

#[test]
fn the_other_recovery_byte_is_another_signer_however_often_the_right_one_was_shown() {
    let good = signed(7);
    let mut flipped = good;
    flipped[64] = 55 - good[64];
    let key = VoucherKey::new(key(7).address());
    for _ in 0..3 {
        assert_eq!(key.check(HASH, &good), Ok(()));
        assert!(key.check(HASH, &flipped).is_err());
    }
}

#[test]
fn a_browsers_voucher_that_was_published_is_taken() {
    let signature: Bytes = hex!("01a8e4059a7c38ba2fc568b9d0b5d5c6e4f7c80e2e3e94905977923457b14e8a727a45b06c3c3c725536c9f0383e1c85995a1ddb8a2018c308ad0762a1fb6dc24b3ad3861a95621392516bb593ef05583ed2e5866f5cb6260a3017237fd89b90afd0961c7e37075a6791a39c61f56295b02b6d26567b615e60aa41ee1c8e83388d01").into();
    let channel = ChannelId(B256::repeat_byte(0xab));
    let digest = Domain::v2(4217).digest(channel, Amount::new(1_234_567));
    let signer = address!("f0159a522607cd6ab1097204c9fafb7bbe6afb6c");
    assert_eq!(VoucherKey::new(signer).check(digest, &signature), Ok(()));
    let other = Domain::v2(4217).digest(channel, Amount::new(1_234_568));
    assert_eq!(VoucherKey::new(signer).check(other, &signature), Err(BadVoucher::Malformed));
    let key = P256Key::new([0x42; 32]).unwrap();
    assert_eq!(key.address(), signer);
    assert_eq!(
        key.public().x,
        b256!("3ad3861a95621392516bb593ef05583ed2e5866f5cb6260a3017237fd89b90af")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes: Vec<u8>, kind in 0_u8..6) {
        let _ = check(&bytes);
        let _ = check(&[&[kind], &bytes[..]].concat());
    }

    #[test]
    fn no_changed_bit_of_a_voucher_is_taken(index in 0_usize..65, bit in 0_u8..8) {
        let mut changed = signed(7);
        changed[index] ^= 1 << bit;
        prop_assert!(check(&changed).is_err());
    }
}
