//! Access keys.

use alloy::primitives::Bytes;
use mpp_core::payer::PayError;

use super::{Payer, plan::Way, swap::Funding};
use crate::chain::rpc::Rpc;

impl Payer {
    pub(super) async fn unknown_key(
        &self,
        _node: &dyn Rpc,
        _way: Way,
    ) -> Result<Option<Bytes>, PayError> {
        Ok(self.signer.authorization())
    }

    pub(super) async fn limits_allow(
        &self,
        _node: &dyn Rpc,
        _funding: &Funding,
        _fee: u128,
    ) -> Result<(), PayError> {
        Ok(())
    }
}
