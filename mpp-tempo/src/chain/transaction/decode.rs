//! Reads transactions, strictly: what is accepted has one spelling, so a payment cannot be shown twice in two.

use std::num::NonZeroU64;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rlp::{self, Decodable, EMPTY_LIST_CODE, EMPTY_STRING_CODE, Encodable, Header},
};

use super::{
    Access, Call, FeePayer, MAX_BYTES, MAX_CALLS, SPONSOR_TYPE, Signed, TYPE, Transaction,
};
use crate::chain::{
    keychain::{AuthorizationError, SignedAuthorization},
    signature::{Ecdsa, Signature, SignatureError},
};

/// Why bytes are no transaction that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More than [`MAX_BYTES`].
    #[error("{0} bytes are too long for a transaction")]
    TooLong(usize),
    /// Neither type 0x76 nor a 0x78 envelope.
    #[error("not a Tempo transaction")]
    Type,
    /// Broken or non-canonical RLP, or a field of a wrong kind or size.
    #[error("malformed RLP")]
    Rlp(#[from] rlp::Error),
    /// Bytes after the end, or more fields than there are.
    #[error("something follows the transaction's last field")]
    Trailing,
    /// A call without a receiver creates a contract.
    #[error("the transaction creates a contract")]
    Creation,
    /// No calls, or more than [`MAX_CALLS`].
    #[error("a transaction of {0} calls")]
    Calls(usize),
    /// It ends before it begins. Nodes do not read such a one.
    #[error("the transaction is valid at no time")]
    Validity,
    /// A payment that leaves the fee to a sponsor names the token to take it from: that is the sponsor's choice.
    #[error("a sponsored payment chooses the fee token")]
    FeeToken,
    /// An envelope names another sender than the one that signed.
    #[error("the envelope names a sender that did not sign")]
    Sender,
    /// The key authorisation that it carries is not accepted.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// One of its signatures is not accepted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

pub(super) fn signed(bytes: &[u8]) -> Result<Signed, DecodeError> {
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let (kind, mut rest) = bytes.split_first().ok_or(DecodeError::Type)?;
    let form = match *kind {
        TYPE => Form::Transaction,
        SPONSOR_TYPE => Form::Envelope,
        _ => return Err(DecodeError::Type),
    };
    let mut fields = Header::decode_bytes(&mut rest, true)?;
    ended(rest)?;
    let (signed, named) = read(&mut fields, form)?;
    ended(fields)?;
    if named.is_some() && named != Some(signed.sender()?) {
        return Err(DecodeError::Sender);
    }
    Ok(signed)
}

#[derive(Clone, Copy)]
enum Form {
    Transaction,
    Envelope,
}

/// Reads all fields, and the sender that an envelope names.
fn read(input: &mut &[u8], form: Form) -> Result<(Signed, Option<Address>), DecodeError> {
    let chain_id = u64::decode(input)?;
    let max_priority_fee_per_gas = u128::decode(input)?;
    let max_fee_per_gas = u128::decode(input)?;
    let gas_limit = u64::decode(input)?;
    let calls = items(input, call)?;
    if calls.is_empty() || calls.len() > MAX_CALLS {
        return Err(DecodeError::Calls(calls.len()));
    }
    let access_list = items(input, access)?;
    let nonce_key = U256::decode(input)?;
    let nonce = u64::decode(input)?;
    let valid_before = NonZeroU64::new(u64::decode(input)?);
    let valid_after = NonZeroU64::new(u64::decode(input)?);
    if let (Some(before), Some(after)) = (valid_before, valid_after)
        && before <= after
    {
        return Err(DecodeError::Validity);
    }
    let fee_token = optional(input)?;
    let (fee_payer, named) = match form {
        Form::Transaction => (fee_payer(input)?, None),
        Form::Envelope => (FeePayer::Awaited, Some(Address::decode(input)?)),
    };
    if fee_payer == FeePayer::Awaited && fee_token.is_some() {
        return Err(DecodeError::FeeToken);
    }
    let authorizations = items(input, delegation)?;
    let key_authorization = key_authorization(input)?;
    let signature = Signature::parse(Header::decode_bytes(input, false)?)?;
    let transaction = Transaction {
        chain_id,
        max_priority_fee_per_gas,
        max_fee_per_gas,
        gas_limit,
        calls,
        access_list,
        nonce_key,
        nonce,
        valid_before,
        valid_after,
        fee_token,
        fee_payer,
        authorizations,
        key_authorization,
    };
    Ok((Signed { transaction, signature }, named))
}

fn call(input: &mut &[u8]) -> Result<Call, DecodeError> {
    let mut fields = Header::decode_bytes(input, true)?;
    let to = optional(&mut fields)?.ok_or(DecodeError::Creation)?;
    let value = U256::decode(&mut fields)?;
    let data = Bytes::copy_from_slice(Header::decode_bytes(&mut fields, false)?);
    ended(fields)?;
    Ok(Call { to, value, data })
}

fn access(input: &mut &[u8]) -> Result<Access, DecodeError> {
    let mut fields = Header::decode_bytes(input, true)?;
    let address = Address::decode(&mut fields)?;
    let slots = items(&mut fields, |slot| Ok(B256::decode(slot)?))?;
    ended(fields)?;
    Ok(Access { address, slots })
}

fn fee_payer(input: &mut &[u8]) -> Result<FeePayer, DecodeError> {
    match input.split_first() {
        Some((&EMPTY_STRING_CODE, rest)) => {
            *input = rest;
            Ok(FeePayer::Sender)
        }
        Some((0, rest)) => {
            *input = rest;
            Ok(FeePayer::Awaited)
        }
        _ => {
            let mut numbers = Header::decode_bytes(input, true)?;
            let odd_y = bool::decode(&mut numbers)?;
            let r = U256::decode(&mut numbers)?;
            let s = U256::decode(&mut numbers)?;
            ended(numbers)?;
            Ok(FeePayer::Sponsor(Ecdsa::new(r, s, odd_y)?))
        }
    }
}

fn optional(input: &mut &[u8]) -> Result<Option<Address>, DecodeError> {
    match input.split_first() {
        Some((&EMPTY_STRING_CODE, rest)) => {
            *input = rest;
            Ok(None)
        }
        _ => Ok(Some(Address::decode(input)?)),
    }
}

/// A delegation as nodes write it. They hash what they read, so what is carried is the spelling that they give it.
fn delegation(input: &mut &[u8]) -> Result<Bytes, DecodeError> {
    let mut fields = Header::decode_bytes(input, true)?;
    let (chain_id, to) = (U256::decode(&mut fields)?, Address::decode(&mut fields)?);
    let nonce = u64::decode(&mut fields)?;
    let signature = Signature::parse(Header::decode_bytes(&mut fields, false)?)?;
    ended(fields)?;
    let mut payload = Vec::with_capacity(128);
    chain_id.encode(&mut payload);
    to.encode(&mut payload);
    nonce.encode(&mut payload);
    signature.to_bytes().encode(&mut payload);
    Ok(super::encode::list(&payload).into())
}

/// The same of a key authorisation, if there is one: the signature that follows is no list.
fn key_authorization(input: &mut &[u8]) -> Result<Option<Bytes>, DecodeError> {
    if input.first().is_none_or(|first| *first < EMPTY_LIST_CODE) {
        return Ok(None);
    }
    let start = *input;
    Header::decode_bytes(input, true)?;
    let (list, _) = start.split_at(start.len() - input.len());
    Ok(Some(SignedAuthorization::decode(list)?.encode()))
}

fn items<T>(
    input: &mut &[u8],
    item: impl Fn(&mut &[u8]) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut payload = Header::decode_bytes(input, true)?;
    let mut read = Vec::new();
    while !payload.is_empty() {
        read.push(item(&mut payload)?);
    }
    Ok(read)
}

fn ended(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
}
