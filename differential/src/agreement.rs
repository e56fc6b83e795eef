//! Whether both sides say the same of a transaction or a signature.

use alloy::{
    primitives::{Address, B256},
    rlp,
};
use mpp_tempo::chain::{
    keychain::SignedAuthorization,
    signature::{Recovered, Signature},
    transaction::{DecodeError, FeePayer, Signed},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use tempo_primitives::{AASigned, TempoSignature, transaction::SignedKeyAuthorization};

use crate::{forms, strictness::Class, theirs, transactions::Case};

/// What both sides said to the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Both accept, with one meaning.
    Accepted,
    /// Both refuse.
    Refused,
    /// Only the chain accepts.
    Stricter(Class),
}

type Checked<T = ()> = Result<T, TestCaseError>;

/// A transaction that we write is the one that the chain's crate writes.
pub(crate) fn written(case: &Case) -> Checked {
    let signed = case.signed().map_err(broken)?;
    let theirs = theirs::of(&signed).map_err(broken)?;
    same(&signed, &theirs)?;
    let sender = case.signer.account().map_err(broken)?;
    prop_assert_eq!(signed.sender(), Ok(sender), "the sender is who signed");
    let access_key = case.signer.access_key().map_err(broken)?;
    let recovered = signed.signature.signer(signed.transaction.signing_hash());
    prop_assert_eq!(recovered.map(|it| it.access_key), Ok(access_key), "the access key");

    let bytes = signed.encode();
    prop_assert_eq!(Signed::decode(&bytes), Ok(signed.clone()), "what we write, we read");
    let (read, _) = theirs::decode(&bytes).map_err(broken)?;
    prop_assert_eq!(&read, &theirs, "what we write, the chain reads");
    if signed.transaction.fee_payer == FeePayer::Awaited {
        let envelope = signed.envelope().map_err(broken)?;
        let expected = forms::enveloped(&theirs::placeholder(&theirs), sender);
        prop_assert_eq!(Some(&envelope), expected.as_ref(), "the envelope");
        prop_assert_eq!(Signed::decode(&envelope), Ok(signed), "what we envelop, we read");
    } else {
        let read = Signed::decode(&theirs::encode(&theirs));
        prop_assert_eq!(read, Ok(signed), "what the chain writes, we read");
    }
    Ok(())
}

/// Whether bytes say the same to both sides.
pub(crate) fn read(bytes: &[u8]) -> Checked<Verdict> {
    match (Signed::decode(bytes), theirs::decode(bytes)) {
        (Ok(ours), Ok((theirs, named))) => {
            same(&ours, &theirs)?;
            if named.is_some() {
                prop_assert_eq!(ours.sender().ok(), named, "the envelope's sender");
            }
            Ok(Verdict::Accepted)
        }
        (Err(_), Err(_)) => Ok(Verdict::Refused),
        (Err(error), Ok(_)) => stricter(&error),
        (Ok(_), Err(error)) => {
            Err(TestCaseError::fail(format!("accepted here alone; the chain: {error:#}")))
        }
    }
}

/// Whether an account signature says the same to both sides, about one hash.
pub(crate) fn signature(bytes: &[u8], hash: B256) -> Checked<Verdict> {
    match (Signature::parse(bytes), TempoSignature::from_bytes(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            prop_assert_eq!(ours.to_bytes(), theirs.to_bytes(), "its canonical bytes");
            same_signer(&ours, &theirs, hash)?;
            Ok(Verdict::Accepted)
        }
        (Err(_), Err(_)) => Ok(Verdict::Refused),
        (Err(error), Ok(_)) => stricter(&DecodeError::Signature(error)),
        (Ok(_), Err(error)) => {
            Err(TestCaseError::fail(format!("accepted here alone; the chain: {error}")))
        }
    }
}

/// Whether a key authorisation by itself says the same to both sides.
pub(crate) fn authorization(bytes: &[u8]) -> Checked<Verdict> {
    let theirs = theirs::whole::<SignedKeyAuthorization>(bytes);
    match (SignedAuthorization::decode(bytes), theirs) {
        (Ok(ours), Ok(theirs)) => {
            let hash = ours.authorization().signing_hash();
            prop_assert_eq!(hash, theirs.authorization.signature_hash(), "the signing hash");
            prop_assert_eq!(ours.signer().ok(), theirs.recover_signer().ok(), "who authorises");
            prop_assert_eq!(ours.encode(), rlp::encode(&theirs), "its canonical bytes");
            Ok(Verdict::Accepted)
        }
        (Err(_), Err(_)) => Ok(Verdict::Refused),
        (Err(error), Ok(_)) => stricter(&error.into()),
        (Ok(_), Err(error)) => {
            Err(TestCaseError::fail(format!("accepted here alone; the chain: {error:#}")))
        }
    }
}

fn stricter(error: &DecodeError) -> Checked<Verdict> {
    let class = Class::of(error).ok_or_else(|| {
        TestCaseError::fail(format!("refused here alone, and for no known reason: {error:?}"))
    })?;
    Ok(Verdict::Stricter(class))
}

/// Everything that either side derives from a transaction.
fn same(ours: &Signed, theirs: &AASigned) -> Checked {
    let expected = theirs::of(ours).map_err(broken)?;
    prop_assert_eq!(&expected, theirs, "the fields");
    let transaction = &ours.transaction;
    prop_assert_eq!(transaction.signing_hash(), theirs.signature_hash(), "the signing hash");
    let anybody = Address::repeat_byte(0x5a);
    let payer = (transaction.fee_payer_hash(anybody), transaction.expiring_nonce_hash(anybody));
    let expected =
        (theirs.tx().fee_payer_signature_hash(anybody), theirs.expiring_nonce_hash(anybody));
    prop_assert_eq!(payer, expected, "the fee payer's hash, and the expiring nonce's");
    same_signer(&ours.signature, theirs.signature(), transaction.signing_hash())?;

    if transaction.fee_payer == FeePayer::Awaited {
        prop_assert_eq!(ours.encode(), theirs::placeholder(theirs), "the placeholder form");
        return Ok(());
    }
    prop_assert_eq!(ours.encode(), theirs::encode(theirs), "the bytes");
    prop_assert_eq!(ours.hash(), *theirs.hash(), "the hash");
    let Ok(sender) = ours.sender() else { return Ok(()) };
    let sponsor = ours.sponsor().map(|sponsor| sponsor.unwrap_or(sender)).ok();
    prop_assert_eq!(sponsor, theirs.tx().recover_fee_payer(sender).ok(), "who pays the fee");
    Ok(())
}

fn same_signer(ours: &Signature, theirs: &TempoSignature, hash: B256) -> Checked {
    let recovered = ours.signer(hash).ok();
    let account = recovered.as_ref().map(|it| it.account);
    prop_assert_eq!(account, theirs.recover_signer(&hash).ok(), "the account");
    let access_key = |recovered: Recovered| recovered.access_key;
    let expected = theirs.as_keychain().and_then(|keychain| keychain.key_id(&hash).ok());
    prop_assert_eq!(recovered.and_then(access_key), expected, "the access key");
    Ok(())
}

/// What should not have failed, did.
fn broken(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(format!("{error:#}"))
}
