//! Random transactions: numbers of every size, calls, lists, and who pays the fee.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256, Bytes, U256};
use mpp_tempo::chain::signature::Key;
use mpp_tempo::chain::transaction::{Access, Call, EXPIRING, FeePayer, Signed, Transaction};
use proptest::{collection::vec, option, prelude::*};

use crate::{
    carried,
    signers::{Signer, signer},
};

/// What becomes of a fee.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fee {
    /// The sender pays, in this token if it says one.
    Own(Option<Address>),
    /// A sponsor is awaited.
    Awaited,
    /// A sponsor has signed for this token.
    Sponsored(Address, u8),
}

/// A transaction, who signs it, and what becomes of its fee.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) transaction: Transaction,
    pub(crate) signer: Signer,
    pub(crate) fee: Fee,
}

impl Case {
    /// The signed transaction.
    pub(crate) fn signed(&self) -> anyhow::Result<Signed> {
        let (fee_token, fee_payer) = match self.fee {
            Fee::Own(token) => (token, FeePayer::Sender),
            Fee::Awaited | Fee::Sponsored(..) => (None, FeePayer::Awaited),
        };
        let transaction = Transaction { fee_token, fee_payer, ..self.transaction.clone() };
        let signature = self.signer.sign(transaction.signing_hash())?;
        let signed = transaction.signed(signature);
        Ok(match self.fee {
            Fee::Sponsored(token, key) => signed.sponsored(token, &Key::new([key; 32])?)?,
            Fee::Own(_) | Fee::Awaited => signed,
        })
    }
}

/// Any case.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    (transaction(), signer(), fee()).prop_map(|(transaction, signer, fee)| Case {
        transaction,
        signer,
        fee,
    })
}

fn fee() -> impl Strategy<Value = Fee> {
    let token = any::<[u8; 20]>().prop_map(Address::from);
    prop_oneof![
        option::of(token.clone()).prop_map(Fee::Own),
        Just(Fee::Awaited),
        (token, 1_u8..=254).prop_map(|(token, key)| Fee::Sponsored(token, key)),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let fees = (short(), long(), long(), short());
    let lists = (vec(call(), 1..5), vec(access(), 0..3));
    let nonces = (prop_oneof![Just(EXPIRING), word()], short());
    let carried = (
        prop_oneof![3 => Just(Vec::new()), 1 => vec(carried::delegation(), 1..3)],
        prop_oneof![2 => Just(None), 1 => carried::key_authorization().prop_map(Some)],
    );
    (fees, lists, nonces, validity(), carried).prop_map(
        |(fees, lists, nonces, validity, carried)| Transaction {
            max_priority_fee_per_gas: fees.1,
            max_fee_per_gas: fees.2,
            gas_limit: fees.3,
            calls: lists.0,
            access_list: lists.1,
            nonce_key: nonces.0,
            nonce: nonces.1,
            valid_before: validity.0,
            valid_after: validity.1,
            authorizations: carried.0,
            key_authorization: carried.1,
            ..Transaction::on(fees.0)
        },
    )
}

/// A time at which it is valid, or none of both ends.
fn validity() -> impl Strategy<Value = (Option<NonZeroU64>, Option<NonZeroU64>)> {
    (short(), short()).prop_map(|(one, other)| {
        let (early, late) = (one.min(other), one.max(other));
        let early = if early == late { 0 } else { early };
        (NonZeroU64::new(late), NonZeroU64::new(early))
    })
}

fn call() -> impl Strategy<Value = Call> {
    let value = prop_oneof![3 => Just(U256::ZERO), 1 => word()];
    let data = prop_oneof![4 => vec(any::<u8>(), 0..120), 1 => vec(any::<u8>(), 0..2)];
    (any::<[u8; 20]>(), value, data).prop_map(|(to, value, data)| Call {
        to: to.into(),
        value,
        data: Bytes::from(data),
    })
}

fn access() -> impl Strategy<Value = Access> {
    (any::<[u8; 20]>(), vec(any::<[u8; 32]>().prop_map(B256::from), 0..3))
        .prop_map(|(address, slots)| Access { address: address.into(), slots })
}

/// As many large numbers as small ones: their lengths are what a codec gets wrong.
fn short() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..=63).prop_map(|(number, shift)| number >> shift)
}

fn long() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0_u32..=127).prop_map(|(number, shift)| number >> shift)
}

fn word() -> impl Strategy<Value = U256> {
    (any::<[u8; 32]>(), 0_usize..=255).prop_map(|(word, shift)| U256::from_be_bytes(word) >> shift)
}
