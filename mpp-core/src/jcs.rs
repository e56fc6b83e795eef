//! Canonical JSON (RFC 8785), and a scan for duplicate members.

use std::{borrow::Cow, fmt};

use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};

/// Why a value has no canonical form, or a text is not JSON we take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The value cannot be written: not a number, a duplicate key, a type that JSON lacks.
    #[error("the value has no canonical JSON form")]
    Canonical(#[source] serde_json::Error),
    /// The text is not JSON, or not JSON of the wanted shape.
    #[error("not the JSON that was expected")]
    Shape(#[source] serde_json::Error),
    /// One object has one member twice, so two readers could disagree about it.
    #[error("a JSON object names one member twice")]
    Duplicate(#[source] serde_json::Error),
    /// It is nested deeper than anything honest is.
    #[error("the JSON is nested too deep")]
    Deep,
}

/// Writes a value as canonical JSON: members ordered by UTF-16, numbers as ECMAScript prints them.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    serde_json_canonicalizer::to_vec(&value).map_err(JsonError::Canonical)
}

/// Refuses JSON text in which any object, at any depth, names one member twice.
///
/// Serde refuses duplicates of members it knows and lets those of unknown ones pass; two readers of one
/// payment must not be able to see different amounts.
pub fn refuse_duplicates(json: &[u8]) -> Result<(), JsonError> {
    let mut de = serde_json::Deserializer::from_slice(json);
    Unique.deserialize(&mut de).and_then(|()| de.end()).map_err(JsonError::Duplicate)
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            seen.push(name);
            map.next_value_seed(Self)?;
        }
        // Sorted, since objects are small and a hash of each name costs more; many names are still not quadratic.
        seen.sort_unstable();
        if seen.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(serde::de::Error::custom("duplicate member"));
        }
        Ok(())
    }
}

/// The name of a member, borrowed where nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
