//! What is promised of the two halves of Stripe, held against a simulator of it.
