//! Members of Stripe's objects, as they are needed: nothing is there until it was looked for.

use serde_json::Value;

use crate::subscription::id::is_id;

/// Reads members of an object.
pub(crate) trait Read {
    fn text(&self, name: &str) -> Option<&str>;
    fn number(&self, name: &str) -> Option<i64>;
    fn flag(&self, name: &str) -> Option<bool>;
    /// The id of an object of a kind, whether the object stands there whole or by its id.
    fn id_of(&self, name: &str, kind: &str) -> Option<&str>;
    /// Whether a member is absent, or says that there is nothing: null, zero, false, an empty list, amounts of nothing.
    fn nothing(&self, name: &str) -> bool;
    /// The one object of a list, where the list has one.
    fn only(&self, name: &str) -> Option<&Value>;
    /// A text among an object's metadata.
    fn noted(&self, key: &str) -> Option<&str>;
}

impl Read for Value {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    fn id_of(&self, name: &str, kind: &str) -> Option<&str> {
        let member = self.get(name)?;
        member.as_str().or_else(|| member.text("id")).filter(|id| is_id(kind, id))
    }

    fn nothing(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Self::Null) => true,
            Some(Self::Bool(there)) => !there,
            Some(Self::Number(number)) => number.as_i64() == Some(0),
            Some(Self::Array(all)) => all.iter().all(|one| one.number("amount") == Some(0)),
            Some(_) => false,
        }
    }

    fn only(&self, name: &str) -> Option<&Value> {
        let list = self.get(name)?;
        let data = list.get("data")?.as_array()?;
        let whole = list.flag("has_more") != Some(true) && data.len() == 1;
        data.first().filter(|_| whole)
    }

    fn noted(&self, key: &str) -> Option<&str> {
        self.get("metadata")?.text(key)
    }
}
