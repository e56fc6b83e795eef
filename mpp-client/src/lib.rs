//! Pays for HTTP resources under the Machine Payments Protocol, within limits you set.
