//! Pays for HTTP resources under the Machine Payments Protocol, within limits you set.
//!
//! A [`Wallet`] holds payers of any methods under one [`Policy`]; [`Limits`] is the policy that comes with the crate. With
//! the feature `reqwest` (default) the module `reqwest` pays underneath an unchanged client, and its page is the place to
//! start. A [`Journal`] in a store makes payments survive crashes and lost answers, and [`Limits::kept_in`] budgets. Over
//! any other transport, an [`Exchange`] hears answers and says what to send:
//!
//! ```
//! use mpp_client::{Limits, Turn, Wallet};
//! use mpp_core::{payer::{Payer, Site}, transport::Answer};
//!
//! async fn fetch(payer: impl Payer, answer: Answer) -> Result<(), Box<dyn std::error::Error>> {
//!     let wallet = Wallet::new(Limits::usd("0.50")?).payer(payer);
//!     let to = Site { origin: "https://api.example.com".into(), resource: "GET /joke".into() };
//!     match wallet.exchange(to).hear(answer).await? {
//!         Turn::Send(credential) => println!("send it again with {credential:?}, and hear the answer"),
//!         Turn::Manage(credential) => println!("send {credential:?} alone, and hear the answer"),
//!         _ => println!("the answer is the caller's"),
//!     }
//!     Ok(())
//! }
//! ```

pub mod choice;
pub mod clock;
pub mod error;
pub mod event;
pub mod exchange;
pub mod frame;
pub mod journal;
pub mod limits;
pub mod policy;
pub mod prepared;
pub mod sse;
pub mod unfinished;
pub mod verdict;
pub mod wallet;

#[cfg(feature = "reqwest")]
mod account;
#[cfg(test)]
mod double;
mod erased;
mod form;
mod random;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(test)]
mod tab;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{PaymentMiddleware, RequestBuilderExt, ResponseExt, SessionExt, paying};
pub use self::{
    error::Error,
    event::Event,
    exchange::{Exchange, Turn},
    journal::Journal,
    limits::Limits,
    policy::Policy,
    wallet::Wallet,
};
