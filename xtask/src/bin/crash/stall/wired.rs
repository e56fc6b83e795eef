//! The teller of the real method, with a place to die on either side of whatever it sends.

use std::borrow::Cow;

use mpp_core::{
    Amount,
    account::{Account, State},
    binding::Claim,
    credential::Source,
    fate::Fate,
    intent::{PriceError, Rate, SessionTerms},
    method::DetailsOf,
    problem::Rejection,
    teller::{Act, Need, Standing, Teller as Tells},
    verifier::{Asking, Minted, Spend},
};
use mpp_tempo::session::{
    Teller, TempoSession,
    teller::{Channel, Order},
};
use serde_json::{Map, Value};

use crate::tripwire::Fuse;

/// A teller under watch.
pub(super) struct Wired {
    pub(super) it: Teller,
    pub(super) fuse: Fuse,
}

impl Wired {
    /// What an order does, as points are named by it.
    fn what(&self, order: &Order, account: &Account<Channel>) -> &'static str {
        match &*self.it.name(order) {
            "close" => "close",
            name if name.starts_with("settle/") => "collect",
            _ if account.state == State::Opening => "open",
            _ => "top-up",
        }
    }
}

impl Tells for Wired {
    type Method = TempoSession;
    type Order = Order;
    type Kept = Channel;

    fn settles_at(&self) -> Cow<'_, str> {
        self.it.settles_at()
    }

    fn terms(&self, ask: &Rate) -> Result<SessionTerms, PriceError> {
        self.it.terms(ask)
    }

    async fn details(
        &self,
        terms: &SessionTerms,
        asking: Asking<'_>,
        known: Option<&Account<Channel>>,
    ) -> Result<Minted<DetailsOf<TempoSession>>, Rejection> {
        self.it.details(terms, asking, known).await
    }

    fn account(&self, claim: &Claim<TempoSession>) -> Result<String, Rejection> {
        self.it.account(claim)
    }

    async fn check(
        &self,
        claim: &Claim<TempoSession>,
        known: Option<&Account<Channel>>,
    ) -> Result<Act<Order, Channel>, Rejection> {
        self.it.check(claim, known).await
    }

    fn ceiling(&self, kept: &Channel) -> Option<Amount> {
        self.it.ceiling(kept)
    }

    fn paid_out(&self, kept: &Channel) -> Amount {
        self.it.paid_out(kept)
    }

    fn standing(&self, kept: &Channel) -> Standing {
        self.it.standing(kept)
    }

    fn payer(&self, kept: &Channel) -> Option<Source> {
        self.it.payer(kept)
    }

    fn name<'o>(&self, order: &'o Order) -> Cow<'o, str> {
        self.it.name(order)
    }

    fn named(&self, text: &str) -> Option<String> {
        self.it.named(text)
    }

    fn spends<'o>(&self, order: &'o Order) -> Option<Spend<'o>> {
        self.it.spends(order)
    }

    fn has_moved(&self, order: &Order) -> bool {
        self.it.has_moved(order)
    }

    async fn settle(&self, order: &Order, account: &Account<Channel>) -> Fate {
        let what = self.what(order, account);
        self.fuse.pass(&format!("before send {what}"));
        let fate = self.it.settle(order, account).await;
        self.fuse.pass(&format!("after send {what}"));
        fate
    }

    async fn reconcile(&self, order: &Order, account: &Account<Channel>) -> Fate {
        self.it.reconcile(order, account).await
    }

    fn collect(&self, account: &Account<Channel>) -> Option<Order> {
        self.it.collect(account)
    }

    fn close(&self, account: &Account<Channel>) -> Option<Order> {
        self.it.close(account)
    }

    async fn settle_together(&self, orders: &[(Order, Account<Channel>)]) -> Vec<Fate> {
        self.fuse.pass("before send collect");
        let fates = self.it.settle_together(orders).await;
        self.fuse.pass("after send collect");
        fates
    }

    async fn look(&self, kept: &[Channel]) -> Vec<Option<Channel>> {
        self.it.look(kept).await
    }

    fn merge(&self, kept: &mut Channel, seen: Channel) {
        self.it.merge(kept, seen);
    }

    fn receipt(&self, id: &str, account: &Account<Channel>) -> Map<String, Value> {
        self.it.receipt(id, account)
    }

    fn need(&self, id: &str, account: &Account<Channel>, required: Amount) -> Need {
        self.it.need(id, account, required)
    }

    fn fields(
        &self,
        id: &str,
        account: &Account<Channel>,
        terms: &SessionTerms,
    ) -> Vec<(&'static str, String)> {
        self.it.fields(id, account, terms)
    }
}
