//! The forms of a transaction as lists of raw fields, for what only bytes can say.

use alloy::{
    primitives::Address,
    rlp::{EMPTY_LIST_CODE, Header},
};

/// Where the fee payer's slot is among the fields.
pub(crate) const SLOT: usize = 11;

/// The chain's crate writes an awaited sponsor as a signature of zeros.
const MARK: [u8; 4] = [0xc3, 0x80, 0x80, 0x80];

/// The type byte and the raw fields; `None` where there is no list.
pub(crate) fn split(bytes: &[u8]) -> Option<(u8, Vec<Vec<u8>>)> {
    let (kind, mut rest) = bytes.split_first()?;
    let mut payload = Header::decode_bytes(&mut rest, true).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut fields = Vec::new();
    while let Some(first) = payload.first() {
        let start = payload;
        Header::decode_bytes(&mut payload, *first >= EMPTY_LIST_CODE).ok()?;
        fields.push(start.get(..start.len() - payload.len())?.to_vec());
    }
    Some((*kind, fields))
}

/// The transaction of these raw fields.
pub(crate) fn join(kind: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(list(&fields.concat()));
    bytes
}

/// A list of these raw items.
pub(crate) fn list(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 9);
    Header { list: true, payload_length: payload.len() }.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// The two forms of an awaited sponsor with the chain's mark in the slot, and the sender that an envelope names; other
/// bytes as they are.
pub(crate) fn marked(bytes: &[u8]) -> (Vec<u8>, Option<Address>) {
    let as_is = || (bytes.to_vec(), None);
    let Some((kind, mut fields)) = split(bytes) else { return as_is() };
    let Some(slot) = fields.get_mut(SLOT) else { return as_is() };
    let named = match (kind, slot.as_slice()) {
        (0x76, [0]) => None,
        (0x78, [0x94, address @ ..]) if address.len() == 20 => Some(Address::from_slice(address)),
        _ => return as_is(),
    };
    *slot = MARK.to_vec();
    (join(0x76, &fields), named)
}

/// The envelope of a placeholder form.
pub(crate) fn enveloped(placeholder: &[u8], sender: Address) -> Option<Vec<u8>> {
    let (_, mut fields) = split(placeholder)?;
    *fields.get_mut(SLOT)? = [&[0x94], sender.as_slice()].concat();
    Some(join(0x78, &fields))
}
