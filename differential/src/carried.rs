//! Lists that a transaction carries: key authorisations and delegations, as the chain's crate writes them.

use std::num::NonZeroU64;

use alloy::{
    eips::eip7702::Authorization,
    primitives::{Address, B256, Bytes, U256},
    rlp,
};
use mpp_tempo::chain::signature::Signature;
use proptest::{collection::vec, option, prelude::*};
use tempo_primitives::{
    SignatureType, TempoSignature,
    transaction::{
        CallScope, KeyAuthorization, SelectorRule, TempoSignedAuthorization, TokenLimit,
        tt_signature::PrimitiveSignature,
    },
};

use crate::signers::{Signer, signer};

/// A key authorisation with a signature of an account's own key.
pub(crate) fn key_authorization() -> impl Strategy<Value = Bytes> {
    let head = (any::<u64>(), 0_u8..3, address(), any::<u64>());
    let tail = (
        option::of(vec(limit(), 0..3)),
        option::of(vec(scope(), 0..3)),
        option::of(any::<[u8; 32]>()),
        any::<bool>(),
        option::of(address()),
    );
    (head, tail, signer()).prop_filter_map("an account signs", |(head, tail, signer)| {
        let (chain_id, kind, key_id, expiry) = head;
        let (limits, allowed_calls, witness, is_admin, account) = tail;
        let authorization = KeyAuthorization {
            chain_id,
            key_type: match kind {
                0 => SignatureType::Secp256k1,
                1 => SignatureType::P256,
                _ => SignatureType::WebAuthn,
            },
            key_id,
            expiry: NonZeroU64::new(expiry),
            limits,
            allowed_calls,
            witness: witness.map(B256::from),
            is_admin,
            account,
        };
        let signature = made(&signer, authorization.signature_hash())?;
        let signature = PrimitiveSignature::from_bytes(&signature.to_bytes()).ok()?;
        Some(rlp::encode(authorization.into_signed(signature)).into())
    })
}

/// A delegation with any kind of signature.
pub(crate) fn delegation() -> impl Strategy<Value = Bytes> {
    (any::<u64>(), address(), any::<u64>(), signer()).prop_filter_map(
        "a key signs",
        |(chain_id, address, nonce, signer)| {
            let inner = Authorization { chain_id: U256::from(chain_id), address, nonce };
            let unsigned =
                TempoSignedAuthorization::new_unchecked(inner.clone(), TempoSignature::default());
            let signature = made(&signer, unsigned.signature_hash())?;
            let signature = TempoSignature::from_bytes(&signature.to_bytes()).ok()?;
            Some(rlp::encode(TempoSignedAuthorization::new_unchecked(inner, signature)).into())
        },
    )
}

fn made(signer: &Signer, hash: B256) -> Option<Signature> {
    signer.sign(hash).ok()
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn limit() -> impl Strategy<Value = TokenLimit> {
    (address(), any::<[u8; 32]>(), prop_oneof![Just(0), any::<u64>()]).prop_map(
        |(token, limit, period)| TokenLimit { token, limit: U256::from_be_bytes(limit), period },
    )
}

fn scope() -> impl Strategy<Value = CallScope> {
    let rule = (any::<[u8; 4]>(), vec(address(), 0..3))
        .prop_map(|(selector, recipients)| SelectorRule { selector, recipients });
    (address(), vec(rule, 0..3))
        .prop_map(|(target, selector_rules)| CallScope { target, selector_rules })
}
