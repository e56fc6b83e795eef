//! What the account holds, in memory, in the order in which it was made.

use std::{
    collections::{HashMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Call, Fault, ask::Ask, card::Card, idempotency::Keyring, refused::Refused};

/// The version of requests that name none: one that is generally available.
const DEFAULT_VERSION: &str = "2026-07-29.dahlia";

/// An object, and what only the simulator knows of it.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) kind: &'static str,
    /// The connected account it was made for.
    pub(super) owner: Option<String>,
    pub(super) value: Value,
    pub(super) hidden: Hidden,
}

/// What no answer shows.
#[derive(Clone, Default)]
pub(super) struct Hidden {
    /// How the card behind it ends.
    pub(super) card: Option<Card>,
    /// The network that a token is scoped to.
    pub(super) network: Option<String>,
    /// The token that a PaymentIntent was confirmed with.
    pub(super) token: Option<String>,
}

/// Everything, under one lock.
pub(super) struct Books {
    pub(super) secret_key: String,
    pub(super) network_id: String,
    pub(super) default_version: String,
    pub(super) knows_seller_details: bool,
    pub(super) search_lag: i64,
    pub(super) calls: Vec<Call>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) keyring: Keyring,
    /// The request that is being answered, and its idempotency key.
    pub(super) asked: Option<(String, Option<String>)>,
    /// Events that no webhook has taken, by id.
    pub(super) undelivered: VecDeque<String>,
    records: Vec<Record>,
    /// A token that was issued is granted under the same id.
    places: HashMap<String, Vec<usize>>,
    made: u64,
    seed: u128,
    /// Seconds that the clock was moved on.
    moved: i64,
    /// While what was due happens: the moment at which it was due.
    moment: Option<i64>,
}

impl Books {
    pub(super) fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self {
            secret_key: String::new(),
            network_id: String::new(),
            default_version: DEFAULT_VERSION.to_owned(),
            knows_seller_details: true,
            search_lag: 0,
            calls: Vec::new(),
            faults: VecDeque::new(),
            keyring: Keyring::default(),
            asked: None,
            undelivered: VecDeque::new(),
            records: Vec::new(),
            places: HashMap::new(),
            made: 0,
            seed,
            moved: 0,
            moment: None,
        }
    }

    /// A new id: the prefix and 24 letters and digits.
    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        self.made += 1;
        let hash = Sha256::digest(format!("{}/{}/{prefix}", self.seed, self.made));
        let letters = hash
            .iter()
            .take(24)
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        prefix.chars().chain(letters).collect()
    }

    pub(super) fn now(&self) -> i64 {
        if let Some(moment) = self.moment {
            return moment;
        }
        let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(real).unwrap_or(i64::MAX).saturating_add(self.moved)
    }

    pub(super) const fn stand_at(&mut self, moment: Option<i64>) {
        self.moment = moment;
    }

    pub(super) const fn move_on(&mut self, seconds: i64) {
        self.moved = self.moved.saturating_add(seconds);
    }

    /// Keeps an object under its own `id`.
    pub(super) fn keep(
        &mut self,
        kind: &'static str,
        owner: Option<String>,
        value: Value,
        hidden: Hidden,
    ) {
        let id = id_of(&value).to_owned();
        self.places.entry(id).or_default().push(self.records.len());
        self.records.push(Record { kind, owner, value, hidden });
    }

    /// Every object of a kind, oldest first.
    pub(super) fn of(&self, kind: &'static str) -> impl DoubleEndedIterator<Item = &Value> {
        self.records.iter().filter(move |record| record.kind == kind).map(|record| &record.value)
    }

    /// Copies of them.
    pub(super) fn objects(&self, kind: &str) -> Vec<Value> {
        let found = self.records.iter().filter(|record| record.kind == kind);
        found.map(|record| record.value.clone()).collect()
    }

    /// The connected account that something was made for.
    pub(super) fn owner_of(&self, id: &str) -> Option<String> {
        self.records.get(*self.places.get(id)?.first()?)?.owner.clone()
    }

    /// Whether an event has told that this subscription was made.
    pub(super) fn created(&self, id: &str) -> bool {
        self.of("event").any(|event| {
            event["type"] == "customer.subscription.created"
                && id_of(&event["data"]["object"]) == id
        })
    }

    /// The objects of a kind that this request may see, newest first.
    pub(super) fn seen<'b>(
        &'b self,
        kind: &'b str,
        ask: &'b Ask,
    ) -> impl Iterator<Item = &'b Record> {
        let records = self.records.iter().rev();
        records.filter(move |record| record.kind == kind && record.owner == ask.account)
    }

    /// Any object of a kind, whoever it was made for.
    pub(super) fn record(&self, kind: &str, id: &str) -> Option<&Record> {
        let mut records = self.places.get(id)?.iter().filter_map(|place| self.records.get(*place));
        records.find(|record| record.kind == kind)
    }

    pub(super) fn record_mut(&mut self, kind: &str, id: &str) -> Option<&mut Record> {
        let is =
            |place: &&usize| self.records.get(**place).is_some_and(|record| record.kind == kind);
        let place = *self.places.get(id)?.iter().find(is)?;
        self.records.get_mut(place)
    }

    /// Whatever has this id: for `expand`.
    pub(super) fn any(&self, id: &str, ask: &Ask) -> Option<&Value> {
        let record = self.records.get(*self.places.get(id)?.first()?)?;
        (record.owner == ask.account).then_some(&record.value)
    }

    /// An object that a path names.
    pub(super) fn find(&self, kind: &str, id: &str, ask: &Ask) -> Result<&Record, Refused> {
        let found = self.record(kind, id).filter(|record| record.owner == ask.account);
        found.ok_or_else(|| Refused::not_found(kind, id))
    }

    /// Changes an object that is there, and returns it as it is then.
    pub(super) fn change(&mut self, kind: &str, id: &str, with: impl FnOnce(&mut Value)) -> Value {
        let Some(record) = self.record_mut(kind, id) else { return Value::Null };
        with(&mut record.value);
        record.value.clone()
    }
}

/// The `id` of an object.
pub(super) fn id_of(value: &Value) -> &str {
    value.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// An object with these members, and with these others that are null.
pub(super) fn with_nulls(nulls: &[&str], mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.extend(nulls.iter().map(|name| ((*name).to_owned(), Value::Null)));
    }
    object
}
