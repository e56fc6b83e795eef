//! Reading values out of JSON strings without an intermediate copy, and what such texts may not hold.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, IntoDeserializer, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

/// Reads a JSON string through a parser of texts.
pub(crate) fn parsed<'de, D, T, E>(d: D, parse: fn(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    struct Text<T, E>(fn(&str) -> Result<T, E>);

    impl<T, E: fmt::Display> Visitor<'_> for Text<T, E> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<X: de::Error>(self, text: &str) -> Result<T, X> {
            (self.0)(text).map_err(de::Error::custom)
        }
    }
    d.deserialize_str(Text(parse))
}

/// Whether a text holds a control character. All of ASCII is told without a look at each character.
pub(crate) fn has_control(text: &str) -> bool {
    let plain = |c: u8| u8::from(c >= b' ') & u8::from(c < 0x7F);
    text.bytes().fold(1, |all, c| all & plain(c)) == 0 && text.chars().any(char::is_control)
}

/// Reads an optional member that peers leave empty where they mean absent.
pub(crate) fn blank<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<T>, D::Error> {
    struct Blank<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Blank<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value, or nothing")
        }
        fn visit_none<X: de::Error>(self) -> Result<Option<T>, X> {
            Ok(None)
        }
        fn visit_unit<X: de::Error>(self) -> Result<Option<T>, X> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Option<T>, D::Error> {
            d.deserialize_any(self)
        }
        fn visit_str<X: de::Error>(self, text: &str) -> Result<Option<T>, X> {
            if text.is_empty() {
                return Ok(None);
            }
            let d: StrDeserializer<'_, X> = text.into_deserializer();
            T::deserialize(d).map(Some)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    d.deserialize_option(Blank(PhantomData))
}
