//! The server seam of methods whose challenges are answered again and again.

use std::{borrow::Cow, future::Future};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    account::{Account, Credit},
    binding::Claim,
    fate::Fate,
    intent::{Intent, Metered, PriceError},
    method::{AskOf, DetailsOf, Method, TermsOf},
    problem::Rejection,
    verifier::{Asking, Minted, Spend},
};

/// The server half of a metered method: the engine keeps the account, the method says what a credential does.
pub trait Teller: Send + Sync + 'static {
    /// The method it sells by.
    type Method: Method<Intent: Intent<Reuse = Metered>>;
    /// The order to the rail, whole; only acts on the rail have one.
    type Evidence: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Where the money goes on its rail, as [`Verifier::settles_at`](crate::verifier::Verifier::settles_at).
    fn settles_at(&self) -> Cow<'_, str>;

    /// An ask in this method's own units. Pure.
    ///
    /// # Errors
    /// As for [`Verifier::terms`](crate::verifier::Verifier::terms).
    fn terms(&self, ask: &AskOf<Self::Method>) -> Result<TermsOf<Self::Method>, PriceError>;

    /// The costly rest of a demand.
    fn details(
        &self,
        terms: &TermsOf<Self::Method>,
        asking: Asking<'_>,
    ) -> impl Future<Output = Result<Minted<DetailsOf<Self::Method>>, Rejection>> + Send;

    /// Which account the credential names. Pure.
    fn account(&self, claim: &Claim<Self::Method>) -> Result<String, Rejection>;

    /// Signatures and states, outside any lock; writes nothing.
    fn check(
        &self,
        claim: &Claim<Self::Method>,
        known: Option<&Account>,
    ) -> impl Future<Output = Result<Act<Self::Evidence>, Rejection>> + Send;

    /// What an order uses up, so that one deposit opens one account.
    fn spends<'e>(&self, order: &'e Self::Evidence) -> Option<Spend<'e>>;

    /// Carries an order out. Two runs of one order must move money once. A close needs what was spent, hence the account.
    fn settle(
        &self,
        order: &Self::Evidence,
        account: &Account,
    ) -> impl Future<Output = Fate> + Send;

    /// Asks the rail what became of an order.
    fn reconcile(
        &self,
        order: &Self::Evidence,
        account: &Account,
    ) -> impl Future<Output = Fate> + Send;
}

/// What a session credential does. Only acts on the rail carry an order `E`, so a voucher cannot be settled; only
/// [`Act::Draw`] and [`Act::Open`] can serve.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Act<E> {
    /// Raises the credit and draws on it.
    Draw {
        /// To what, or by how much.
        credit: Credit,
        /// The method's own, to be kept beside the account.
        kept: Option<Value>,
    },
    /// Opens the account on the rail.
    Open {
        /// What the rail is to do.
        order: E,
        /// The method's own, to be kept beside the account: a descriptor, the first voucher.
        kept: Option<Value>,
    },
    /// Adds to its deposit.
    TopUp {
        /// What the rail is to do.
        order: E,
        /// The method's own, to be kept beside the account.
        kept: Option<Value>,
    },
    /// Closes it, and captures what was spent.
    Close {
        /// What the rail is to do.
        order: E,
    },
}
