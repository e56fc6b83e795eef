//! A node that must prove which chain it is on before it is asked or told anything about money.

use std::sync::{Arc, OnceLock};

use super::{Rpc, RpcError};

/// A node, and the chain it must be on: there is no way to it that goes around the question.
///
/// Asked until the node has said so once. A node that is on another chain, or silent, is asked again next time.
#[derive(Clone, Debug)]
pub struct Pinned {
    rpc: Arc<dyn Rpc>,
    chain_id: u64,
    proven: Arc<OnceLock<()>>,
}

impl Pinned {
    /// Expects a node to be on a chain.
    pub fn new(rpc: Arc<dyn Rpc>, chain_id: u64) -> Self {
        Self { rpc, chain_id, proven: Arc::default() }
    }

    /// The chain the node must be on.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The node, once it is known to be on its chain.
    ///
    /// # Errors
    /// [`PinError`]; nothing was sent.
    pub async fn node(&self) -> Result<&dyn Rpc, PinError> {
        if self.proven.get().is_none() {
            let found = self.rpc.chain_id().await.map_err(PinError::Silent)?;
            if found != self.chain_id {
                return Err(PinError::OtherChain { expected: self.chain_id, found });
            }
            // Whoever was first said the same.
            let _ = self.proven.set(());
        }
        Ok(&*self.rpc)
    }
}

/// Why a node is not spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// It did not say which chain it is on.
    #[error("the node does not say which chain it is on")]
    Silent(#[source] RpcError),
    /// It is on another chain than was configured.
    #[error("the node is on chain {found}, not on {expected}")]
    OtherChain {
        /// The chain that was configured.
        expected: u64,
        /// The chain the node says it is on.
        found: u64,
    },
}
