//! Writes and reads key authorisations: RLP lists with optional fields at their ends.

use std::num::NonZeroU64;

use alloy::{
    primitives::{Address, B256, FixedBytes, U256},
    rlp::{self, BufMut, Decodable, EMPTY_STRING_CODE, Encodable, Header},
};

use super::{KeyAuthorization, KeyKind, Limit, Rule, Scope, SignedAuthorization};
use crate::chain::{
    signature::{Signature, SignatureError},
    transaction::MAX_BYTES,
};

/// Why bytes are no key authorisation that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// More bytes than a whole transaction may have.
    #[error("{0} bytes are too long for a key authorisation")]
    TooLong(usize),
    /// Broken or non-canonical RLP, or a field of a wrong kind or size.
    #[error("malformed RLP")]
    Rlp(#[from] rlp::Error),
    /// It says the same as another spelling does.
    #[error("the authorisation is not in its canonical spelling")]
    Spelling,
    /// Bytes after the end.
    #[error("something follows the authorisation")]
    Trailing,
    /// Its signature is not accepted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

pub(super) fn encode_signed(signed: &SignedAuthorization) -> Vec<u8> {
    let mut payload = Vec::new();
    signed.authorization.encode(&mut payload);
    signed.signature.to_bytes().encode(&mut payload);
    list(&payload)
}

pub(super) fn decode_signed(bytes: &[u8]) -> Result<SignedAuthorization, AuthorizationError> {
    if bytes.len() > MAX_BYTES {
        return Err(AuthorizationError::TooLong(bytes.len()));
    }
    let mut rest = bytes;
    let mut fields = Header::decode_bytes(&mut rest, true)?;
    let whole = fields;
    let authorization = KeyAuthorization::decode(&mut fields)?;
    let (spelled, _) = whole.split_at(whole.len() - fields.len());
    if rlp::encode(&authorization) != spelled {
        return Err(AuthorizationError::Spelling);
    }
    let signature = Signature::parse(Header::decode_bytes(&mut fields, false)?)?;
    if !fields.is_empty() || !rest.is_empty() {
        return Err(AuthorizationError::Trailing);
    }
    Ok(authorization.signed(signature)?)
}

impl Encodable for KeyAuthorization {
    /// Optional fields that nothing follows are left out; the others are empty strings.
    fn encode(&self, out: &mut dyn BufMut) {
        let mut payload = Vec::with_capacity(128);
        self.chain_id.encode(&mut payload);
        self.kind.number().encode(&mut payload);
        self.key.encode(&mut payload);
        let optional = [
            self.expiry.map(|expiry| rlp::encode(expiry.get())),
            self.limits.as_ref().map(rlp::encode),
            self.calls.as_ref().map(rlp::encode),
            self.witness.map(rlp::encode),
            self.admin.then(|| rlp::encode(true)),
            self.account.map(rlp::encode),
        ];
        let present = optional.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for field in optional.into_iter().take(present) {
            payload.extend(field.unwrap_or_else(|| vec![EMPTY_STRING_CODE]));
        }
        out.put_slice(&list(&payload));
    }
}

impl Decodable for KeyAuthorization {
    fn decode(input: &mut &[u8]) -> rlp::Result<Self> {
        let mut fields = Header::decode_bytes(input, true)?;
        let chain_id = u64::decode(&mut fields)?;
        let kind = KeyKind::by_number(u8::decode(&mut fields)?)
            .ok_or(rlp::Error::Custom("no such kind of key"))?;
        let read = Self {
            chain_id,
            kind,
            key: Address::decode(&mut fields)?,
            expiry: optional::<u64>(&mut fields)?.and_then(NonZeroU64::new),
            limits: optional(&mut fields)?,
            calls: optional(&mut fields)?,
            witness: optional::<B256>(&mut fields)?,
            admin: optional::<bool>(&mut fields)?.unwrap_or_default(),
            account: optional::<Address>(&mut fields)?,
        };
        ended(fields)?;
        Ok(read)
    }
}

impl Encodable for Limit {
    fn encode(&self, out: &mut dyn BufMut) {
        let mut payload = Vec::with_capacity(64);
        self.token.encode(&mut payload);
        self.amount.encode(&mut payload);
        if let Some(period) = self.period {
            period.get().encode(&mut payload);
        }
        out.put_slice(&list(&payload));
    }
}

impl Decodable for Limit {
    fn decode(input: &mut &[u8]) -> rlp::Result<Self> {
        let mut fields = Header::decode_bytes(input, true)?;
        let read = Self {
            token: Address::decode(&mut fields)?,
            amount: U256::decode(&mut fields)?,
            period: optional::<u64>(&mut fields)?.and_then(NonZeroU64::new),
        };
        ended(fields)?;
        Ok(read)
    }
}

impl Encodable for Scope {
    fn encode(&self, out: &mut dyn BufMut) {
        let mut payload = Vec::with_capacity(64);
        self.target.encode(&mut payload);
        self.rules.encode(&mut payload);
        out.put_slice(&list(&payload));
    }
}

impl Decodable for Scope {
    fn decode(input: &mut &[u8]) -> rlp::Result<Self> {
        let mut fields = Header::decode_bytes(input, true)?;
        let read = Self { target: Address::decode(&mut fields)?, rules: Vec::decode(&mut fields)? };
        ended(fields)?;
        Ok(read)
    }
}

impl Encodable for Rule {
    fn encode(&self, out: &mut dyn BufMut) {
        let mut payload = Vec::with_capacity(32);
        self.selector.encode(&mut payload);
        self.recipients.encode(&mut payload);
        out.put_slice(&list(&payload));
    }
}

impl Decodable for Rule {
    fn decode(input: &mut &[u8]) -> rlp::Result<Self> {
        let mut fields = Header::decode_bytes(input, true)?;
        let read = Self {
            selector: FixedBytes::<4>::decode(&mut fields)?.0,
            recipients: Vec::decode(&mut fields)?,
        };
        ended(fields)?;
        Ok(read)
    }
}

/// A field that may be left out at the end, or empty before another.
fn optional<T: Decodable>(fields: &mut &[u8]) -> rlp::Result<Option<T>> {
    match fields.split_first() {
        None => Ok(None),
        Some((&EMPTY_STRING_CODE, rest)) => {
            *fields = rest;
            Ok(None)
        }
        Some(_) => T::decode(fields).map(Some),
    }
}

fn ended(fields: &[u8]) -> rlp::Result<()> {
    if fields.is_empty() { Ok(()) } else { Err(rlp::Error::UnexpectedLength) }
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}
