//! Tests of key authorisations, against bytes that deployed wallets made, and of the keychain's answers.

use std::sync::Mutex;

use alloy::{
    primitives::{address, b256, hex},
    rlp,
};
use proptest::prelude::*;

use super::*;
use crate::chain::{
    rpc::{
        Answer, Block, NodeError, Receipt, Rpc, RpcError, Search, Told, Trial, json::Malformed,
        not_offered,
    },
    signature::{Key, Keychain, P256Key, Recovered},
    signer::{AccessKey, Signer},
};

const ROOT: Address = address!("7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
const ACCESS: Address = address!("2B5AD5c4795c026514f8317c7a215E218DcCD6cF");
const TOKEN: Address = address!("20c0000000000000000000000000000000000001");

fn key(number: u8) -> Key {
    let mut secret = [0; 32];
    secret[31] = number;
    Key::new(secret).unwrap()
}

/// A subscription of ten dollars a day to one recipient.
fn subscription(selector: [u8; 4]) -> KeyAuthorization {
    let recipients = vec![address!("1234567890abcdef1234567890abcdef12345678")];
    KeyAuthorization::new(4217, KeyKind::Secp256k1, ACCESS, NonZeroU64::new(1_798_761_600).unwrap())
        .limit(Limit {
            token: TOKEN,
            amount: U256::from(10_000_000),
            period: NonZeroU64::new(86_400),
        })
        .only(Scope { target: TOKEN, rules: vec![Rule { selector, recipients }] })
}

fn signed(authorization: KeyAuthorization) -> SignedAuthorization {
    let signature = key(1).sign(authorization.signing_hash());
    authorization.signed(signature).unwrap()
}

const WITH_MEMO: [u8; 4] = hex!("95777d59");

const DEPLOYED: [u8; 184] = hex!(
    "f8b6f87182107980942b5ad5c4795c026514f8317c7a215e218dccd6cf846b36ec80dedd9420c0000000000000000000"
    "0000000000000000018398968083015180f3f29420c0000000000000000000000000000000000001dcdb8495777d59d5"
    "941234567890abcdef1234567890abcdef12345678b8413b2ebfcbf97477da0cf36aed0979d9da731609fa4eee5ba0e2"
    "1e028dcd7b3f9a6f71044e7473c813ba5bed3d5be44a057489cf360fd460e54ea9f5fde339e4da1b"
);

#[test]
fn an_authorisation_is_written_and_signed_as_deployed_wallets_do() {
    let authorization = subscription(WITH_MEMO);
    let payload = b256!("5b903c5d93c9106534121d863246b95bfce1f284d4c31c368f6938e5f2c45461");
    assert_eq!(authorization.signing_hash(), payload);
    assert_eq!((key(1).address(), key(2).address()), (ROOT, ACCESS));
    let whole = signed(authorization);
    assert_eq!(whole.encode().as_ref(), DEPLOYED);
    assert_eq!(SignedAuthorization::decode(&DEPLOYED), Ok(whole.clone()));
    assert_eq!(whole.signer(), Ok(ROOT));

    let plain = subscription(hex!("a9059cbb"));
    let payload = b256!("08a90f9969d16dfec459e72558fa24ba43c8f1de4486c2bdbcc5ceb184e6c937");
    assert_eq!(plain.signing_hash(), payload);
    let made = hex!(
        "cac1d1b57345d1b817efbeb97d53aa732f5fc63ed45d33747282eacb10eea21266dbc796c00667ffacdbcbd7cce506"
        "e75f388814197970458c4e721e0b2591081b"
    );
    assert_eq!(signed(plain).signature().to_bytes().as_ref(), made);
}

#[test]
fn what_is_not_said_is_left_out_and_nothing_is_not_everything() {
    let base = KeyAuthorization {
        expiry: None,
        limits: None,
        ..KeyAuthorization::new(1, KeyKind::P256, Address::repeat_byte(2), NonZeroU64::MIN)
    };
    let start = "01019402020202020202020202020202020202020202020202".get(..46).unwrap();
    let witness = B256::repeat_byte(7);
    let account = Some(Address::repeat_byte(3));
    let cases = [
        (base.clone(), String::new()),
        (KeyAuthorization { expiry: NonZeroU64::new(5), ..base.clone() }, "05".into()),
        (KeyAuthorization { limits: Some(vec![]), ..base.clone() }, "80c0".into()),
        (KeyAuthorization { calls: Some(vec![]), ..base.clone() }, "8080c0".into()),
        (
            KeyAuthorization { witness: Some(witness), ..base.clone() },
            format!("808080a0{}", "07".repeat(32)),
        ),
        (KeyAuthorization { admin: true, ..base.clone() }, "8080808001".into()),
        (KeyAuthorization { account, ..base }, format!("808080808094{}", "03".repeat(20))),
    ];
    for (authorization, rest) in cases {
        let payload = hex::decode(format!("{start}{rest}")).unwrap();
        let expected =
            [&[0xc0 + u8::try_from(payload.len()).unwrap()], payload.as_slice()].concat();
        let written = rlp::encode(&authorization);
        if payload.len() < 56 {
            assert_eq!(hex::encode(&written), hex::encode(&expected));
        } else {
            assert_eq!(hex::encode(&written[2..]), hex::encode(&payload));
        }
        let whole = signed(authorization);
        assert_eq!(SignedAuthorization::decode(&whole.encode()), Ok(whole));
    }
}

#[test]
fn a_new_key_may_spend_nothing_until_it_is_said_what() {
    let authorization = KeyAuthorization::new(1, KeyKind::Secp256k1, ACCESS, NonZeroU64::MIN);
    assert_eq!(authorization.limits, Some(Vec::new()));
    assert!(!authorization.admin && authorization.expiry.is_some());
}

#[test]
fn s3_authorisations_in_another_spelling_or_by_an_access_key_are_refused() {
    let list = |payload: &[u8]| {
        let mut out = Vec::new();
        rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
        [out.as_slice(), payload].concat()
    };
    let start = hex!("82107980942b5ad5c4795c026514f8317c7a215e218dccd6cf");
    let signature = rlp::encode(signed(subscription(WITH_MEMO)).signature().to_bytes());
    let whole = |fields: &[u8]| {
        let inner = list(&[start.as_slice(), fields].concat());
        SignedAuthorization::decode(&list(&[inner, signature.clone()].concat()))
    };
    assert!(whole(&hex!("05")).is_ok());
    for empty_at_the_end in
        [hex!("80").as_slice(), &hex!("0580"), &hex!("05c080"), &hex!("80808080")]
    {
        assert_eq!(whole(empty_at_the_end), Err(AuthorizationError::Spelling));
    }
    // No period is not a period of nothing.
    let zero_period = hex!("05d8d79420c00000000000000000000000000000000000010180");
    assert_eq!(whole(&zero_period), Err(AuthorizationError::Spelling));
    let a_field_too_many = [hex!("808080808094").as_slice(), &[3; 20], &[1]].concat();
    for broken in [hex!("8105").as_slice(), &hex!("00"), &hex!("05f8"), &a_field_too_many] {
        assert!(matches!(whole(broken), Err(AuthorizationError::Rlp(_))), "{broken:?}");
    }
    let trailing = [DEPLOYED.as_slice(), &[0]].concat();
    assert_eq!(SignedAuthorization::decode(&trailing), Err(AuthorizationError::Trailing));
    let long = vec![0xc0; 64 * 1024 + 1];
    assert_eq!(SignedAuthorization::decode(&long), Err(AuthorizationError::TooLong(long.len())));

    let authorization = subscription(WITH_MEMO);
    let inner = key(2).sign(Keychain::hash(authorization.signing_hash(), ROOT));
    let keychain = Keychain::new(ROOT, inner.into()).unwrap();
    assert_eq!(authorization.clone().signed(keychain.clone()), Err(SignatureError::Nested));
    let bytes = list(
        &[rlp::encode(&authorization), rlp::encode(Signature::from(keychain).to_bytes())].concat(),
    );
    let nested = AuthorizationError::Signature(SignatureError::Nested);
    assert_eq!(SignedAuthorization::decode(&bytes), Err(nested));
}

#[test]
fn a_stranger_s_signature_is_a_stranger_s() {
    let authorization = subscription(WITH_MEMO);
    let signature = key(9).sign(authorization.signing_hash());
    let forged = authorization.signed(signature).unwrap();
    assert_ne!(forged.signer(), Ok(ROOT));
    let agent = AccessKey::new(ROOT, std::sync::Arc::new(key(2)));
    assert!(agent.clone().with_authorization(&forged).is_err());
    let ours = signed(subscription(WITH_MEMO));
    let other = AccessKey::new(ROOT, std::sync::Arc::new(key(3)));
    assert!(other.with_authorization(&ours).is_err());
    let agent = agent.with_authorization(&ours).unwrap();
    assert_eq!(agent.authorization(), Some(ours.encode()));
}

#[test]
fn the_keychain_is_asked_and_answers_in_words_of_32_bytes() {
    let asked = get_key(ROOT, ACCESS);
    let expected =
        [hex!("bc298553").as_slice(), ROOT.into_word().as_slice(), ACCESS.into_word().as_slice()]
            .concat();
    assert_eq!(asked.as_ref(), expected);
    let info = KeyInfo { kind: KeyKind::P256, expiry: 9, enforces_limits: true, revoked: false };
    let good = answer(1, ACCESS, 9, 1, 0);
    assert_eq!(read_key(ACCESS, &good), Ok(Some(info)));
    assert_eq!(read_key(ACCESS, &answer(0, Address::ZERO, 0, 0, 0)), Ok(None));
    let gone = read_key(ACCESS, &answer(0, Address::ZERO, 0, 0, 1)).unwrap().unwrap();
    assert!(gone.revoked && !gone.is_active(0));
    assert!(info.is_active(8) && !info.is_active(9) && !info.is_active(10));
    assert!(!KeyInfo { revoked: true, ..info }.is_active(8));

    let dirty = [good.as_slice(), &[0]].concat();
    let cases = [
        answer(3, ACCESS, 9, 1, 0),
        answer(1, ROOT, 9, 1, 0),
        answer(1, ROOT, 9, 1, 1),
        answer(1, ACCESS, 9, 2, 0),
        good[..159].to_vec(),
        dirty,
        Vec::new(),
    ];
    for case in cases {
        assert_eq!(read_key(ACCESS, &case), Err(Malformed::Member("key")), "{case:?}");
    }
    let words = [U256::from(7).to_be_bytes::<32>(), U256::from(8).to_be_bytes()].concat();
    let remaining = Remaining { amount: U256::from(7), period_end: 8 };
    assert_eq!(read_remaining_limit(&words), Ok(remaining));
    let too_large = [[0; 32], [0xff; 32]].concat();
    for case in [&words[..32], &[], &too_large, &[words.as_slice(), &[0; 32]].concat()] {
        assert!(read_remaining_limit(case).is_err());
    }
}

#[tokio::test]
async fn an_access_key_speaks_for_its_account_while_the_chain_says_so() {
    const NOW: u64 = 1000;
    let secp = SignatureKind::Secp256k1;
    let recovered = |account, access_key, kind| Recovered { account, access_key, kind };
    let (own, wrapped) = (recovered(ROOT, None, secp), recovered(ROOT, Some(ACCESS), secp));
    let bare = recovered(ACCESS, None, secp);
    let browser = recovered(ROOT, Some(ACCESS), SignatureKind::P256);
    let elsewhere = recovered(TOKEN, Some(ACCESS), secp);
    let active = || Ok(answer(0, ACCESS, NOW + 1, 1, 0));
    type Said = Result<Vec<u8>, ()>;
    let cases: [(Said, Recovered, Option<bool>); 12] = [
        (active(), own, Some(true)),
        (Err(()), own, Some(true)),
        (active(), wrapped, Some(true)),
        (active(), bare, Some(true)),
        (active(), browser, Some(false)),
        (active(), elsewhere, Some(false)),
        (Ok(answer(0, ACCESS, NOW, 1, 0)), wrapped, Some(false)),
        (Ok(answer(0, Address::ZERO, 0, 0, 1)), wrapped, Some(false)),
        (Ok(answer(0, Address::ZERO, 0, 0, 0)), wrapped, Some(false)),
        (Ok(answer(0, Address::ZERO, 0, 0, 0)), bare, Some(false)),
        (Ok(vec![1]), wrapped, None),
        (Err(()), wrapped, None),
    ];
    for (answer, recovered, expected) in cases {
        let said = format!("{answer:?} {recovered:?}");
        let node = Scripted::new(answer);
        assert_eq!(
            speaks_for(&node, ACCOUNT_KEYCHAIN, ROOT, recovered, NOW).await.ok(),
            expected,
            "{said}"
        );
        let asked = node.asked.into_inner().unwrap();
        assert!(asked.is_none_or(|data| data == get_key(ROOT, ACCESS)), "{said}");
    }
}

#[tokio::test]
async fn an_authorisation_is_sent_along_only_while_the_chain_does_not_know_the_key() {
    let ours = signed(subscription(WITH_MEMO));
    let bare = AccessKey::new(ROOT, std::sync::Arc::new(key(2)));
    let agent = bare.clone().with_authorization(&ours).unwrap();
    let unknown = || Ok(answer(0, Address::ZERO, 0, 0, 0));
    let known = || Ok(answer(0, ACCESS, 9, 1, 0));
    let sent = provision(&Scripted::new(unknown()), ACCOUNT_KEYCHAIN, &agent, 5).await;
    assert_eq!(sent.unwrap(), Some(ours.encode()));
    assert_eq!(
        provision(&Scripted::new(known()), ACCOUNT_KEYCHAIN, &agent, 5).await.unwrap(),
        None
    );
    assert_eq!(provision(&Scripted::new(known()), ACCOUNT_KEYCHAIN, &bare, 5).await.unwrap(), None);
    assert_eq!(
        provision(&Scripted::new(Err(())), ACCOUNT_KEYCHAIN, &key(1), 5).await.unwrap(),
        None
    );
    let refused = provision(&Scripted::new(unknown()), ACCOUNT_KEYCHAIN, &bare, 5).await;
    assert!(matches!(refused, Err(NotProvisioned::Unauthorized)));
    for over in [answer(0, ACCESS, 5, 1, 0), answer(0, Address::ZERO, 0, 0, 1)] {
        let refused = provision(&Scripted::new(Ok(over)), ACCOUNT_KEYCHAIN, &agent, 5).await;
        assert!(matches!(refused, Err(NotProvisioned::Over(_))));
    }
    let refused = provision(&Scripted::new(Err(())), ACCOUNT_KEYCHAIN, &agent, 5).await;
    assert!(matches!(refused, Err(NotProvisioned::Unknown(_))));
}

/// The keychain's answer, word by word.
fn answer(kind: u8, key: Address, expiry: u64, limits: u8, revoked: u8) -> Vec<u8> {
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    [word(kind.into()), key.into_word().0, word(expiry), word(limits.into()), word(revoked.into())]
        .concat()
}

/// A node that gives one answer to every call.
#[derive(Debug)]
struct Scripted {
    answer: Result<Vec<u8>, ()>,
    asked: Mutex<Option<Bytes>>,
}

impl Scripted {
    fn new(answer: Result<Vec<u8>, ()>) -> Self {
        Self { answer, asked: Mutex::default() }
    }
}

impl Rpc for Scripted {
    fn call(&self, trial: Trial) -> Answer<'_, Bytes> {
        assert_eq!(trial.calls[0].to, ACCOUNT_KEYCHAIN);
        *self.asked.lock().unwrap() = Some(trial.calls[0].data.clone());
        let answer = self.answer.clone();
        Box::pin(async move {
            answer.map(Bytes::from).map_err(|()| RpcError::Refused(NodeError::new(-32000, "")))
        })
    }

    fn chain_id(&self) -> Answer<'_, u64> {
        unreachable!("only reads are asked for")
    }

    fn gas_price(&self) -> Answer<'_, u128> {
        unreachable!("only reads are asked for")
    }

    fn latest_block(&self) -> Answer<'_, Block> {
        unreachable!("only reads are asked for")
    }

    fn estimate_gas(&self, _: Trial) -> Answer<'_, u64> {
        unreachable!("only reads are asked for")
    }

    fn send(&self, _: Bytes) -> Answer<'_, Receipt> {
        unreachable!("only reads are asked for")
    }

    fn receipt(&self, _: B256) -> Answer<'_, Option<Receipt>> {
        unreachable!("only reads are asked for")
    }

    fn broadcast(&self, _: Bytes) -> Answer<'_, B256> {
        not_offered()
    }

    fn block(&self, _: u64) -> Answer<'_, Option<Block>> {
        not_offered()
    }

    fn logs(&self, _: Search) -> Answer<'_, Vec<Told>> {
        not_offered()
    }

    fn simulate(&self, _: Trial) -> Answer<'_, ()> {
        not_offered()
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    (any::<[u8; 4]>(), proptest::collection::vec(any::<[u8; 20]>(), 0..3)).prop_map(
        |(selector, recipients)| Rule {
            selector,
            recipients: recipients.into_iter().map(Address::from).collect(),
        },
    )
}

fn scope() -> impl Strategy<Value = Scope> {
    (any::<[u8; 20]>(), proptest::collection::vec(rule(), 0..3))
        .prop_map(|(target, rules)| Scope { target: target.into(), rules })
}

fn limit() -> impl Strategy<Value = Limit> {
    (any::<[u8; 20]>(), any::<[u8; 32]>(), any::<u64>()).prop_map(|(token, amount, period)| Limit {
        token: token.into(),
        amount: U256::from_be_bytes(amount),
        period: NonZeroU64::new(period),
    })
}

prop_compose! {
    fn any_authorization()(
        chain_id: u64,
        kind in 0u8..3,
        key: [u8; 20],
        expiry: u64,
        limits in proptest::option::of(proptest::collection::vec(limit(), 0..3)),
        calls in proptest::option::of(proptest::collection::vec(scope(), 0..3)),
        witness: Option<[u8; 32]>,
        admin: bool,
        account: Option<[u8; 20]>,
    ) -> KeyAuthorization {
        KeyAuthorization {
            chain_id,
            kind: KeyKind::by_number(kind).unwrap(),
            key: key.into(),
            expiry: NonZeroU64::new(expiry),
            limits,
            calls,
            witness: witness.map(B256::from),
            admin,
            account: account.map(Address::from),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(authorization in any_authorization(), browser: bool) {
        let hash = authorization.signing_hash();
        let signature = if browser {
            P256Key::new([5; 32]).unwrap().sign(hash).unwrap().into()
        } else {
            Signature::from(key(5).sign(hash))
        };
        let whole = authorization.signed(signature).unwrap();
        prop_assert_eq!(SignedAuthorization::decode(&whole.encode()), Ok(whole));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedAuthorization::decode(&bytes);
        let _ = read_key(ACCESS, &bytes);
        let _ = read_remaining_limit(&bytes);
    }

    #[test]
    fn no_changed_byte_is_another_spelling(
        authorization in any_authorization(),
        at: proptest::sample::Index,
        to: u8,
    ) {
        let whole = signed(authorization);
        let mut bytes = whole.encode().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(other) = SignedAuthorization::decode(&bytes) {
            // A raw recovery byte alone becomes the usual one.
            let raw = at == bytes.len() - 1 && to < 2;
            prop_assert!(raw || other != whole);
        }
    }
}
