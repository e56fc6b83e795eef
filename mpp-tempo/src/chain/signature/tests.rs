//! Tests of signatures, against values that deployed wallets made.

use alloy::primitives::{U256, address, b256, hex, keccak256};
use proptest::prelude::*;

use super::{ecdsa::ORDER, *};

const HASH: B256 = B256::repeat_byte(0x5a);
const ACCOUNT: Address = Address::repeat_byte(0x11);

fn key(byte: u8) -> Key {
    Key::new([byte; 32]).unwrap()
}

fn p256_key() -> P256Key {
    P256Key::new([0x42; 32]).unwrap()
}

fn client_data(kind: &str, hash: B256) -> String {
    format!(r#"{{"type":"{kind}","challenge":"{}"}}"#, webauthn::challenge(hash))
}

/// What a passkey that says this would have signed.
fn passkey(client_data: &str, flags: u8) -> Signature {
    let mut authenticator = [0xaa; 37];
    authenticator[32] = flags;
    let said = client_data.as_bytes();
    let witnessed = p256_key().witness(webauthn::signed(&authenticator, said)).unwrap();
    WebAuthn::put(&authenticator, said, witnessed).unwrap().into()
}

fn keychain(by: &Key) -> Signature {
    Keychain::new(ACCOUNT, by.sign(Keychain::hash(HASH, ACCOUNT)).into()).unwrap().into()
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
fn s3_a_second_spelling_of_a_signature_is_refused_or_becomes_the_first() {
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
    let trailing = [bytes.as_slice(), &[0x78; 32]].concat();
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
fn kinds_are_told_apart_by_length_and_first_byte() {
    for (kind, length) in
        [(1, 129), (1, 131), (2, 128), (2, 2050), (3, 85), (4, 85), (4, 2071), (5, 200), (0, 130)]
    {
        let mut bytes = vec![0x55; length];
        bytes[0] = kind;
        assert_eq!(Signature::parse(&bytes), Err(SignatureError::Length(length)));
    }
    assert_eq!(Signature::parse(&[]), Err(SignatureError::Length(0)));
    let made = [
        (key(1).sign(HASH).into(), SignatureKind::Secp256k1),
        (p256_key().sign(HASH).unwrap().into(), SignatureKind::P256),
        (passkey(&client_data("webauthn.get", HASH), 5), SignatureKind::WebAuthn),
        (keychain(&key(1)), SignatureKind::Keychain),
    ];
    for (signature, kind) in made {
        assert_eq!(signature.kind(), kind);
        assert_eq!(Signature::parse(&signature.to_bytes()), Ok(signature));
    }
}

#[test]
fn a_browser_s_own_key_signs_as_deployed_wallets_do() {
    // A voucher of the deployed accounts SDK: 1234567 for channel 0xab… on chain 4217.
    let domain = alloy::sol_types::Eip712Domain::new(
        Some("TIP20 Channel Reserve".into()),
        Some("1".into()),
        Some(U256::from(4217)),
        Some(address!("4d50500000000000000000000000000000000000")),
        None,
    );
    let domain = domain.hash_struct();
    let kind = keccak256("Voucher(bytes32 channelId,uint96 cumulativeAmount)");
    let amount = B256::from(U256::from(1_234_567));
    let voucher = keccak256([kind, B256::repeat_byte(0xab), amount].concat());
    let digest = keccak256([&[0x19, 1], domain.as_slice(), voucher.as_slice()].concat());
    let wire = hex!(
        "01a8e4059a7c38ba2fc568b9d0b5d5c6e4f7c80e2e3e94905977923457b14e8a727a45b06c3c3c725536c9f0383e1c"
        "85995a1ddb8a2018c308ad0762a1fb6dc24b3ad3861a95621392516bb593ef05583ed2e5866f5cb6260a3017237fd8"
        "9b90afd0961c7e37075a6791a39c61f56295b02b6d26567b615e60aa41ee1c8e83388d01"
    );
    let account = address!("f0159a522607cd6ab1097204c9fafb7bbe6afb6c");
    assert_eq!(p256_key().address(), account);
    let signature = Signature::parse(&wire).unwrap();
    assert_eq!(signature.recover(digest), Ok(account));
    assert_eq!(signature.recover(HASH), Err(SignatureError::NoKey));
    let Signature::P256(p256) = &signature else { panic!("type 0x01") };
    assert!(p256.is_prehashed() && p256.key() == p256_key().public());
}

#[test]
fn a_p256_key_signs_plainly_or_hashed_once_more_and_a_flag_tells_which() {
    for key in [p256_key(), p256_key().prehashing()] {
        let made = key.sign(HASH).unwrap();
        assert_eq!(made.recover(HASH), Ok(key.address()));
        let mut bytes = made.to_bytes().to_vec();
        bytes[129] ^= 1;
        let flipped = Signature::parse(&bytes).unwrap();
        assert_eq!(flipped.recover(HASH), Err(SignatureError::NoKey));
        for flag in [2, 0x77, 0xff] {
            bytes[129] = flag;
            assert_eq!(Signature::parse(&bytes), Err(SignatureError::Prehash(flag)));
        }
    }
}

#[test]
fn s3_a_p256_signature_has_one_spelling() {
    let bytes = p256_key().sign(HASH).unwrap().to_bytes();
    let with = |at: usize, word: U256| {
        let mut other = bytes.to_vec();
        other[at..at + 32].copy_from_slice(&word.to_be_bytes::<32>());
        Signature::parse(&other).and_then(|signature| signature.recover(HASH))
    };
    let word = |at: usize| U256::from_be_slice(&bytes[at..at + 32]);
    let order = super::p256::ORDER;
    assert_eq!(with(33, word(33)), Ok(p256_key().address()));
    assert_eq!(with(33, order - word(33)), Err(SignatureError::HighS));
    for at in [1, 33] {
        for word in [U256::ZERO, order, U256::MAX] {
            assert_eq!(with(at, word), Err(SignatureError::Range));
        }
    }
    // Not on the curve, the other point of the same x, and no field element at all.
    let prime = U256::from_be_bytes(hex!(
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
    ));
    for (at, word) in [(65, U256::from(1)), (97, prime - word(97)), (97, U256::MAX), (65, prime)] {
        assert_eq!(with(at, word), Err(SignatureError::NoKey));
    }
    let trailing = [&bytes, [0].as_slice()].concat();
    assert_eq!(Signature::parse(&trailing), Err(SignatureError::Length(131)));
}

#[test]
fn s3_a_wallet_s_mark_after_a_signature_is_refused() {
    let made: [Signature; 4] = [
        key(1).sign(HASH).into(),
        p256_key().sign(HASH).unwrap().into(),
        passkey(&client_data("webauthn.get", HASH), 5),
        keychain(&key(1)),
    ];
    for signature in made {
        let marked = [&signature.to_bytes(), [0x77; 32].as_slice()].concat();
        assert_eq!(Signature::parse(&marked), Err(SignatureError::Magic));
        let trailing = [&signature.to_bytes(), [0].as_slice()].concat();
        assert!(Signature::parse(&trailing).and_then(|other| other.recover(HASH)).is_err());
    }
}

#[test]
fn a_passkey_is_believed_for_the_hash_it_was_asked_to_sign() {
    let long = format!(
        r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://wallet.example","crossOrigin":false}}"#,
        webauthn::challenge(HASH)
    );
    for said in [client_data("webauthn.get", HASH), long] {
        for flags in [0x01, 0x04, 0x05, 0x1d] {
            assert_eq!(passkey(&said, flags).recover(HASH), Ok(p256_key().address()));
        }
        let other = passkey(&said, 5).recover(B256::repeat_byte(9));
        assert_eq!(other, Err(SignatureError::Assertion));
    }
}

#[test]
fn a_passkey_may_say_as_much_as_nodes_read() {
    let padded = |length: usize| {
        let said = client_data("webauthn.get", HASH);
        let rest = length - 1 - 37 - 128 - said.len();
        said.replace('}', &format!("{}}}", " ".repeat(rest)))
    };
    let longest = passkey(&padded(2049), 5);
    assert_eq!(longest.to_bytes().len(), 2049);
    let read = Signature::parse(&longest.to_bytes()).unwrap();
    assert_eq!(read.recover(HASH), Ok(p256_key().address()));
    let wrapped: Signature = Keychain::new(ACCOUNT, longest).unwrap().into();
    assert_eq!(Signature::parse(&wrapped.to_bytes()), Ok(wrapped));
    let witnessed = p256_key().witness(HASH).unwrap();
    let too_long = WebAuthn::put(&[0; 37], padded(2050).as_bytes(), witnessed);
    assert_eq!(too_long, Err(SignatureError::Length(2050)));
}

#[test]
fn a_passkey_that_says_something_else_is_not_believed() {
    let good = client_data("webauthn.get", HASH);
    let asked = webauthn::challenge(HASH);
    let other = webauthn::challenge(B256::repeat_byte(9));
    for flags in [0x00, 0x02, 0x41, 0x81, 0xc5, 0xff] {
        assert_eq!(passkey(&good, flags).recover(HASH), Err(SignatureError::Assertion), "{flags}");
    }
    let cases = [
        client_data("webauthn.create", HASH),
        client_data("WebAuthn.get", HASH),
        format!(
            r#"{{"type":"webauthn.get","challenge":"{other}","extra":{{"challenge":"{asked}"}}}}"#
        ),
        format!(
            r#"{{"type":"webauthn.get","data":[{{"challenge":"{asked}"}}],"challenge":"{other}"}}"#
        ),
        format!(r#"{{"type":"webauthn.get","challenge":"{other}","challenge":"{asked}"}}"#),
        format!(r#"{{"type":"webauthn.get","challenge":"{asked}="}}"#),
        format!(
            r#"{{"type":"webauthn.get","challenge":"\u{:04x}{}"}}"#,
            asked.as_bytes()[0],
            &asked[1..]
        ),
        format!(r#"{{"type":"webauthn.get","challenge":"{asked}"}} {{}}"#),
        format!(r#"{{"challenge":"{asked}","padding":"{}"}}"#, "x".repeat(40)),
        format!(r#"["webauthn.get","{asked}"]x"#),
        "{}".to_owned(),
        String::new(),
    ];
    for said in cases {
        assert_eq!(passkey(&said, 5).recover(HASH), Err(SignatureError::Assertion), "{said}");
    }
    // Said in full, and signed by another key.
    let mut bytes = passkey(&good, 5).to_bytes().to_vec();
    bytes[40] ^= 0x20;
    let altered = Signature::parse(&bytes).unwrap().recover(HASH);
    assert!(
        matches!(altered, Err(SignatureError::Assertion | SignatureError::NoKey)),
        "{altered:?}"
    );
    let mut bytes = passkey(&good, 5).to_bytes().to_vec();
    bytes[1] ^= 1;
    assert_eq!(Signature::parse(&bytes).unwrap().recover(HASH), Err(SignatureError::NoKey));
}

#[test]
fn an_access_key_signs_in_its_account_s_name_and_is_named_itself() {
    let digest = b256!("3860a700a55e02ad3c2dc047e92489feceecbdb0a801d948e1d9f0b61ea9bc3f");
    let preimage = [[4].as_slice(), digest.as_slice(), ACCOUNT.as_slice()].concat();
    assert_eq!(Keychain::hash(digest, ACCOUNT), keccak256(preimage));
    let expected = Recovered {
        account: ACCOUNT,
        access_key: Some(key(1).address()),
        kind: SignatureKind::Secp256k1,
    };
    assert_eq!(keychain(&key(1)).signer(HASH), Ok(expected));
    assert_eq!(keychain(&key(1)).recover(HASH), Ok(ACCOUNT));
    let of_browser = p256_key().sign(Keychain::hash(HASH, ACCOUNT)).unwrap();
    let wrapped: Signature = Keychain::new(ACCOUNT, of_browser.into()).unwrap().into();
    let read = Signature::parse(&wrapped.to_bytes()).unwrap();
    let recovered = read.signer(HASH).unwrap();
    assert_eq!(recovered.access_key, Some(p256_key().address()));
    assert_eq!(recovered.kind, SignatureKind::P256);
    assert_eq!(key(1).sign(HASH).recover(HASH), Ok(key(1).address()));
    let own = Signature::from(key(1).sign(HASH)).signer(HASH).unwrap();
    assert_eq!((own.access_key, own.key()), (None, key(1).address()));
}

#[test]
fn s3_an_envelope_around_a_signature_made_for_another_account_names_no_known_key() {
    // The key signs for one account; another one's name is put over it.
    let bytes = keychain(&key(1)).to_bytes();
    let stranger = Address::repeat_byte(0x99);
    let forged = [&[4], stranger.as_slice(), &bytes[21..]].concat();
    let recovered = Signature::parse(&forged).unwrap().signer(HASH).unwrap();
    assert_eq!(recovered.account, stranger);
    assert_ne!(recovered.access_key, Some(key(1).address()), "no key that anybody has authorised");
    assert!(recovered.access_key.is_some(), "the chain must be asked");
    // A signature that names its key is found out without asking.
    let browser = p256_key().sign(Keychain::hash(HASH, ACCOUNT)).unwrap();
    let forged = Keychain::new(stranger, browser.into()).unwrap();
    assert_eq!(forged.recover(HASH), Err(SignatureError::NoKey));
}

#[test]
fn s3_an_envelope_around_a_plain_signature_is_not_its_signer_s() {
    // Somebody's signature of the bare hash, seen on the wire, in an envelope that names an account.
    let plain = Keychain::new(ACCOUNT, key(1).sign(HASH).into()).unwrap();
    let recovered = plain.recover(HASH).unwrap();
    assert_ne!(recovered.access_key, Some(key(1).address()));
    let browser = Keychain::new(ACCOUNT, p256_key().sign(HASH).unwrap().into()).unwrap();
    assert_eq!(browser.recover(HASH), Err(SignatureError::NoKey));
}

#[test]
fn s3_the_first_version_and_envelopes_in_envelopes_are_refused() {
    let mut first = keychain(&key(1)).to_bytes().to_vec();
    first[0] = 3;
    let unsupported = SignatureError::Unsupported(SignatureKind::Keychain);
    assert_eq!(Signature::parse(&first), Err(unsupported));
    let inner = keychain(&key(1));
    assert_eq!(Keychain::new(ACCOUNT, inner.clone()), Err(SignatureError::Nested));
    let nested = [&[4], ACCOUNT.as_slice(), &inner.to_bytes()].concat();
    assert_eq!(Signature::parse(&nested), Err(SignatureError::Nested));
    let deep = (0..97)
        .fold(inner.to_bytes().to_vec(), |inner, _| [&[4], ACCOUNT.as_slice(), &inner].concat());
    assert!(Signature::parse(&deep).is_err());
    for empty in [20, 21, 85] {
        assert!(Signature::parse(&vec![4; empty]).is_err());
    }
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
    fn no_bytes_of_any_kind_panic(
        kind in 0u8..=5,
        nested in any::<bool>(),
        flags: u8,
        bytes in proptest::collection::vec(any::<u8>(), 64..2080),
        hash: [u8; 32],
    ) {
        let mut bytes = bytes;
        bytes[0] = kind;
        bytes[33] = flags;
        if nested {
            bytes[21] = kind % 3;
        }
        for length in [bytes.len(), 65, 130, 86, 151] {
            let cut = &bytes[..length.min(bytes.len())];
            if let Ok(signature) = Signature::parse(cut) {
                prop_assert_eq!(Signature::parse(&signature.to_bytes()), Ok(signature.clone()));
                let _ = signature.signer(hash.into());
            }
        }
    }

    #[test]
    fn a_passkey_s_words_never_panic(
        authenticator in proptest::collection::vec(any::<u8>(), 0..60),
        said in "[\\x00-\\x7f]{0,200}",
    ) {
        let witnessed = p256_key().witness(HASH).unwrap();
        let made = WebAuthn::put(&authenticator, said.as_bytes(), witnessed).unwrap();
        prop_assert!(made.recover(HASH).is_err());
    }

    #[test]
    fn one_bit_changed_is_no_signature_of_the_same_key(at in 0usize..130 * 8, byte in 1u8..=254) {
        let key = P256Key::new([byte; 32]).unwrap();
        let mut bytes = key.sign(HASH).unwrap().to_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let read = Signature::parse(&bytes).and_then(|signature| signature.recover(HASH));
        prop_assert_ne!(read, Ok(key.address()));
    }

    #[test]
    fn no_65_bytes_panic(r: [u8; 32], s: [u8; 32], v in 0u8..=30, hash: [u8; 32]) {
        let bytes = [r.as_slice(), s.as_slice(), &[v]].concat();
        if let Ok(signature) = Ecdsa::parse(&bytes) {
            let _ = signature.recover(hash.into());
        }
    }
}
