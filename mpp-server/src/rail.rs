//! Where payments settle: what recovery needs to go on with one, and no price.

use std::{fmt, sync::Arc};

use mpp_core::{
    fate::Fate,
    name::MethodId,
    store::{BoxFuture, Unreadable},
    verifier::Verifier,
};
use serde_json::value::RawValue;

/// One method at one place: an account on a chain, a node. Known to a gate by [`Sell::tended_by`](crate::offer::Sell::tended_by).
///
/// Evidence is the whole order, so whatever a payment was for and whatever it cost, its rail can go on with it.
#[derive(Clone)]
pub struct Rail(Arc<dyn ErasedRail>);

impl Rail {
    pub(crate) fn of<V: Verifier>(it: &Arc<V>) -> Self {
        let account = it.settles_at().into_owned();
        Self(Arc::new(ByVerifier { it: it.clone(), id: MethodId::of::<V::Method>(), account }))
    }

    /// The method and intent.
    pub fn id(&self) -> &MethodId {
        self.0.id()
    }

    /// Where the money goes, as the verifier says.
    pub fn settles_at(&self) -> &str {
        self.0.account()
    }

    /// Whether a payment that was begun there is this one's to go on with.
    pub(crate) fn is_of(&self, id: &MethodId, account: &str) -> bool {
        self.id() == id && self.settles_at() == account
    }

    pub(crate) fn settle(&self, evidence: Box<RawValue>) -> BoxFuture<'static, Fate> {
        self.0.clone().settle(evidence)
    }

    pub(crate) fn reconcile(&self, evidence: Box<RawValue>) -> BoxFuture<'static, Fate> {
        self.0.clone().reconcile(evidence)
    }
}

impl fmt::Debug for Rail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rail({} at {})", self.id(), self.settles_at())
    }
}

/// A verifier with its types forgotten; evidence is bytes, so that settling can be spawned, and resumed from a store.
trait ErasedRail: Send + Sync {
    fn id(&self) -> &MethodId;
    fn account(&self) -> &str;
    fn settle(self: Arc<Self>, evidence: Box<RawValue>) -> BoxFuture<'static, Fate>;
    fn reconcile(self: Arc<Self>, evidence: Box<RawValue>) -> BoxFuture<'static, Fate>;
}

struct ByVerifier<V> {
    it: Arc<V>,
    id: MethodId,
    account: String,
}

impl<V: Verifier> ErasedRail for ByVerifier<V> {
    fn id(&self) -> &MethodId {
        &self.id
    }

    fn account(&self) -> &str {
        &self.account
    }

    fn settle(self: Arc<Self>, evidence: Box<RawValue>) -> BoxFuture<'static, Fate> {
        Box::pin(async move {
            match read::<V>(&evidence) {
                Ok(evidence) => self.it.settle(&evidence).await,
                Err(e) => Fate::unknown(e),
            }
        })
    }

    fn reconcile(self: Arc<Self>, evidence: Box<RawValue>) -> BoxFuture<'static, Fate> {
        Box::pin(async move {
            match read::<V>(&evidence) {
                Ok(evidence) => self.it.reconcile(&evidence).await,
                Err(e) => Fate::unknown(e),
            }
        })
    }
}

/// Evidence of a store may be of another release. What is wrong with it is told without quoting it.
fn read<V: Verifier>(evidence: &RawValue) -> Result<V::Evidence, Unreadable> {
    Ok(serde_json::from_str(evidence.get())?)
}

#[cfg(test)]
mod tests {
    use mpp_testkit::{rail::CouponCharge, stall::Stall};
    use serde_json::value::to_raw_value;

    use super::*;

    #[tokio::test]
    async fn evidence_that_cannot_be_read_is_an_unknown_fate_and_is_not_quoted() {
        let rail = Rail::of(&Arc::new(Stall::<CouponCharge>::new("coin", 0)));
        for evidence in [
            serde_json::json!("spt_hunter2"),
            serde_json::json!({ "code": ["spt_hunter2"] }),
            serde_json::json!({ "spt_hunter2": "spt_hunter2" }),
        ] {
            let evidence = to_raw_value(&evidence).unwrap();
            for fate in [rail.settle(evidence.clone()).await, rail.reconcile(evidence).await] {
                let Fate::Unknown(cause) = fate else { panic!("{fate:?}") };
                let shown = format!("{cause} {cause:?} {:?}", cause.source());
                assert!(shown.contains("line 1"), "{shown}");
                assert!(!shown.contains("hunter2") && !shown.contains("spt_"), "{shown}");
            }
        }
    }
}
