//! Payments that begin a subscription: whose it is lies in the entry, so that a crash between the money and the agreement loses
//! neither.

use mpp_core::{
    agreement::Began, credential::Fingerprint, intent::SubscriptionTerms, name::MethodId,
    problem::Rejection, store::StoreExt, time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Entry, Ledger, State, broken, entry::FORM, settle::Payment};

/// Whose subscription a payment begins.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// The key of the subscriber's entry.
    pub(crate) member: String,
    /// The terms of the challenge.
    pub(crate) terms: SubscriptionTerms,
    /// As its rail began it, from `settled` on until the agreement is on its own books. Secret at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began: Option<Box<Began>>,
}

/// A challenge that nothing is to be sent for any more.
pub(crate) struct Blocked<'a> {
    pub(crate) challenge: &'a str,
    pub(crate) print: Fingerprint,
    pub(crate) method: &'a MethodId,
    pub(crate) account: &'a str,
    pub(crate) expires: &'a Timestamp,
}

impl Ledger {
    /// Puts a challenge on the books as failed, where it is on none: whoever was about to open it finds it closed. Whether it
    /// was on none.
    pub(crate) async fn block(&self, it: Blocked<'_>) -> Result<bool, Rejection> {
        let key = Self::key(it.challenge)?;
        let entry = Entry {
            v: FORM,
            state: State::Failed,
            until: 0,
            holder: self.me,
            print: it.print,
            method: it.method.clone(),
            account: it.account.to_owned(),
            challenge: it.challenge.to_owned(),
            expires: it.expires.clone(),
            mark: None,
            mark_until: None,
            evidence: RawValue::NULL.to_owned(),
            external_id: None,
            receipt: None,
            payer: None,
            served: 0,
            spared: 0,
            asked: None,
            answer: None,
            agreed: None,
        };
        let keep = self.keep(&entry);
        let written = self.store.write(&key, None, &entry, keep).await.map_err(broken)?;
        Ok(written.is_some())
    }

    /// Ends a payment whose agreement is on its own books. One that somebody has in hand is theirs to end; what is not
    /// written now is written when it is looked at again.
    pub(crate) async fn conclude(&self, challenge: &str) {
        let Ok(key) = Self::key(challenge) else { return };
        let Some(_hold) = self.holds.take(&key) else { return };
        let Ok(Some((version, entry))) = self.find(&key).await else { return };
        if matches!(entry.state, State::Settled | State::Serving) {
            let mut payment = Payment::found(self.clone(), key, version, entry);
            let _ = payment.advance(State::Delivered).await;
        }
    }
}
