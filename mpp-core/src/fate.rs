//! What became of money on its rail.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{account::Credit, agreement::Began, credential::Source, problem::Rejection};

/// How a rail answered. Only [`Fate::Failed`] frees the payer to pay again; a time-out is [`Fate::Unknown`], never a failure.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fate {
    /// The money moved.
    Settled(Settlement),
    /// The money did not move, and never will from this order.
    Failed(Rejection),
    /// It cannot be told yet. The cause is for our log.
    Unknown(Box<dyn std::error::Error + Send + Sync>),
    /// The rail never saw it: settling is safe.
    Absent,
}

impl Fate {
    /// It cannot be told yet, because of `cause`.
    pub fn unknown(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unknown(cause.into())
    }
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// Its name on the rail; the receipt's `reference`.
    pub reference: String,
    /// Who paid, as the rail proves it, in one spelling: an application holds it against who paid before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Source>,
    /// Further members of the receipt. Never a preimage, never a key.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// What it adds to the account of a session.
    #[serde(default, skip_serializing_if = "Credit::is_same")]
    pub credit: Credit,
    /// What its rail says of the account of a session afterwards, in the method's own form
    /// ([`Teller::Kept`](crate::teller::Teller::Kept)); merged into what is kept of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Value>,
    /// The subscription that began with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Box<Began>>,
}

impl Settlement {
    /// A settlement known by `reference`.
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            payer: None,
            extra: Map::new(),
            credit: Credit::Same,
            kept: None,
            began: None,
        }
    }

    /// Adds a member to the receipt.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// Says what the rail says of the account.
    pub fn keeping(self, kept: Value) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// Says who paid.
    pub fn by(mut self, payer: Source) -> Self {
        self.payer = Some(payer);
        self
    }
}
