//! Ordinary transactions (EIP-1559), as far as the channel reserve is concerned.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    rlp::{Decodable, Header},
};
use mpp_tempo::chain::signature::Ecdsa;

const TYPE: u8 = 2;

/// Fields in front of the signature's three.
const SIGNED: usize = 9;

/// One that was signed: who calls whom, and by which hash the reserve knows it.
#[derive(Debug)]
pub(super) struct Ordinary {
    pub(super) sender: Address,
    pub(super) to: Address,
    pub(super) data: Bytes,
    pub(super) context: B256,
}

impl Ordinary {
    /// `None` for anything else, and for one that creates a contract.
    pub(super) fn read(raw: &[u8]) -> Option<Self> {
        let (_, mut rest) = raw.split_first().filter(|(kind, _)| **kind == TYPE)?;
        let mut payload = Header::decode_bytes(&mut rest, true).ok()?;
        let mut fields = Vec::with_capacity(SIGNED + 3);
        while !payload.is_empty() {
            fields.push(field(&mut payload)?);
        }
        let [_, _, _, _, _, to, _, data, _, odd_y, r, s] = fields.as_slice() else { return None };
        let unsigned = fields.get(..SIGNED)?.concat();
        let mut signed = vec![TYPE];
        Header { list: true, payload_length: unsigned.len() }.encode(&mut signed);
        signed.extend(unsigned);
        let signature =
            Ecdsa::new(decode::<U256>(r)?, decode::<U256>(s)?, decode::<bool>(odd_y)?).ok()?;
        let sender = signature.recover(keccak256(&signed)).ok()?;
        let context = keccak256([signed.as_slice(), sender.as_slice()].concat());
        Some(Self { sender, to: decode(to)?, data: decode(data)?, context })
    }
}

/// The next item with its header.
fn field<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *payload;
    let header = Header::decode(&mut rest).ok()?;
    // A short string is its own header.
    let length = payload.len() - rest.len() + header.payload_length;
    let (item, after) = payload.split_at_checked(length)?;
    *payload = after;
    Some(item)
}

fn decode<T: Decodable>(mut item: &[u8]) -> Option<T> {
    T::decode(&mut item).ok()
}
