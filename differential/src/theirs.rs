//! The chain's side: our values in its types, and bytes as it reads them.

use alloy::{
    eips::{
        eip2718::{Decodable2718, Encodable2718},
        eip2930::{AccessList, AccessListItem},
    },
    primitives::{Address, Signature as Ecdsa, TxKind},
    rlp::Decodable,
};
use anyhow::{Context, ensure};
use mpp_tempo::chain::{
    signature::Signature,
    transaction::{FeePayer, Signed, Transaction},
};
use tempo_primitives::{
    AASigned, TempoSignature, TempoTransaction,
    transaction::{Call, tempo_transaction::FEE_PAYER_SIGNATURE_MARKER},
};

use crate::forms;

/// A transaction of ours in the chain's type.
pub(crate) fn of(signed: &Signed) -> anyhow::Result<AASigned> {
    let signature = signature(&signed.signature)?;
    Ok(unsigned(&signed.transaction)?.into_signed(signature))
}

/// The same without the sender's signature. An awaited sponsor is a mark in its place.
pub(crate) fn unsigned(ours: &Transaction) -> anyhow::Result<TempoTransaction> {
    let calls = ours.calls.iter().map(|call| Call {
        to: TxKind::Call(call.to),
        value: call.value,
        input: call.data.clone(),
    });
    let access = ours.access_list.iter().map(|access| AccessListItem {
        address: access.address,
        storage_keys: access.slots.clone(),
    });
    let fee_payer_signature = match &ours.fee_payer {
        FeePayer::Awaited => Some(FEE_PAYER_SIGNATURE_MARKER),
        FeePayer::Sponsor(made) => Some(Ecdsa::new(made.r(), made.s(), made.odd_y())),
        _ => None,
    };
    Ok(TempoTransaction {
        chain_id: ours.chain_id,
        fee_token: ours.fee_token,
        max_priority_fee_per_gas: ours.max_priority_fee_per_gas,
        max_fee_per_gas: ours.max_fee_per_gas,
        gas_limit: ours.gas_limit,
        calls: calls.collect(),
        access_list: AccessList(access.collect()),
        nonce_key: ours.nonce_key,
        nonce: ours.nonce,
        fee_payer_signature,
        valid_before: ours.valid_before,
        valid_after: ours.valid_after,
        key_authorization: ours.key_authorization.as_ref().map(|list| whole(list)).transpose()?,
        tempo_authorization_list: ours
            .authorizations
            .iter()
            .map(|list| whole(list))
            .collect::<anyhow::Result<_>>()?,
    })
}

/// A signature of ours in the chain's type.
pub(crate) fn signature(ours: &Signature) -> anyhow::Result<TempoSignature> {
    TempoSignature::from_bytes(&ours.to_bytes()).map_err(anyhow::Error::msg)
}

/// The 0x76 form that nodes take.
pub(crate) fn encode(signed: &AASigned) -> Vec<u8> {
    signed.encoded_2718()
}

/// The placeholder form, for a sponsor.
pub(crate) fn placeholder(signed: &AASigned) -> Vec<u8> {
    let mut bytes = Vec::new();
    signed.encode_for_fee_payer_service(&mut bytes);
    bytes
}

/// Reads bytes of any of the three forms, and the sender that an envelope names.
pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<(AASigned, Option<Address>)> {
    let (bytes, named) = forms::marked(bytes);
    let mut rest = bytes.as_slice();
    let read = AASigned::decode_2718(&mut rest)?;
    ensure!(rest.is_empty(), "something follows");
    Ok((read, named))
}

/// Reads one item and nothing after it.
pub(crate) fn whole<T: Decodable>(mut bytes: &[u8]) -> anyhow::Result<T> {
    let read = T::decode(&mut bytes).context("a carried list")?;
    ensure!(bytes.is_empty(), "something follows a carried list");
    Ok(read)
}
