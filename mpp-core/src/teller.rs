//! The server seam of methods whose challenges are answered again and again.

use std::{borrow::Cow, fmt, future::Future};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Amount,
    account::{Account, Raise},
    binding::Claim,
    credential::Source,
    fate::Fate,
    intent::{Intent, Metered, PriceError},
    method::{AskOf, DetailsOf, Method, TermsOf},
    problem::Rejection,
    time::Timestamp,
    verifier::{Asking, Minted, Spend},
};

/// The server half of a metered method: the engine keeps the accounts, the method says what a credential does.
///
/// The engine reads an account, has a credential [checked](Teller::check) against what cannot change in it, and applies the
/// [`Act`] under one compare-and-swap: whatever depends on the balance is decided there, by [`Account`], and nowhere else. An
/// act on the rail is written down as an order before it is [settled](Teller::settle), and one order at a time.
pub trait Teller: Send + Sync + 'static {
    /// The method it sells by.
    type Method: Method<Intent: Intent<Reuse = Metered>>;
    /// An order to the rail, whole: settling needs it and the account, and nothing else. Secret at rest.
    type Order: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What the method keeps beside an account: a descriptor, a deposit, what its rail said last.
    type Kept: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// Where the money goes on its rail, as [`Verifier::settles_at`](crate::verifier::Verifier::settles_at). Accounts of one
    /// place are one teller's.
    fn settles_at(&self) -> Cow<'_, str>;

    /// An ask in this method's own units. Pure. A price of less than one base unit is an error, never nothing.
    ///
    /// # Errors
    /// As for [`Verifier::terms`](crate::verifier::Verifier::terms).
    fn terms(&self, ask: &AskOf<Self::Method>) -> Result<TermsOf<Self::Method>, PriceError>;

    /// The rest of a demand. `known` is the account that the asker says it has ([`Asking::hint`]), where it is on the books:
    /// the asker has proven nothing, so what is told of it must be no secret.
    fn details(
        &self,
        terms: &TermsOf<Self::Method>,
        asking: Asking<'_>,
        known: Option<&Account<Self::Kept>>,
    ) -> impl Future<Output = Result<Minted<DetailsOf<Self::Method>>, Rejection>> + Send;

    /// Which account a credential names, in one spelling: a key of the store, in logs and in receipts. Never what authorises by
    /// itself: hash a secret first. Pure.
    ///
    /// # Errors
    /// It names none that could be.
    fn account(&self, claim: &Claim<Self::Method>) -> Result<String, Rejection>;

    /// What a credential does: signatures, descriptors, the shape of a transaction. Outside any lock; reads, never writes; the
    /// rail is asked for nothing that `known` tells. What depends on the balance is not its business.
    ///
    /// A claim may be [late](Claim::late), however long: its signature stands. The engine takes a late [`Act::Draw`] and
    /// [`Act::Close`] alone.
    ///
    /// # Errors
    /// What the payer needs to know. An account that is neither on the books nor on the rail is
    /// [`CHANNEL_NOT_FOUND`](crate::problem::ProblemType::CHANNEL_NOT_FOUND).
    fn check(
        &self,
        claim: &Claim<Self::Method>,
        known: Option<&Account<Self::Kept>>,
    ) -> impl Future<Output = Result<Act<Self::Order, Self::Kept>, Rejection>> + Send;

    /// The name of an account as somebody writes it who says that it has one, in the spelling of [`Teller::account`]; `None` where
    /// no account can have it. Pure.
    fn named(&self, hint: &str) -> Option<String>;

    /// The most that the credit may be by what is kept: a deposit. `None`: there is no such bound. Pure.
    fn ceiling(&self, kept: &Self::Kept) -> Option<Amount>;

    /// How much of what was spent its rail has paid out for good, and so cannot be given back: nothing where a deposit is the
    /// seller's from the start and refunded at the close. Pure.
    fn paid_out(&self, kept: &Self::Kept) -> Amount;

    /// What the rail last said of the account. Pure.
    fn standing(&self, kept: &Self::Kept) -> Standing;

    /// Whose account it is, as the rail proves it. Pure.
    fn payer(&self, kept: &Self::Kept) -> Option<Source>;

    /// The name of an order, the same whoever sends it again: a transaction's identity, a deposit invoice's hash. Pure.
    fn name<'o>(&self, order: &'o Self::Order) -> Cow<'o, str>;

    /// What an order uses up, where its money moved before it was shown or its rail would take it for another account too: an
    /// invoice's payment hash, a card's authorisation. It is then good for one order of one account, here and on every other.
    /// No default: decide. `None`: the rail takes an order once, for the account it names.
    fn spends<'o>(&self, order: &'o Self::Order) -> Option<Spend<'o>>;

    /// Whether the money of an order had moved before it was shown: it is then booked however late it comes, by at most
    /// [`LATE`](crate::binding::LATE), and at whatever terms. Pure. No default: decide.
    fn has_moved(&self, order: &Self::Order) -> bool;

    /// Carries an order out. Two runs of one order must move money once. A close captures what the account has spent, no
    /// less and no more, and runs on an account that does not change any more.
    ///
    /// [`Fate::Failed`] is said only of an order that did not move money and never will: an account whose close failed can be
    /// drawn on again. Where an end cannot be taken back, what is not known yet is [`Fate::Unknown`].
    fn settle(
        &self,
        order: &Self::Order,
        account: &Account<Self::Kept>,
    ) -> impl Future<Output = Fate> + Send;

    /// Asks the rail what became of an order. Sends nothing.
    fn reconcile(
        &self,
        order: &Self::Order,
        account: &Account<Self::Kept>,
    ) -> impl Future<Output = Fate> + Send;

    /// The order that takes to the rail what was [earned](Account::collectable), the account staying open; `None` where there
    /// is nothing to take. Pure.
    fn collect(&self, account: &Account<Self::Kept>) -> Option<Self::Order>;

    /// The order that closes the account without its payer's word, by what it proved before. `None` where the rail knows no
    /// such thing. Pure.
    fn close(&self, account: &Account<Self::Kept>) -> Option<Self::Order>;

    /// Carries several collections out, in one go where the rail can. A fate for each, in order.
    fn settle_together(
        &self,
        orders: &[(Self::Order, Account<Self::Kept>)],
    ) -> impl Future<Output = Vec<Fate>> + Send {
        async move {
            let mut fates = Vec::with_capacity(orders.len());
            for (order, account) in orders {
                fates.push(self.settle(order, account).await);
            }
            fates
        }
    }

    /// Asks the rail how accounts stand, in one go where it can: what it says of each, in order, for [`Teller::merge`]. `None`
    /// where it does not say.
    fn look(&self, kept: &[Self::Kept]) -> impl Future<Output = Vec<Option<Self::Kept>>> + Send;

    /// Merges what the rail was seen to say, which may be older than what is kept: a deposit and what was paid out never
    /// shrink, what has ended does not begin again. Pure.
    fn merge(&self, kept: &mut Self::Kept, seen: Self::Kept);

    /// The members that a receipt has of an account: its total, what was spent of it. Pure.
    fn receipt(&self, id: &str, account: &Account<Self::Kept>) -> Map<String, Value>;

    /// What a stream tells a payer whose balance is used up: that `required` is needed in all. Pure.
    fn need(&self, id: &str, account: &Account<Self::Kept>, required: Amount) -> Need;

    /// What is told to the proven payer of an account beside receipts, as fields of the transport: a snapshot, by which a client
    /// that forgot goes on. Nothing where the account cannot be gone on with. Pure.
    fn fields(
        &self,
        id: &str,
        account: &Account<Self::Kept>,
        terms: &TermsOf<Self::Method>,
    ) -> Vec<(&'static str, String)>;
}

/// What its rail says of an account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// It is there, and nobody has asked to end it.
    Open,
    /// Its payer is about to end it: nothing is served any more, and what was earned is taken before `by`.
    Ending {
        /// From when on the payer can take everything back.
        by: Timestamp,
    },
    /// It is gone.
    Ended,
}

/// What a stream tells a payer whose balance is used up.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// The name of the event: `payment-need-voucher`.
    pub event: &'static str,
    /// Its data.
    pub data: Value,
}

/// What a session credential does. Only acts on the rail carry an order `O`, so a voucher cannot be settled; and nothing
/// serves but a draw on an account that is open.
#[derive(Clone)]
#[non_exhaustive]
pub enum Act<O, K> {
    /// Raises the credit and draws on it.
    Draw(Raise),
    /// Goes on with an account that is on the rail and not on the books: a store was lost. Everything before this raise
    /// counts as served, but for the unit it asks for.
    Adopt {
        /// What the rail says of it.
        kept: K,
        /// The raise, as in a draw.
        raise: Raise,
    },
    /// Opens the account on the rail.
    Open {
        /// What the rail is to do.
        order: O,
        /// The method's own, to be kept beside the account from before the order leaves.
        kept: K,
        /// Raises the credit, once it is open.
        raise: Raise,
    },
    /// Adds to its deposit.
    TopUp {
        /// What the rail is to do.
        order: O,
    },
    /// Closes it, and captures what was spent.
    Close {
        /// What the rail is to do.
        order: O,
        /// The payer's last total, by which it is closed; at least what was spent.
        last: Raise,
    },
}

/// An order is money: not shown.
impl<O, K> fmt::Debug for Act<O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draw(_) => "Draw(..)",
            Self::Adopt { .. } => "Adopt(..)",
            Self::Open { .. } => "Open(..)",
            Self::TopUp { .. } => "TopUp(..)",
            Self::Close { .. } => "Close(..)",
        })
    }
}
