//! One account on the books: the stored form, and who may act on it.

use mpp_core::{
    Amount,
    account::{Account, Raise, State},
    store::{Key, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

/// The newest form, and the one that is written.
const FORM: u8 = 1;

/// The stored form. Secret at rest: a voucher's signature is money to its payee.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry<K> {
    /// The version of this form; a reader refuses one it does not know.
    v: u8,
    pub(super) account: Account<K>,
    /// The act on the rail that is in hand, or whose outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Pending>,
    /// What running meters have set aside; together the account's `held`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) holds: Vec<Hold>,
    /// Names of the requests that were charged last: one of them that is shown again is not charged again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) recent: Vec<String>,
    /// When it was last drawn on, in Unix milliseconds.
    pub(super) touched: i64,
    /// How it stood when it was last collected.
    #[serde(default, skip_serializing_if = "Collected::is_none")]
    pub(super) collected: Collected,
    /// What the payer's last order came to, to be told again to whoever did not hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) done: Option<Done>,
}

/// An order of the payer's that was carried out.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) name: String,
    /// Members of its receipt.
    pub(super) extra: Map<String, Value>,
}

/// An act on the rail.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) act: Act,
    /// As its method wrote it.
    pub(super) order: Box<RawValue>,
    /// Which gate has it in hand, and until when that is believed, in Unix milliseconds.
    pub(super) by: u64,
    pub(super) until: i64,
    /// The challenge of the credential that ordered it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) challenge: Option<String>,
    /// What it raises the credit to, once done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<String>,
}

/// What an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    Open,
    TopUp,
    Collect,
    Close,
}

/// What a meter has set aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) id: u64,
    /// Which gate runs the meter, and until when that is believed.
    pub(super) by: u64,
    pub(super) until: i64,
    pub(super) amount: Amount,
    pub(super) units: u64,
}

/// What was collected so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Collected {
    pub(super) units: u64,
    pub(super) spent: Amount,
    /// In Unix milliseconds; of an account that was never collected, when it was opened.
    pub(super) at: i64,
}

impl Collected {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Requests that are remembered by name.
const RECENT: usize = 8;

impl<K> Entry<K> {
    pub(super) fn of(account: Account<K>, now: i64) -> Self {
        Self {
            v: FORM,
            account,
            pending: None,
            holds: Vec::new(),
            recent: Vec::new(),
            touched: now,
            collected: Collected { at: now, ..Collected::default() },
            done: None,
        }
    }

    /// Remembers a request that was charged.
    pub(super) fn remember(&mut self, name: &str) {
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push(name.to_owned());
    }

    /// What an order of this name came to, where it was the payer's last.
    pub(super) fn told(&self, name: &str) -> Map<String, Value> {
        let done = self.done.as_ref().filter(|done| done.name == name);
        done.map(|done| done.extra.clone()).unwrap_or_default()
    }

    /// What nobody will end any more was set aside for what may have been served: it is spent.
    pub(super) fn absorb(&mut self, dead: impl Fn(&Hold) -> bool) -> bool {
        let before = self.holds.len();
        let (gone, kept): (Vec<Hold>, Vec<Hold>) = self.holds.drain(..).partition(dead);
        self.holds = kept;
        for hold in gone {
            self.account.book(hold.amount, hold.amount, hold.units);
        }
        before != self.holds.len()
    }
}

impl Pending {
    /// What its credential raised the credit to.
    pub(super) fn raise(&self) -> Option<Raise> {
        Some(Raise::proven(self.to?, Amount::ZERO, self.proof.clone()?))
    }
}

impl<K: DeserializeOwned> Entry<K> {
    pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<Self, StoreError> {
        match serde_json::from_slice::<Self>(bytes) {
            Ok(entry) if entry.v == FORM => Ok(entry),
            read => match serde_json::from_slice::<Form>(bytes) {
                Ok(Form { v }) if v > FORM.into() => Err(StoreError::Newer {
                    what: key.as_str().to_owned(),
                    found: v,
                    known: FORM.into(),
                }),
                _ => Err(match read {
                    Err(e) => StoreError::unreadable(key, e),
                    Ok(_) => StoreError::corrupt(key.as_str(), "no such form"),
                }),
            },
        }
    }
}

/// What every form has.
#[derive(Deserialize)]
struct Form {
    v: u64,
}

impl<K> Entry<K> {
    /// Whether it is over, and may be forgotten in time.
    pub(super) fn is_over(&self) -> bool {
        self.account.state == State::Closed && self.pending.is_none() && self.holds.is_empty()
    }
}

impl<K> std::fmt::Debug for Entry<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("state", &self.account.state)
            .field("pending", &self.pending.as_ref().map(|p| p.act))
            .finish_non_exhaustive()
    }
}
