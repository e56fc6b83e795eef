//! Whether a key may sign for the account in whose name it did.

use mpp_core::problem::Rejection;

use super::{
    Verifier,
    reason::{self, refusal},
    unavailable,
};
use crate::{
    chain::{
        keychain::{self, SignedAuthorization},
        rpc::Rpc,
        signature::Recovered,
    },
    charge::evidence::Order,
};

impl Verifier {
    /// Nodes drop without a word what a key of nobody's signed, and what brings an authorisation by somebody else: an
    /// access key is asked after on the chain, or read from the authorisation that comes with it.
    pub(super) async fn may_sign(
        &self,
        node: &dyn Rpc,
        order: &Order,
        by: Recovered,
    ) -> Result<(), Rejection> {
        let now = u64::try_from(self.clock.now().unix_seconds()).unwrap_or(0);
        if let Some(raw) = &order.signed.transaction.key_authorization {
            return if self.authorizes(raw, order, by, now) { Ok(()) } else { Err(inactive()) };
        }
        if by.access_key.is_none() {
            return Ok(());
        }
        let speaks = keychain::speaks_for(node, self.chain.keychain, order.payer, by, now).await;
        if speaks.map_err(unavailable)? { Ok(()) } else { Err(inactive()) }
    }

    /// Whether an authorisation is the payer's own, for this chain, and of the key that signed where that is an access key.
    fn authorizes(&self, raw: &[u8], order: &Order, by: Recovered, now: u64) -> bool {
        let Ok(signed) = SignedAuthorization::decode(raw) else { return false };
        let granted = signed.authorization();
        let of_key =
            by.access_key.is_none_or(|key| key == granted.key && granted.kind.signs(by.kind));
        of_key && signed.is_good(self.node.chain_id(), order.payer, now)
    }
}

fn inactive() -> Rejection {
    let detail = "The access key that signed is not the account's, or no longer.";
    refusal(reason::KEY_INACTIVE, detail)
}
