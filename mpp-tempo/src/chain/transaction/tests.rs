//! Tests of the transaction codec, against values that deployed wallets made.

use alloy::{
    primitives::{address, b256, hex},
    rlp,
};
use proptest::prelude::*;

use super::*;
use crate::chain::{
    PATH_USD,
    keychain::{KeyAuthorization, KeyKind},
    signature::P256Key,
    tip20::Transfer,
};

const PAYER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const SPONSOR: Address = address!("5050A4F4b3f9338C3472dcC01A87C76A144b3c9c");

fn payer() -> Key {
    let secret = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    Key::new(secret.0).unwrap()
}

fn sponsor() -> Key {
    Key::new([2; 32]).unwrap()
}

/// One dollar to 0x2222…, with an attribution memo, valid until 2030.
fn payment() -> Transaction {
    let memo = b256!("ef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269");
    let transfer = Transfer {
        to: Address::repeat_byte(0x22),
        amount: U256::from(1_000_000),
        memo: Some(memo),
    };
    Transaction {
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_gas: 41_000_000_000,
        gas_limit: 100_000,
        calls: vec![transfer.call(PATH_USD)],
        valid_before: NonZeroU64::new(1_893_456_000),
        ..Transaction::on(42431)
    }
}

fn paid() -> Signed {
    Transaction { fee_token: Some(PATH_USD), ..payment() }.sign(&payer())
}

fn awaited() -> Signed {
    Transaction { fee_payer: FeePayer::Awaited, ..payment() }.sign(&payer())
}

/// The raw fields of an encoded transaction.
fn fields(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut payload = rlp::Header::decode_bytes(&mut &bytes[1..], true).unwrap();
    let mut fields = Vec::new();
    while !payload.is_empty() {
        let start = payload;
        if payload[0] >= 0xc0 {
            rlp::Header::decode_bytes(&mut payload, true).unwrap();
        } else {
            rlp::Header::decode_bytes(&mut payload, false).unwrap();
        }
        fields.push(start[..start.len() - payload.len()].to_vec());
    }
    fields
}

/// A transaction of these raw fields.
fn assembled(kind: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let payload = fields.concat();
    let mut out = vec![kind];
    rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// An encoded transaction with one raw field replaced.
fn with_field(bytes: &[u8], index: usize, raw: &[u8]) -> Vec<u8> {
    let mut fields = fields(bytes);
    fields[index] = raw.to_vec();
    assembled(bytes[0], &fields)
}

const CALLS: usize = 4;
const VALID_BEFORE: usize = 8;
const VALID_AFTER: usize = 9;
const FEE_TOKEN: usize = 10;
const FEE_PAYER: usize = 11;
const AUTHORIZATIONS: usize = 12;
const SIGNATURE: usize = 13;

#[test]
fn a_transaction_is_signed_and_written_as_deployed_wallets_do() {
    let signed = paid();
    let hash = b256!("9d0dca132953f69d87439772eff85b73939acb41be64c07c3289c10d7d564440");
    assert_eq!(signed.transaction.signing_hash(), hash);
    let encoded = hex!(
        "76f9011582a5bf843b9aca0085098bca5a00830186a0f87ef87c9420c000000000000000000000000000000000000080b86495777d59"
        "000000000000000000000000222222222222222222222222222222222222222200000000000000000000000000000000000000000000"
        "000000000000000f4240ef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269c0a0ffffffffffffffffffff"
        "ffffffffffffffffffffffffffffffffffffffffffff808470dbd880809420c000000000000000000000000000000000000080c0b841"
        "151baa5db3eb49b5f0eccea6f232b2bf168a7993f03b52b7e0eea5b62598f2ae1f6cc2693034af3ab8028b539cf8910f6b2df67e0eed"
        "3c93bf26cd34bb0816e21b"
    );
    assert_eq!(signed.encode(), encoded);
    assert_eq!(
        signed.hash(),
        b256!("0c23bf846380c6c68fb1a0804df3d2902bf29d6df8d0d6536288706c1078b702")
    );
    assert_eq!(Signed::decode(&encoded), Ok(signed.clone()));
    assert_eq!(signed.sender(), Ok(PAYER));
    assert_eq!(signed.sponsor(), Ok(None));
}

#[test]
fn a_sponsored_transaction_passes_from_payer_to_sponsor_to_chain() {
    let signed = awaited();
    let hash = b256!("cd3967eb29080e3ed06d1f200e0db2b49d00273fdbfb21087907b3e51bb6853c");
    assert_eq!(signed.transaction.signing_hash(), hash);
    let identity = b256!("64dd554f2cd5223de3510c5ec4ce680265032890cfbdb8e990679f25c03b7932");
    assert_eq!(signed.transaction.expiring_nonce_hash(PAYER), identity);

    let envelope = signed.envelope().unwrap();
    assert!(envelope.starts_with(&hex!("78f90115")));
    assert_eq!(Signed::decode(&envelope), Ok(signed.clone()));
    let placeholder = signed.encode();
    assert!(placeholder.starts_with(&hex!("76f90101")));
    assert_eq!(Signed::decode(&placeholder), Ok(signed.clone()));

    let to_sign = b256!("468b171c4bab4b6691a3f019ae13f112602520fd6ed3fe178205806518cfcd24");
    assert_eq!(signed.sponsor_hash(PATH_USD), Ok(to_sign));
    let done = signed.sponsored(PATH_USD, &sponsor()).unwrap();
    assert_eq!(
        done.hash(),
        b256!("76b4d7fe3aadf074248ecda18dd95862974a5613bf6e1fac02e1892ea3e8a83a")
    );
    assert_eq!((done.sender(), done.sponsor()), (Ok(PAYER), Ok(Some(SPONSOR))));
    assert_eq!(done.transaction.expiring_nonce_hash(PAYER), identity);
    assert_eq!(Signed::decode(&done.encode()), Ok(done));
}

#[test]
fn only_an_awaited_sponsor_can_sign() {
    let done = awaited().sponsored(PATH_USD, &sponsor()).unwrap();
    for signed in [paid(), done] {
        assert_eq!(signed.envelope(), Err(SponsorError::NotAwaited));
        assert_eq!(signed.sponsored(PATH_USD, &sponsor()), Err(SponsorError::NotAwaited));
    }
}

#[test]
fn access_lists_nonces_and_bare_calls_are_written_as_deployed_wallets_do() {
    let cases = [
        hex!(
            "76f87882a5bf80850545ac75e882b52ed8d7942244026eb65e84a766609331b690f7af121d95dc8080c001830a2f9a846f616ce0"
            "808080c0b841a72beed01b99d7c858f138dc9c0b2553068d2706aeb5d252a6a33804d51924eb080cff243da5683d5a0846dd62d9"
            "1007da9b7a2169e259f6455f2b29667b71681c"
        )
        .to_vec(),
        hex!(
            "76f8fe821079840c64edea85077ed6a5f8831df374dcdb945e29c2116febd01d3e65e976115887fb19ba6d378428ef482280f85b"
            "f8599420c0000000000000000000000000000000000000f842a03659420b4623631826e34b4d284f087df860bac1bc80e4fd12a8"
            "588cafdd8daaa0f9aa3fece43d918c5a9f305fd2a476e9a55535dad7f3f62790bf8b6d4f5f395ca0ffffffffffffffffffffffff"
            "ffffffffffffffffffffffffffffffffffffffff808467aec2f6845b9e9c9c8080c0b841cea26ba80a99caa204be937547c07473"
            "d41f4ca03988199389aba8f91c878bf56258885c6ee3e1f7b1fe77ce4e2d1c6fc2330e0936aaf3673b30d64c069d82e41b"
        )
        .to_vec(),
    ];
    let [nonces, access] = cases.map(|bytes| {
        let signed = Signed::decode(&bytes).unwrap();
        assert_eq!(signed.encode(), bytes);
        signed
    });
    assert_eq!(
        nonces.hash(),
        b256!("78977a753f40a6e1ae32122b47fa1dfb3fa249865b8d9dca14d69e41c4608c78")
    );
    assert_eq!(nonces.sender(), Ok(address!("c6e0B2Ba5Ef0B1fC0E1E892d6cC7F91dE37D1ff0")));
    assert_eq!((nonces.transaction.nonce_key, nonces.transaction.nonce), (U256::from(1), 667_546));
    assert_eq!(
        access.hash(),
        b256!("c8253281ca86843b63bd04de37a8791134c27109f68aca5bc6a1533f89e835f2")
    );
    assert_eq!(access.sender(), Ok(address!("e61B83612E8B6E86fd4C9eB4a71b317D3C724fa8")));
    assert_eq!(access.transaction.access_list[0].slots.len(), 2);
}

#[test]
fn a_raw_recovery_byte_changes_neither_hash_nor_sender() {
    let signed = paid();
    let mut raw = signed.encode();
    let v = raw.pop().unwrap();
    raw.push(v - 27);
    let read = Signed::decode(&raw).unwrap();
    assert_eq!((read.hash(), read.sender()), (signed.hash(), Ok(PAYER)));
    assert_ne!(read.encode(), raw);
}

#[test]
fn a_key_authorization_is_carried_unread() {
    let authorization = Bytes::from_static(&hex!(
        "f8b6f87182107980942b5ad5c4795c026514f8317c7a215e218dccd6cf846b36ec80dedd9420c0000000000000000000000000000000"
        "00000183989680830151"
        "80f3f29420c0000000000000000000000000000000000001dcdb8495777d59d5941234567890abcdef1234567890abcdef12345678"
        "b8413b2ebfcbf97477da0cf36aed0979d9da731609fa4eee5ba0e21e028dcd7b3f9a6f71044e7473c813ba5bed3d5be44a057489cf36"
        "0fd460e54ea9f5fde339e4da1b"
    ));
    let transaction = Transaction { key_authorization: Some(authorization.clone()), ..payment() };
    let signed = transaction.sign(&payer());
    let read = Signed::decode(&signed.encode()).unwrap();
    assert_eq!(read.transaction.key_authorization, Some(authorization));
    assert_eq!(read.sender(), Ok(PAYER));
    let delegated = Transaction { authorizations: vec![delegation(27); 2], ..payment() };
    let signed = delegated.sign(&payer());
    assert_eq!(Signed::decode(&signed.encode()), Ok(signed));
}

/// An account's code is that of 0x3333…, by a signature with this recovery byte.
fn delegation(v: u8) -> Bytes {
    let [numbers @ .., _] = payer().sign(B256::ZERO).to_bytes();
    let to = [&[0x94], [0x33; 20].as_slice()].concat();
    let signature = [&[0xb8, 65], numbers.as_slice(), &[v]].concat();
    [&[0xf8, 92, 0x82, 0xa5, 0xbf], to.as_slice(), &[0x80], &signature].concat().into()
}

#[test]
fn what_is_carried_in_another_spelling_is_hashed_as_nodes_hash_it() {
    let of = |authorization: Bytes, key_authorization: Option<Bytes>| Transaction {
        authorizations: vec![authorization],
        key_authorization,
        ..payment()
    };
    let key = {
        let expiry = NonZeroU64::MIN;
        let allowed = KeyAuthorization::new(42431, KeyKind::Secp256k1, SPONSOR, expiry);
        let made = payer().sign(allowed.signing_hash());
        allowed.signed(made).unwrap().encode()
    };
    let canonical = of(delegation(28), Some(key.clone())).sign(&payer());
    let raw = {
        let mut raw = key.to_vec();
        let v = raw.pop().unwrap();
        raw.push(v - 27);
        Bytes::from(raw)
    };
    // The sender signed what nodes will read, and sent it spelled otherwise.
    let sent = of(delegation(1), Some(raw)).signed(canonical.signature.clone());
    let read = Signed::decode(&sent.encode()).unwrap();
    assert_eq!(read, canonical);
    assert_eq!((read.hash(), read.sender()), (canonical.hash(), Ok(PAYER)));
}

#[test]
fn a_passkey_that_did_not_sign_is_read_and_has_no_account() {
    let passkey = [&[2], [7; 200].as_slice()].concat();
    let signed = payment().signed(Signature::parse(&passkey).unwrap());
    let read = Signed::decode(&signed.encode()).unwrap();
    let assertion = SignatureError::Assertion;
    assert_eq!(read.sender(), Err(assertion));
    let awaited = Transaction { fee_payer: FeePayer::Awaited, ..payment() };
    assert_eq!(awaited.signed(read.signature).envelope(), Err(SponsorError::Signature(assertion)));
}

#[test]
fn a_browser_s_key_pays_and_is_sponsored_like_any_other() {
    let key = P256Key::new([0x42; 32]).unwrap();
    let awaited = Transaction { fee_payer: FeePayer::Awaited, ..payment() };
    let made = key.sign(awaited.signing_hash()).unwrap();
    let envelope = awaited.signed(made).envelope().unwrap();
    let read = Signed::decode(&envelope).unwrap();
    assert_eq!(read.sender(), Ok(key.address()));
}

#[test]
fn broken_transactions_are_refused_for_the_right_reason() {
    let (good, envelope) = (paid().encode(), awaited().envelope().unwrap());
    let placeholder = awaited().encode();
    let short = |error: rlp::Error| DecodeError::Rlp(error);
    let signature = DecodeError::Signature;
    let mut extra = fields(&good);
    extra.push(vec![0x80]);
    let mut missing = fields(&good);
    missing.pop();
    let one_call = fields(&good)[CALLS].clone();
    let one_call = rlp::Header::decode_bytes(&mut one_call.as_slice(), true).unwrap().to_vec();
    let list = |payload: &[u8]| {
        let mut out = Vec::new();
        rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
        [out.as_slice(), payload].concat()
    };
    let deep = (0..17).fold(vec![0xc0], |inner, _| list(&inner));
    let stranger = [&[0x94], Address::repeat_byte(7).as_slice()].concat();
    let high_s = {
        let Signature::Secp256k1(made) = paid().signature else {
            panic!("signed by a secp256k1 key")
        };
        let order = U256::from_be_bytes(hex!(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        ));
        let parts = [made.r().to_be_bytes::<32>(), (order - made.s()).to_be_bytes()].concat();
        [&[0xb8, 0x41], parts.as_slice(), &[55 - made.to_bytes()[64]]].concat()
    };
    let cases = [
        (Vec::new(), DecodeError::Type),
        (vec![0x02, 0xc0], DecodeError::Type),
        (vec![0x76], short(rlp::Error::InputTooShort)),
        (vec![0x76, 0x80], short(rlp::Error::UnexpectedString)),
        (vec![0x76; MAX_BYTES + 1], DecodeError::TooLong(MAX_BYTES + 1)),
        (good[..good.len() - 1].to_vec(), short(rlp::Error::InputTooShort)),
        ([good.as_slice(), &[0]].concat(), DecodeError::Trailing),
        (assembled(0x76, &extra), DecodeError::Trailing),
        (assembled(0x76, &missing), short(rlp::Error::InputTooShort)),
        (with_field(&good, 0, &hex!("8300a5bf")), short(rlp::Error::LeadingZero)),
        (with_field(&good, 0, &hex!("00")), short(rlp::Error::LeadingZero)),
        (with_field(&good, 0, &hex!("8105")), short(rlp::Error::NonCanonicalSingleByte)),
        (with_field(&good, 0, &hex!("89010000000000000000")), short(rlp::Error::Overflow)),
        (with_field(&good, CALLS, &[0xc0]), DecodeError::Calls(0)),
        (with_field(&good, CALLS, &list(&one_call.repeat(33))), DecodeError::Calls(33)),
        (with_field(&good, CALLS, &hex!("c4c3808080")), DecodeError::Creation),
        (with_field(&placeholder, FEE_TOKEN, &fields(&good)[FEE_TOKEN]), DecodeError::FeeToken),
        (with_field(&envelope, FEE_TOKEN, &fields(&good)[FEE_TOKEN]), DecodeError::FeeToken),
        (with_field(&envelope, FEE_PAYER, &stranger), DecodeError::Sender),
        (with_field(&good, AUTHORIZATIONS, &list(&deep)), short(rlp::Error::UnexpectedList)),
        (
            with_field(&good, AUTHORIZATIONS, &list(&delegation(37))),
            signature(SignatureError::Parity(37)),
        ),
        (with_field(&good, VALID_AFTER, &fields(&good)[VALID_BEFORE]), DecodeError::Validity),
        (with_field(&good, AUTHORIZATIONS, &hex!("c101")), short(rlp::Error::UnexpectedString)),
        (with_field(&good, SIGNATURE, &high_s), DecodeError::Signature(SignatureError::HighS)),
    ];
    for (index, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(Signed::decode(&bytes), Err(expected), "case {index}");
    }
}

/// Reading what was changed on its way either fails or gives the one spelling back.
fn reads_canonically_or_not_at_all(bytes: &[u8]) {
    let Ok(signed) = Signed::decode(bytes) else { return };
    let again =
        if bytes.first() == Some(&0x78) { signed.envelope().unwrap() } else { signed.encode() };
    let mut canonical = bytes.to_vec();
    if let (Signature::Secp256k1(_), Some(v @ (0 | 1))) = (&signed.signature, canonical.last_mut())
    {
        *v += 27;
    }
    assert_eq!(again, canonical);
    let _ = (signed.sender(), signed.sponsor(), signed.hash());
}

#[test]
fn no_single_changed_byte_gives_a_second_spelling() {
    for bytes in [paid().encode(), awaited().envelope().unwrap(), awaited().encode()] {
        for index in 0..bytes.len() {
            for change in [0x01, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[index] ^= change;
                reads_canonically_or_not_at_all(&changed);
            }
            reads_canonically_or_not_at_all(&bytes[..index]);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in prop::sample::select(vec![0x76u8, 0x78]), rest: Vec<u8>) {
        reads_canonically_or_not_at_all(&[&[kind], rest.as_slice()].concat());
    }

    #[test]
    fn no_fields_panic(index in 0usize..14, raw in prop::collection::vec(any::<u8>(), 0..40), sponsored: bool) {
        let base = if sponsored { awaited().envelope().unwrap() } else { paid().encode() };
        reads_canonically_or_not_at_all(&with_field(&base, index, &raw));
    }

    #[test]
    fn whatever_is_written_is_read_back(
        numbers: (u64, u128, u128, u64, u64, u64),
        nonce_key: [u8; 32],
        calls in prop::collection::vec((any::<[u8; 20]>(), any::<[u8; 32]>(), any::<Vec<u8>>()), 1..5),
        token: Option<[u8; 20]>,
        payment in 0u8..3,
    ) {
        let (chain_id, max_priority_fee_per_gas, max_fee_per_gas, gas_limit, nonce, time) = numbers;
        let calls = calls.into_iter().map(|(to, value, data)| Call {
            to: to.into(),
            value: U256::from_be_bytes(value),
            data: data.into(),
        });
        let transaction = Transaction {
            max_priority_fee_per_gas,
            max_fee_per_gas,
            gas_limit,
            calls: calls.collect(),
            nonce_key: U256::from_be_bytes(nonce_key),
            nonce,
            valid_before: NonZeroU64::new(time),
            valid_after: NonZeroU64::new(time / 3),
            fee_token: token.map(Address::from).filter(|_| payment == 0),
            fee_payer: if payment == 0 { FeePayer::Sender } else { FeePayer::Awaited },
            ..Transaction::on(chain_id)
        };
        let mut signed = transaction.sign(&payer());
        if payment == 2 {
            signed = signed.sponsored(PATH_USD, &sponsor()).unwrap();
        }
        let read = Signed::decode(&signed.encode()).unwrap();
        prop_assert_eq!(read.sender(), Ok(PAYER));
        prop_assert_eq!(read, signed);
    }
}
