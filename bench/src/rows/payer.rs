//! The payer of a transaction, from its signature: what checking a payment costs most.

use mpp_tempo::{Key, chain::signature::Signature};
use secp256k1::{
    Message, PublicKey, Secp256k1, VerifyOnly,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use crate::{
    interleaved::{Effort, calling, least},
    row::Row,
};

/// The hash that is signed.
const HASH: [u8; 32] = [7; 32];

/// Measures.
pub fn row(effort: Effort) -> Row {
    let (bytes, curve) = (signature(), Secp256k1::verification_only());
    let [ours, floor] =
        least(effort, [calling(effort, || ours(&bytes)), calling(effort, || bare(&curve, &bytes))]);
    Row::alone("payer of a signature", ours, floor)
}

/// A signature as it stands in a transaction.
pub fn signature() -> [u8; 65] {
    let key = Key::new([3; 32]).expect("a number below the order");
    key.sign(HASH.into()).to_bytes()
}

/// From the bytes on the wire to the 20 bytes of an account, canonical forms alone being taken.
pub fn ours(bytes: &[u8; 65]) -> [u8; 20] {
    let signature = Signature::parse(bytes).expect("it is canonical");
    signature.recover(HASH.into()).expect("somebody signed").into()
}

/// From the same numbers to a public key, nothing else being asked.
pub fn bare(curve: &Secp256k1<VerifyOnly>, bytes: &[u8; 65]) -> PublicKey {
    let id = if bytes[64] == 28 { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&bytes[..64], id).expect("64 bytes");
    curve.recover_ecdsa(Message::from_digest(HASH), &signature).expect("somebody signed")
}
