//! Charges for HTTP resources under the Machine Payments Protocol: gate, offers, ledger.
