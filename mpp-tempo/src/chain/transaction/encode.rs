//! Writes transactions: four forms of one list of fields, differing in the fee token and in the fee payer's slot.

use std::num::NonZeroU64;

use alloy::{
    primitives::Address,
    rlp::{EMPTY_STRING_CODE, Encodable, Header},
};

use super::{Access, Call, FeePayer, SPONSOR_TYPE, Signed, TYPE, Transaction};

pub(super) fn sender_payload(transaction: &Transaction) -> Vec<u8> {
    let form = match transaction.fee_payer {
        FeePayer::Sender => Form { fee_token: transaction.fee_token, slot: Slot::Empty },
        FeePayer::Awaited | FeePayer::Sponsor(_) => {
            Form { fee_token: None, slot: Slot::Placeholder }
        }
    };
    typed(TYPE, &fields(transaction, &form))
}

pub(super) fn fee_payer_payload(transaction: &Transaction, sender: Address) -> Vec<u8> {
    let form = Form { fee_token: transaction.fee_token, slot: Slot::Sender(sender) };
    typed(SPONSOR_TYPE, &fields(transaction, &form))
}

pub(super) fn signed(signed: &Signed) -> Vec<u8> {
    let transaction = &signed.transaction;
    let form = match &transaction.fee_payer {
        FeePayer::Sender => Form { fee_token: transaction.fee_token, slot: Slot::Empty },
        FeePayer::Awaited => Form { fee_token: None, slot: Slot::Placeholder },
        FeePayer::Sponsor(ecdsa) => {
            let mut numbers = Vec::with_capacity(67);
            ecdsa.odd_y().encode(&mut numbers);
            ecdsa.r().encode(&mut numbers);
            ecdsa.s().encode(&mut numbers);
            Form { fee_token: transaction.fee_token, slot: Slot::Signature(list(&numbers)) }
        }
    };
    with_signature(TYPE, signed, &form)
}

pub(super) fn envelope(signed: &Signed, sender: Address) -> Vec<u8> {
    with_signature(SPONSOR_TYPE, signed, &Form { fee_token: None, slot: Slot::Sender(sender) })
}

struct Form {
    fee_token: Option<Address>,
    slot: Slot,
}

/// What stands where the fee payer signs.
enum Slot {
    Empty,
    Placeholder,
    Sender(Address),
    Signature(Vec<u8>),
}

fn with_signature(kind: u8, signed: &Signed, form: &Form) -> Vec<u8> {
    let mut payload = fields(&signed.transaction, form);
    signed.signature.to_bytes().encode(&mut payload);
    typed(kind, &payload)
}

/// The fields without the outer list's header.
fn fields(transaction: &Transaction, form: &Form) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    transaction.chain_id.encode(&mut out);
    transaction.max_priority_fee_per_gas.encode(&mut out);
    transaction.max_fee_per_gas.encode(&mut out);
    transaction.gas_limit.encode(&mut out);
    out.extend(list_of(&transaction.calls, call));
    out.extend(list_of(&transaction.access_list, access));
    transaction.nonce_key.encode(&mut out);
    transaction.nonce.encode(&mut out);
    transaction.valid_before.map_or(0, NonZeroU64::get).encode(&mut out);
    transaction.valid_after.map_or(0, NonZeroU64::get).encode(&mut out);
    optional(form.fee_token, &mut out);
    match &form.slot {
        Slot::Empty => out.push(EMPTY_STRING_CODE),
        Slot::Placeholder => out.push(0),
        Slot::Sender(sender) => sender.encode(&mut out),
        Slot::Signature(numbers) => out.extend_from_slice(numbers),
    }
    out.extend(list_of(&transaction.authorizations, |list| list.to_vec()));
    out.extend(transaction.key_authorization.iter().flatten());
    out
}

fn call(call: &Call) -> Vec<u8> {
    let mut payload = Vec::with_capacity(call.data.len() + 64);
    call.to.encode(&mut payload);
    call.value.encode(&mut payload);
    call.data.encode(&mut payload);
    list(&payload)
}

fn access(access: &Access) -> Vec<u8> {
    let mut payload = Vec::new();
    access.address.encode(&mut payload);
    access.slots.encode(&mut payload);
    list(&payload)
}

fn optional(address: Option<Address>, out: &mut Vec<u8>) {
    match address {
        Some(address) => address.encode(out),
        None => out.push(EMPTY_STRING_CODE),
    }
}

fn list_of<T>(items: &[T], item: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    list(&items.iter().map(item).collect::<Vec<_>>().concat())
}

pub(super) fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

fn typed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(list(payload));
    out
}
