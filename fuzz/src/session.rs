//! Tempo sessions: payloads, snapshots, calls of the reserve, its answers and logs, vouchers' signatures.

use alloy::primitives::B256;
use mpp_tempo::{
    chain::{
        reserve::{
            CHANNEL_RESERVE, ChannelClosed, ChannelOpened, CloseRequested, Open, ReserveError,
            Settled, TopUp, ToppedUp, read_channel_state, read_channel_states, topic,
        },
        rpc::Log,
        signature::Signature,
    },
    session::{Descriptor, DescriptorText, Domain, MOST, Payload, Snapshot, VoucherKey},
};

use crate::cursor::Cursor;

/// Whatever a peer of a session may send, by the first byte.
pub fn session(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    match kind % 6 {
        0 => payload(rest),
        1 => snapshot(rest),
        2 => calls(rest),
        3 => answer(rest),
        4 => told(rest),
        _ => voucher(rest),
    }
}

/// A credential's payload as JSON: what is read is written so that it reads the same, and shows no signature.
fn payload(data: &[u8]) -> bool {
    let Ok(payload) = serde_json::from_slice::<Payload>(data) else { return false };
    let written = serde_json::to_vec(&payload).expect("it was read");
    assert_eq!(serde_json::from_slice::<Payload>(&written).expect("it was written"), payload);
    let id = payload.channel_id();
    assert!(id.len() == 66 && id.starts_with("0x") && *id == id.to_ascii_lowercase());
    if let (Some(text), Some((amount, _))) = (payload.descriptor(), payload.voucher()) {
        assert!(amount <= MOST, "more than the reserve counts to");
        descriptor(text);
    }
    if let Some((_, signature)) = payload.voucher() {
        assert!(signature.len() < 60 || !format!("{payload:?}").contains(signature));
    }
    true
}

/// A descriptor has one meaning and one spelling.
fn descriptor(text: &DescriptorText) {
    let Ok(read) = Descriptor::try_from(text) else { return };
    let written = DescriptorText::from(&read);
    assert_eq!(Descriptor::try_from(&written), Ok(read));
    assert_eq!(written.payer, text.payer.to_ascii_lowercase());
}

/// A `Payment-Session-Snapshot` field.
fn snapshot(data: &[u8]) -> bool {
    let Ok(field) = std::str::from_utf8(data) else { return false };
    let Ok(snapshot) = Snapshot::from_header(field) else { return false };
    if let Ok(again) = Snapshot::from_header(&snapshot.to_header()) {
        assert_eq!(again, snapshot);
    }
    descriptor(&snapshot.descriptor);
    if let Ok(channel) = snapshot.verified(CHANNEL_RESERVE, 42431) {
        assert_eq!(snapshot.channel_id.to_ascii_lowercase(), channel.id.to_string());
        let _ = snapshot.proven(&channel, &Domain::v2(42431));
    }
    true
}

/// Calldata of the reserve: what is read has one spelling.
fn calls(data: &[u8]) -> bool {
    let (open, top_up) = (Open::decode(data), TopUp::decode(data));
    if let Ok(open) = &open {
        assert_eq!(open.encode().as_ref(), data, "another spelling");
    }
    if let Ok(top_up) = &top_up {
        assert_eq!(top_up.encode().as_ref(), data, "another spelling");
    }
    assert!(open.is_err() || top_up.is_err(), "one call is two");
    let _ = ReserveError::read(data);
    open.is_ok() || top_up.is_ok()
}

/// A node's answer about channels.
fn answer(data: &[u8]) -> bool {
    let one = read_channel_state(data);
    let many = read_channel_states(data, data.len().saturating_sub(64) / 96);
    if let Ok(state) = &one {
        assert_eq!(data.len(), 96);
        assert!(state.deposit <= MOST.get() && state.settled <= MOST.get());
    }
    one.is_ok() || many.is_ok()
}

/// A log of the reserve: one reader takes it, or none.
fn told(data: &[u8]) -> bool {
    let mut cursor = Cursor(data);
    let event = match cursor.byte() % 5 {
        0 => topic::CHANNEL_OPENED,
        1 => topic::SETTLED,
        2 => topic::TOP_UP,
        3 => topic::CLOSE_REQUESTED,
        _ => topic::CHANNEL_CLOSED,
    };
    let parties = [cursor.account(), cursor.account()].map(|account| account.into_word());
    let topics = [vec![event, B256::repeat_byte(cursor.byte())], parties.to_vec()].concat();
    let log = Log { address: CHANNEL_RESERVE, topics, data: cursor.0.to_vec().into() };
    let taken = [
        ChannelOpened::read(&log).is_some(),
        Settled::read(&log).is_some(),
        ToppedUp::read(&log).is_some(),
        CloseRequested::read(&log).is_some(),
        ChannelClosed::read(&log).is_some(),
    ];
    let count = taken.iter().filter(|taken| **taken).count();
    assert!(count <= 1, "one log is two");
    count == 1
}

/// A voucher's signature: taken only in the spelling that is written, and only of its signer.
fn voucher(data: &[u8]) -> bool {
    let hash = B256::repeat_byte(0x5a);
    let Ok(signature) = Signature::parse(data) else {
        assert!(VoucherKey::new(CHANNEL_RESERVE).check(hash, data).is_err());
        return false;
    };
    let Ok(made) = signature.signer(hash) else { return false };
    let taken = VoucherKey::new(made.account).check(hash, data).is_ok();
    assert!(VoucherKey::new(CHANNEL_RESERVE).check(hash, data).is_err());
    if taken {
        assert_eq!(made.access_key, None, "wrapped");
        assert_eq!(signature.to_bytes().as_ref(), data, "another spelling");
    }
    taken
}
