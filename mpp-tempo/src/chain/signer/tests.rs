//! Tests of signers: what comes back was made by the key that was asked, or does not come back.

use std::{num::NonZeroU64, sync::Arc};

use alloy::{
    primitives::{ChainId, Signature as AlloySignature, U256, uint},
    signers,
};

use super::*;
use crate::chain::keychain::KeyAuthorization;
use crate::chain::signature::{Keychain, P256Public, Recovered, SignatureKind, WebAuthn};

const HASH: B256 = B256::repeat_byte(0x5a);
const ACCOUNT: Address = Address::repeat_byte(0x11);
const ORDER: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);

fn key(byte: u8) -> Key {
    Key::new([byte; 32]).unwrap()
}

fn p256(byte: u8) -> P256Key {
    P256Key::new([byte; 32]).unwrap()
}

/// A signer elsewhere, that answers as it is told.
struct Remote {
    named: Address,
    answer: fn(B256) -> Option<AlloySignature>,
}

#[async_trait::async_trait]
impl signers::Signer for Remote {
    async fn sign_hash(&self, hash: &B256) -> signers::Result<AlloySignature> {
        tokio::task::yield_now().await;
        (self.answer)(*hash).ok_or_else(|| signers::Error::other("no"))
    }

    fn address(&self) -> Address {
        self.named
    }

    fn chain_id(&self) -> Option<ChainId> {
        None
    }

    fn set_chain_id(&mut self, _: Option<ChainId>) {}
}

fn made(by: u8, hash: B256) -> AlloySignature {
    let made = key(by).sign(hash);
    AlloySignature::new(made.r(), made.s(), made.odd_y())
}

fn high(low: AlloySignature) -> AlloySignature {
    AlloySignature::new(low.r(), ORDER - low.s(), !low.v())
}

#[tokio::test]
async fn a_signer_of_alloy_s_signs_and_its_high_s_is_brought_down() {
    let answers: [fn(B256) -> Option<AlloySignature>; 2] =
        [|hash| Some(made(7, hash)), |hash| Some(high(made(7, hash)))];
    for answer in answers {
        let signer = AlloySigner::new(Remote { named: key(7).address(), answer });
        let signature = signer.sign(HASH).await.unwrap();
        assert_eq!(signature, key(7).sign(HASH).into());
        assert_eq!(signer.account(), key(7).address());
    }
}

#[tokio::test]
async fn what_another_key_signed_or_nobody_is_not_passed_on() {
    let answers: [fn(B256) -> Option<AlloySignature>; 5] = [
        |hash| Some(made(8, hash)),
        |_| Some(made(7, B256::ZERO)),
        |hash| Some(AlloySignature::new(made(7, hash).r(), made(7, hash).s(), !made(7, hash).v())),
        |_| Some(AlloySignature::new(U256::ZERO, U256::ZERO, false)),
        |_| Some(AlloySignature::new(U256::MAX, U256::MAX, true)),
    ];
    for answer in answers {
        let signer = AlloySigner::new(Remote { named: key(7).address(), answer });
        assert!(matches!(signer.sign(HASH).await, Err(SignerError::Foreign)));
    }
    let silent = AlloySigner::new(Remote { named: key(7).address(), answer: |_| None });
    assert!(matches!(silent.sign(HASH).await, Err(SignerError::Refused(_))));
}

#[tokio::test]
async fn a_passkey_signs_for_its_account() {
    let passkey = Passkey::new(SoftwareAuthenticator::new(p256(3), "wallet.example"));
    let signature = passkey.sign(HASH).await.unwrap();
    assert_eq!(signature.kind(), SignatureKind::WebAuthn);
    assert_eq!(signature.recover(HASH), Ok(p256(3).address()));
    assert_eq!(passkey.account(), p256(3).address());
}

/// An authenticator that changes its answer, or another's.
#[derive(Debug)]
struct Bent {
    inner: SoftwareAuthenticator,
    bend: fn(&mut Assertion),
}

impl Authenticator for Bent {
    fn key(&self) -> P256Public {
        p256(3).public()
    }

    fn assert(&self, challenge: B256) -> Asserting<'_> {
        Box::pin(async move {
            let mut answer = self.inner.assert(challenge).await?;
            (self.bend)(&mut answer);
            Ok(answer)
        })
    }
}

#[tokio::test]
async fn an_authenticator_is_not_believed_but_checked() {
    let inner = || SoftwareAuthenticator::new(p256(3), "wallet.example");
    let bends: [fn(&mut Assertion); 5] = [
        |answer| answer.signature = Bytes::from(answer.signature[..60].to_vec()),
        |answer| answer.client_data = Bytes::from_static(b"{}"),
        |answer| answer.authenticator_data = Bytes::from(vec![1; 38]),
        |answer| answer.authenticator_data = Bytes::from(vec![0; 4000]),
        |answer| answer.signature = Bytes::new(),
    ];
    for bend in bends {
        let refused = Passkey::new(Bent { inner: inner(), bend }).sign(HASH).await;
        assert!(matches!(refused, Err(SignerError::Foreign)));
    }
    let other = SoftwareAuthenticator::new(p256(4), "wallet.example");
    let refused = Passkey::new(Bent { inner: other, bend: |_| {} }).sign(HASH).await;
    assert!(matches!(refused, Err(SignerError::Foreign)));
    assert!(Passkey::new(Bent { inner: inner(), bend: |_| {} }).sign(HASH).await.is_ok());
}

#[test]
fn an_authenticator_s_high_s_is_brought_down() {
    let authenticator = SoftwareAuthenticator::new(p256(3), "wallet.example");
    let order = uint!(0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551_U256);
    let mut highs = 0;
    for number in 0..20 {
        let answer = authenticator.answer(B256::with_last_byte(number)).unwrap();
        let parse = |der: &[u8]| {
            WebAuthn::from_der(
                &answer.authenticator_data,
                &answer.client_data,
                der,
                p256(3).public(),
            )
        };
        let made = p256::ecdsa::Signature::from_der(&answer.signature).unwrap();
        let (r, s) = made.split_bytes();
        let mirrored = order - U256::from_be_slice(&s);
        let mirrored =
            p256::ecdsa::Signature::from_scalars(r, mirrored.to_be_bytes::<32>()).unwrap();
        highs += u8::from(U256::from_be_slice(&s) > order >> 1);
        assert_eq!(parse(mirrored.to_der().as_bytes()), parse(&answer.signature));
        assert!(parse(&answer.signature).unwrap().recover(B256::with_last_byte(number)).is_ok());
    }
    assert!((1..20).contains(&highs), "both halves were seen");
}

#[tokio::test]
async fn an_access_key_of_any_kind_signs_in_its_account_s_name() {
    let passkey = Passkey::new(SoftwareAuthenticator::new(p256(3), "wallet.example"));
    let inner: [Arc<dyn Signer>; 4] =
        [Arc::new(key(7)), Arc::new(p256(2)), Arc::new(p256(2).prehashing()), Arc::new(passkey)];
    for inner in inner {
        let agent = AccessKey::new(ACCOUNT, inner.clone());
        assert_eq!((agent.account(), agent.key()), (ACCOUNT, inner.account()));
        assert_eq!(agent.authorization(), None);
        let Recovered { account, access_key, .. } =
            agent.sign(HASH).await.unwrap().signer(HASH).unwrap();
        assert_eq!((account, access_key), (ACCOUNT, Some(inner.account())));
    }
}

#[tokio::test]
async fn s3_an_access_key_that_signs_for_another_account_is_not_passed_on() {
    /// Signs the bare hash's keychain form of another account, whatever it is asked.
    #[derive(Debug)]
    struct Wrong(Key);
    impl Signer for Wrong {
        fn account(&self) -> Address {
            self.0.address()
        }
        fn kind(&self) -> KeyKind {
            KeyKind::Secp256k1
        }

        fn sign(&self, hash: B256) -> Signing<'_> {
            let other = self.0.sign(Keychain::hash(hash, Address::repeat_byte(0x99)));
            Box::pin(async move { Ok(other.into()) })
        }
    }
    let refused = AccessKey::new(ACCOUNT, Arc::new(Wrong(key(7)))).sign(HASH).await;
    assert!(matches!(refused, Err(SignerError::Foreign)));
    let nested = AccessKey::new(ACCOUNT, Arc::new(AccessKey::new(ACCOUNT, Arc::new(key(7)))));
    assert!(matches!(nested.sign(HASH).await, Err(SignerError::Foreign)));
}

#[test]
fn no_signer_shows_a_secret() {
    let passkey = Passkey::new(SoftwareAuthenticator::new(p256(0x42), "wallet.example"));
    let remote = AlloySigner::new(Remote { named: key(7).address(), answer: |_| None });
    let agent = AccessKey::new(ACCOUNT, Arc::new(key(0x42)));
    for shown in [
        format!("{:?}", p256(0x42)),
        format!("{passkey:?}"),
        format!("{remote:?}"),
        format!("{agent:?}"),
    ] {
        assert!(!shown.contains("4242") && !shown.contains("66, 66"), "{shown}");
    }
}

#[test]
fn an_authorisation_is_taken_of_its_own_key_by_its_own_account_alone() {
    let (account, key) = (Key::new([1; 32]).unwrap(), Arc::new(P256Key::new([2; 32]).unwrap()));
    let hour = NonZeroU64::new(1_800_000_000).unwrap();
    let granted = |kind, to, by: &Key| {
        let granted = KeyAuthorization::new(42431, kind, to, hour);
        let signature = by.sign(granted.signing_hash());
        granted.signed(signature).unwrap()
    };
    let agent = || AccessKey::new(account.address(), key.clone());
    let good = granted(KeyKind::P256, key.address(), &account);
    assert!(agent().with_authorization(&good).is_ok());
    let bad = [
        granted(KeyKind::Secp256k1, key.address(), &account),
        granted(KeyKind::P256, account.address(), &account),
        granted(KeyKind::P256, key.address(), &Key::new([3; 32]).unwrap()),
    ];
    for granted in bad {
        assert_eq!(agent().with_authorization(&granted).unwrap_err(), NotOurs);
    }
    let now = 1_799_999_999;
    assert!(good.is_good(42431, account.address(), now));
    assert!(!good.is_good(4217, account.address(), now));
    assert!(!good.is_good(42431, key.address(), now));
    assert!(!good.is_good(42431, account.address(), now + 1));
}
