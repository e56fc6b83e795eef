//! Tests of signatures, against values that deployed wallets made.

use alloy::primitives::{address, b256, hex};
use proptest::prelude::*;

use super::*;

fn key(byte: u8) -> Key {
    Key::new([byte; 32]).unwrap()
}

#[test]
fn a_key_signs_as_deployed_wallets_do() {
    let account = address!("1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
    let digest = b256!("3860a700a55e02ad3c2dc047e92489feceecbdb0a801d948e1d9f0b61ea9bc3f");
    let made = hex!(
        "53f5d64d9f995e841b4212639b2e17e508e96752e10316df3814a16443dcbdb6"
        "26c082190a4c3ecc3148101eb443d15bd83b579380b1be735a9c99f0df36c9fe1b"
    );
    assert_eq!(key(1).address(), account);
    assert_eq!(key(1).sign(digest).to_bytes(), made);
    assert_eq!(Ecdsa::parse(&made).unwrap().recover(digest), Ok(account));
    assert_eq!(key(2).address(), address!("5050A4F4b3f9338C3472dcC01A87C76A144b3c9c"));
}

#[test]
fn a_second_spelling_of_a_signature_is_refused_or_becomes_the_first() {
    let made = key(1).sign(B256::ZERO);
    let bytes = made.to_bytes();
    let with_v = |v: u8| {
        let mut other = bytes;
        other[64] = v;
        Ecdsa::parse(&other)
    };
    let parity = u8::from(made.odd_y());
    assert_eq!(with_v(parity), Ok(made));
    assert_eq!(with_v(27 + parity), Ok(made));
    for v in [2, 26, 29, 35, 255] {
        assert_eq!(with_v(v), Err(SignatureError::Parity(v)));
    }
    let mirrored = Ecdsa::new(made.r(), ORDER - made.s(), !made.odd_y());
    assert_eq!(mirrored, Err(SignatureError::HighS));
    let trailing = [bytes.as_slice(), &[0x77; 32]].concat();
    assert_eq!(Signature::parse(&trailing), Err(SignatureError::Length(97)));
    assert_eq!(Ecdsa::parse(&bytes[..64]), Err(SignatureError::Length(64)));
}

#[test]
fn numbers_outside_the_order_are_refused() {
    let one = U256::from(1);
    for (r, s) in
        [(U256::ZERO, one), (one, U256::ZERO), (ORDER, one), (one, ORDER), (U256::MAX, one)]
    {
        assert_eq!(Ecdsa::new(r, s, false), Err(SignatureError::Range));
    }
    assert!(Ecdsa::new(one, ORDER >> 1, false).is_ok());
    assert_eq!(Ecdsa::new(one, (ORDER >> 1) + one, false), Err(SignatureError::HighS));
}

#[test]
fn an_alloy_signature_with_a_high_s_is_brought_down() {
    let made = key(7).sign(B256::ZERO);
    let high = alloy::primitives::Signature::new(made.r(), ORDER - made.s(), !made.odd_y());
    assert_eq!(Ecdsa::try_from(high), Ok(made));
}

#[test]
fn other_kinds_are_recognised_carried_and_not_trusted() {
    let typed = |kind: u8, length: usize| {
        let mut bytes = vec![0x55; length];
        bytes[0] = kind;
        bytes
    };
    let cases = [
        (typed(1, 130), SignatureKind::P256),
        (typed(2, 129), SignatureKind::WebAuthn),
        (typed(2, 2049), SignatureKind::WebAuthn),
        (typed(3, 86), SignatureKind::Keychain),
        (typed(4, 2070), SignatureKind::Keychain),
    ];
    for (bytes, kind) in cases {
        let signature = Signature::parse(&bytes).unwrap();
        assert_eq!(signature.kind(), kind);
        assert_eq!(signature.to_bytes(), bytes);
        assert_eq!(signature.recover(B256::ZERO), Err(SignatureError::Unsupported(kind)));
    }
    for (kind, length) in
        [(1, 129), (1, 131), (2, 128), (2, 2050), (3, 85), (4, 2071), (5, 200), (0, 130)]
    {
        assert_eq!(Signature::parse(&typed(kind, length)), Err(SignatureError::Length(length)));
    }
    assert_eq!(Signature::parse(&[]), Err(SignatureError::Length(0)));
}

#[test]
fn a_key_is_not_shown_and_a_bad_one_not_taken() {
    let shown = format!("{:?}", key(0x42));
    assert!(!shown.contains("42424242"), "{shown}");
    assert!(matches!(Key::new([0; 32]), Err(SignatureError::Key)));
    assert!(matches!(Key::new([0xff; 32]), Err(SignatureError::Key)));
    let spelled = format!("0x{}", "42".repeat(32));
    assert_eq!(spelled.parse::<Key>().unwrap().address(), key(0x42).address());
    for bad in ["", "0x", &spelled[2..], &spelled[..65], &format!("0x0x{}", "42".repeat(31))] {
        assert!(matches!(bad.parse::<Key>(), Err(SignatureError::Key)), "{bad}");
    }
}

proptest! {
    #[test]
    fn the_signer_of_any_hash_is_recovered(hash: [u8; 32], byte in 1u8..=254) {
        let signature = key(byte).sign(hash.into());
        prop_assert_eq!(Ecdsa::parse(&signature.to_bytes()), Ok(signature));
        prop_assert_eq!(signature.recover(hash.into()), Ok(key(byte).address()));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), hash: [u8; 32]) {
        if let Ok(signature) = Signature::parse(&bytes) {
            let _ = signature.recover(hash.into());
        }
    }

    #[test]
    fn no_65_bytes_panic(r: [u8; 32], s: [u8; 32], v in 0u8..=30, hash: [u8; 32]) {
        let bytes = [r.as_slice(), s.as_slice(), &[v]].concat();
        if let Ok(signature) = Ecdsa::parse(&bytes) {
            let _ = signature.recover(hash.into());
        }
    }
}
