//! Changes to bytes on their way: single bytes, and whole fields with the list's length put right.

use proptest::{collection::vec, prelude::*, sample::Index};

use crate::forms;

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Append(u8),
    /// A field becomes these raw bytes.
    Field(Index, Vec<u8>),
    /// A byte within a field changes, the field's own header included.
    Within(Index, Index, u8),
    Drop(Index),
    Double(Index),
    /// The last byte of one of the last fields: the recovery byte, or a flag, of the signature of the account, of the key
    /// authorisation, or of the last delegation. Of what has no fields, the last byte.
    Last(usize, u8),
}

/// One to three changes.
pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), telling()).prop_map(|(at, to)| Change::Set(at, to)),
        1 => (at(), telling()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => at().prop_map(Change::Remove),
        1 => at().prop_map(Change::Cut),
        1 => any::<u8>().prop_map(Change::Append),
        4 => (at(), field()).prop_map(|(at, raw)| Change::Field(at, raw)),
        4 => (at(), at(), telling()).prop_map(|(at, byte, to)| Change::Within(at, byte, to)),
        1 => at().prop_map(Change::Drop),
        1 => at().prop_map(Change::Double),
        4 => (0_usize..3, prop_oneof![4 => 0_u8..3, 1 => 27_u8..40, 1 => any::<u8>()])
            .prop_map(|(field, to)| Change::Last(field, to)),
    ]
}

/// Bytes at which readers decide.
fn telling() -> impl Strategy<Value = u8> {
    let edges = vec![0, 1, 2, 3, 4, 0x7f, 0x80, 0x81, 0x94, 0xa0, 0xb8, 0xc0, 0xc1, 0xf8, 0xff];
    prop_oneof![prop::sample::select(edges), any::<u8>()]
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    let address = any::<[u8; 20]>().prop_map(|address| [&[0x94], address.as_slice()].concat());
    let number = vec(any::<u8>(), 1..34).prop_map(|bytes| {
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        [&[0x80 + length], bytes.as_slice()].concat()
    });
    let numbers = (any::<bool>(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(odd, r, s)| {
        let parity = [if odd { 1 } else { 0x80 }];
        forms::list(&[&parity, [0xa0].as_slice(), &r, &[0xa0], &s].concat())
    });
    let fixed = prop::sample::select(vec![
        vec![0x80],
        vec![0x00],
        vec![0x01],
        vec![0xc0],
        vec![0xc1, 0xc0],
        vec![0x81, 0x05],
        vec![0x82, 0x00, 0x05],
        vec![0xc3, 0x80, 0x80, 0x80],
        vec![0xc4, 0xc3, 0x80, 0x80, 0x80],
    ]);
    prop_oneof![3 => fixed, 1 => address, 1 => number, 1 => numbers, 1 => vec(any::<u8>(), 0..40)]
}

/// The bytes after all changes, in order.
pub(crate) fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    changes.iter().fold(bytes.to_vec(), |bytes, change| apply(&bytes, change).unwrap_or(bytes))
}

/// `None` where the change has no place any more.
fn apply(bytes: &[u8], change: &Change) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return None;
    }
    let mut changed = bytes.to_vec();
    match change {
        Change::Flip(at, bit) => *changed.get_mut(at.index(bytes.len()))? ^= 1 << bit,
        Change::Set(at, to) => *changed.get_mut(at.index(bytes.len()))? = *to,
        Change::Insert(at, byte) => changed.insert(at.index(bytes.len()), *byte),
        Change::Remove(at) => drop(changed.remove(at.index(bytes.len()))),
        Change::Cut(at) => changed.truncate(at.index(bytes.len())),
        Change::Append(byte) => changed.push(*byte),
        Change::Last(_, to) if forms::split(bytes).is_none() => *changed.last_mut()? = *to,
        _ => return among_fields(bytes, change),
    }
    Some(changed)
}

fn among_fields(bytes: &[u8], change: &Change) -> Option<Vec<u8>> {
    let (kind, mut fields) = forms::split(bytes)?;
    if fields.is_empty() {
        return None;
    }
    match change {
        Change::Field(at, raw) => {
            let at = at.index(fields.len());
            fields.get_mut(at)?.clone_from(raw);
        }
        Change::Within(at, byte, to) => {
            let at = at.index(fields.len());
            let field = fields.get_mut(at)?;
            let byte = byte.index(field.len().max(1));
            *field.get_mut(byte)? = *to;
        }
        Change::Last(from_end, to) => {
            let field = fields.iter_mut().rev().nth(*from_end)?;
            *field.last_mut()? = *to;
        }
        Change::Drop(at) => drop(fields.remove(at.index(fields.len()))),
        Change::Double(at) => {
            let at = at.index(fields.len());
            fields.insert(at, fields.get(at)?.clone());
        }
        _ => return None,
    }
    Some(forms::join(kind, &fields))
}
