//! Subscriptions: agreements on the books, which serve whoever the application knows for as long as a period is paid.
//!
//! A subscriber has one entry for a product: an activation that has begun, the agreement it led to, and the one order that may
//! be open for a later period. Every step is one compare-and-swap of that entry. The first payment goes by the ledger as any
//! other; what the rail is told later is written down before it leaves.

mod activate;
mod books;
mod cancel;
mod entry;
mod handle;
mod hear;
mod member;
mod outcome;
mod refusal;
mod renew;
mod renewer;
mod standing;
mod sweep;
mod write_off;

pub(crate) use self::{
    books::Agreements,
    member::Member,
    refusal::no_subscriber,
    renewer::{ByRenewer, ErasedRenewer},
    standing::Standing,
};
pub use self::{
    handle::{SubscriptionState, Subscriptions},
    hear::Heard,
    member::Members,
    write_off::OpenCharge,
};
