//! A voucher: was it signed for this channel, this total, by the one who may.

use alloy::primitives::B256;
use mpp_core::Amount;
use mpp_tempo::{
    Chain,
    chain::reserve::CHANNEL_RESERVE,
    session::{Domain, VoucherKey},
};
use peer::protocol::methods::tempo::precompile_voucher::verify_precompile_voucher_signature;
use secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly, ecdsa};

use crate::{
    channels::Payer,
    interleaved::{Effort, calling, least},
    row::{Goal, Row},
};

const TOTAL: u128 = 500_000;

/// Measures.
pub fn rows(effort: Effort) -> Vec<Row> {
    let (voucher, floor) = (Voucher::signed(), Floor::of(&Voucher::signed()));
    assert!(voucher.verified() && voucher.verified_by_the_peer() && floor.verified());
    let [ours, peer, floor] = least(
        effort,
        [
            calling(effort, || voucher.verified()),
            calling(effort, || voucher.verified_by_the_peer()),
            calling(effort, || floor.verified()),
        ],
    );
    vec![
        Row::cost("verify a voucher", "ns", ours, peer).to_reach(Goal::Ratio(4.5)),
        // A quarter more is the most.
        Row::alone("the same, beside a known key's verify", ours, floor).to_reach(Goal::Ratio(0.8)),
    ]
}

/// A voucher, and whose it has to be.
#[derive(Debug)]
pub struct Voucher {
    payer: Payer,
    signature: [u8; 65],
    domain: Domain,
    key: VoucherKey,
}

impl Voucher {
    /// A good one.
    pub fn signed() -> Self {
        let payer = Payer::numbered(1);
        let (signature, key) = (payer.sign(TOTAL), VoucherKey::new(payer.signer()));
        Self { payer, signature, domain: Domain::v2(Chain::MODERATO.id), key }
    }

    /// By us.
    pub fn verified(&self) -> bool {
        self.key.check(self.digest(), &self.signature).is_ok()
    }

    /// By the peer.
    pub fn verified_by_the_peer(&self) -> bool {
        let (signer, channel) = (self.payer.signer(), self.payer.channel().0);
        let chain_id = Chain::MODERATO.id;
        verify_precompile_voucher_signature(
            &self.signature,
            signer,
            channel,
            TOTAL,
            CHANNEL_RESERVE,
            chain_id,
        )
        .expect("it can be read")
    }

    fn digest(&self) -> B256 {
        self.domain.digest(self.payer.channel(), Amount::new(TOTAL))
    }
}

/// The same signature, for somebody who has the public key, and the hash ready.
#[derive(Debug)]
pub struct Floor {
    curve: Secp256k1<VerifyOnly>,
    digest: [u8; 32],
    compact: [u8; 64],
    key: PublicKey,
}

impl Floor {
    /// Looks the key up once.
    pub fn of(voucher: &Voucher) -> Self {
        let (curve, digest) = (Secp256k1::verification_only(), voucher.digest().0);
        let mut compact = [0; 64];
        compact.copy_from_slice(&voucher.signature[..64]);
        let id = match voucher.signature[64] {
            28 => ecdsa::RecoveryId::One,
            _ => ecdsa::RecoveryId::Zero,
        };
        let signature = ecdsa::RecoverableSignature::from_compact(&compact, id);
        let signature = signature.expect("64 bytes");
        let key = curve.recover_ecdsa(Message::from_digest(digest), &signature);
        Self { curve, digest, compact, key: key.expect("somebody signed") }
    }

    /// Nothing but libsecp256k1.
    pub fn verified(&self) -> bool {
        let signature = ecdsa::Signature::from_compact(&self.compact).expect("64 bytes");
        let message = Message::from_digest(self.digest);
        self.curve.verify_ecdsa(message, &signature, &self.key).is_ok()
    }
}
