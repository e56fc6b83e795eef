//! What the wallet's payers say of their accounts, whichever method each is of.

use mpp_core::{
    Challenge, Receipt,
    payer::{Site, Wish},
};

use super::Wallet;

impl Wallet {
    /// The account that one of its payers has with somebody, to be named in a request.
    pub fn hint(&self, to: &Site) -> Option<String> {
        self.payers.iter().find_map(|payer| payer.hint(to))
    }

    /// What a payer of a challenge would rather do before it must, now that it was answered.
    pub fn wishes(&self, challenge: &Challenge) -> Option<Wish> {
        let id = challenge.method_id();
        let mut payers = self.payers.iter().filter(|payer| payer.id() == id);
        payers.find_map(|payer| payer.wishes(challenge))
    }

    /// Tells its payers a receipt that came outside an answer.
    pub fn hear(&self, receipt: &Receipt) {
        self.payers.iter().for_each(|payer| payer.hear(receipt));
    }

    /// Tells its payers of a challenge that a stream under it delivered something: what they sign ahead counts from here. For
    /// drivers of streams, who say it of everything that is not empty.
    pub fn delivered(&self, challenge: &Challenge) {
        let id = challenge.method_id();
        let payers = self.payers.iter().filter(|payer| payer.id() == id);
        payers.for_each(|payer| payer.delivered(challenge));
    }

    /// Tells its payers what a server says of an account. Whether one of them can go on with it.
    pub async fn remember(&self, to: &Site, snapshot: &str) -> bool {
        for payer in &self.payers {
            match payer.remember(to, snapshot).await {
                Ok(()) => return true,
                Err(e) => tracing::debug!(origin = %to.origin, error = %e, "snapshot not taken"),
            }
        }
        false
    }
}
