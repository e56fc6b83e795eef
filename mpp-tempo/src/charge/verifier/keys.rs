//! Whether a key may sign for the account in whose name it did.

use alloy::primitives::Address;
use mpp_core::problem::Rejection;

use super::{
    reason::{self, refusal},
    unavailable,
};
use crate::chain::{
    Chain,
    keychain::{self, SignedAuthorization},
    rpc::Rpc,
    signature::Recovered,
    transaction::Signed,
};

/// Nodes drop without a word what a key of nobody's signed, and what brings an authorisation by somebody else: an
/// access key is asked after on the chain, or read from the authorisation that comes with it.
pub(crate) async fn may_sign(
    node: &dyn Rpc,
    (chain, now): (&Chain, i64),
    (signed, payer): (&Signed, Address),
    by: Recovered,
) -> Result<(), Rejection> {
    let now = u64::try_from(now).unwrap_or(0);
    if let Some(raw) = &signed.transaction.key_authorization {
        let good = authorizes(raw, (chain.id, payer), by, now);
        return if good { Ok(()) } else { Err(inactive()) };
    }
    if by.access_key.is_none() {
        return Ok(());
    }
    let speaks = keychain::speaks_for(node, chain.keychain, payer, by, now).await;
    if speaks.map_err(unavailable)? { Ok(()) } else { Err(inactive()) }
}

/// Whether an authorisation is the payer's own, for this chain, and of the key that signed where that is an access key.
fn authorizes(raw: &[u8], (chain, payer): (u64, Address), by: Recovered, now: u64) -> bool {
    let Ok(signed) = SignedAuthorization::decode(raw) else { return false };
    let granted = signed.authorization();
    let of_key = by.access_key.is_none_or(|key| key == granted.key && granted.kind.signs(by.kind));
    of_key && signed.is_good(chain, payer, now)
}

fn inactive() -> Rejection {
    let detail = "The access key that signed is not the account's, or no longer.";
    refusal(reason::KEY_INACTIVE, detail)
}
