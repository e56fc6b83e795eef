//! Looking after what is open, beside the requests that are made: what can never move any more is closed, and its budget
//! given back, before its rail can no longer prove it.

use crate::wallet::Wallet;

impl Wallet {
    /// Asks what became of what is open, in a task of its own, if it was not done a moment ago. No request waits for it.
    pub(super) fn tend(&self) {
        let due = self.is_reconcile_due();
        if let (true, Ok(runtime)) = (due, tokio::runtime::Handle::try_current()) {
            let wallet = self.clone();
            runtime.spawn(async move {
                if let Err(e) = wallet.reconcile().await {
                    tracing::warn!(error = %e, "what is open could not be closed");
                }
            });
        }
    }
}
