//! Tries a payment before anything is signed for it or sent: whether its calls run, and with the gas that it names.

use std::num::NonZeroU64;

use alloy::primitives::Address;
use mpp_core::problem::Rejection;

use super::{
    Verifier,
    reason::{self, refusal},
    unavailable,
};
use crate::{
    chain::{
        rpc::{Rpc, RpcError, Trial},
        signature::Signature,
        transaction::Signed,
    },
    charge::evidence::Order,
};

/// How much of a payment is tried before it is believed to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Simulation {
    /// What any node can: a call alone, or several where the node offers that.
    Offered,
    /// All of it, or nothing is believed.
    Required,
}

impl Verifier {
    /// Tries the payment. One that fails costs its payer a fee, and nobody else; but where a sponsor would pay that fee, or
    /// nobody would wait for a block, it must have its gas too: a trial alone runs on any.
    pub(super) async fn would_run(&self, node: &dyn Rpc, order: &Order) -> Result<(), Rejection> {
        let whole = runs(node, order, self.simulation(order)).await?;
        let at_our_cost = order.awaits_sponsor() || self.optimistic;
        if whole && at_our_cost { has_gas(node, &order.signed, order.payer).await } else { Ok(()) }
    }

    /// A sponsor may insist on seeing the whole first; a node that cannot show it is found out before anything is marked.
    fn simulation(&self, order: &Order) -> Simulation {
        match &self.sponsor {
            Some(sponsor) if order.awaits_sponsor() && sponsor.requires_simulation() => {
                Simulation::Required
            }
            _ => Simulation::Offered,
        }
    }
}

/// Runs the calls, and says whether all of them did: some nodes run the first alone, or none.
async fn runs(node: &dyn Rpc, order: &Order, simulation: Simulation) -> Result<bool, Rejection> {
    let calls = &order.signed.transaction.calls;
    let trial = || Trial { from: Some(order.payer), calls: calls.clone(), ..Trial::default() };
    let tried = match (simulation, calls.len()) {
        (Simulation::Required, _) => node.simulate(trial()).await.map(|()| true),
        (Simulation::Offered, 1) => node.call(trial()).await.map(|_| true),
        (Simulation::Offered, _) => match node.simulate(trial()).await {
            Err(error) if error.is_not_offered() => node.call(trial()).await.map(|_| false),
            tried => tried.map(|()| true),
        },
    };
    tried.map_err(refused)
}

/// Whether the gas that was signed for suffices, as the node estimates it (S6).
pub(crate) async fn has_gas(
    node: &dyn Rpc,
    signed: &Signed,
    payer: Address,
) -> Result<(), Rejection> {
    let transaction = &signed.transaction;
    let trial = Trial {
        from: Some(payer),
        calls: transaction.calls.clone(),
        valid_before: transaction.valid_before.map(NonZeroU64::get),
        ..Trial::default()
    };
    let estimate = node.estimate_gas(trial).await.map_err(refused)?;
    if transaction.gas_limit >= estimate.saturating_add(further(&signed.signature)) {
        return Ok(());
    }
    let detail = "The transaction's gas limit is lower than what the node says the payment takes.";
    Err(refusal(reason::GAS_TOO_LOW, detail))
}

/// Units of gas that checking a signature costs the chain beyond one of secp256k1, which is what nodes estimate with: another
/// curve, what a passkey said by the byte, and a look into the keychain.
fn further(signature: &Signature) -> u64 {
    const P256: u64 = 5_000;
    const BYTE: u64 = 16;
    const KEYCHAIN: u64 = 3_000;
    match signature {
        Signature::Secp256k1(_) => 0,
        Signature::P256(_) => P256,
        Signature::WebAuthn(passkey) => {
            let said = u64::try_from(passkey.to_bytes().len()).unwrap_or(u64::MAX);
            P256.saturating_add(said.saturating_mul(BYTE))
        }
        Signature::Keychain(keychain) => KEYCHAIN.saturating_add(further(keychain.inner())),
    }
}

fn refused(error: RpcError) -> Rejection {
    if !error.is_revert() {
        return unavailable(error);
    }
    refusal(reason::WOULD_FAIL, "The token would refuse the transfer.").because(error)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::chain::signature::{Key, Keychain, P256Key};

    #[test]
    fn a_signature_of_another_kind_costs_the_chain_more() {
        let hash = B256::repeat_byte(7);
        let (own, browser) = (Key::new([1; 32]).unwrap(), P256Key::new([2; 32]).unwrap());
        let plain = Signature::from(own.sign(hash));
        let other = Signature::from(browser.sign(hash).unwrap());
        assert_eq!((further(&plain), further(&other)), (0, 5_000));
        let wrapped = Signature::from(Keychain::new(own.address(), other).unwrap());
        assert_eq!(further(&wrapped), 8_000);
    }
}
