//! Subscriptions by Stripe Billing: begun, renewed, ended, and heard of.

mod begin;
mod cancel;
mod hostile;
mod lost;
mod payer;
mod refusals;
mod renew;
mod shop;
mod stage;
mod webhook;
