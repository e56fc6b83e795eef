//! What a server ties to a challenge and the client returns untouched: a nonce and the route.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
};
use sha2::Digest as _;

use crate::{
    encoded::{self, EncodedError},
    text::has_control,
};

const LONGEST: usize = 16 * 1024;
const LONGEST_SCOPE: usize = 256;

/// The `opaque` parameter: by the draft, base64url of a flat JSON object of strings; by its name, any text.
///
/// A client echoes the text and looks inside never. A server of ours binds two members in it: a random nonce,
/// without which two clients asking in the same second would get one id between them, and the scope, without which
/// a cheap credential buys a dear route (S2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Opaque(Arc<str>);

impl Opaque {
    /// Binds a nonce and the scope of a route. A scope of more than 256 bytes is bound by its SHA-256: an address that a
    /// client makes long must not make a challenge that no header carries.
    pub fn bind(nonce: &[u8; 16], scope: &str) -> Self {
        let mut json = String::with_capacity(scope.len() + 64);
        json.push_str("{\"_mpp_nonce\":\"");
        base64::Engine::encode_string(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            nonce,
            &mut json,
        );
        let mut json = json.into_bytes();
        json.extend_from_slice(b"\",\"_mppx_scope\":");
        // JCS and serde_json escape strings alike; the order of the two members is JCS's. Memory takes every write.
        let _ = serde_json::to_writer(&mut json, &bound(scope));
        json.push(b'}');
        Self(encoded::encode(&json).into())
    }

    /// Encodes a flat object of strings.
    pub fn of(members: &BTreeMap<String, String>) -> Result<Self, EncodedError> {
        Ok(Self(encoded::encode(&crate::jcs::to_vec(members)?).into()))
    }

    /// Takes any text of a quoted-string: what is not ours is echoed, not understood.
    pub fn parse(text: &str) -> Result<Self, EncodedError> {
        if text.len() > LONGEST {
            return Err(EncodedError::TooLong { limit: LONGEST });
        }
        if has_control(text) { Err(EncodedError::Base64) } else { Ok(Self(text.into())) }
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The members inside, if there is a flat object of strings inside.
    pub fn members(&self) -> Option<BTreeMap<String, String>> {
        serde_json::from_slice(&encoded::decode(&self.0).ok()?).ok()
    }

    /// The scope that was bound, if one was, or the hash it is bound by.
    pub fn scope(&self) -> Option<String> {
        serde_json::from_slice::<Bound>(&encoded::decode(&self.0).ok()?).ok()?.scope
    }

    /// Whether this scope was bound.
    pub fn binds(&self, scope: &str) -> bool {
        self.scope().is_some_and(|text| text == bound(scope))
    }
}

/// How a scope stands in `opaque`.
fn bound(scope: &str) -> Cow<'_, str> {
    if scope.len() <= LONGEST_SCOPE && !scope.starts_with("sha-256=") {
        return Cow::Borrowed(scope);
    }
    Cow::Owned(format!("sha-256={}", encoded::encode(&sha2::Sha256::digest(scope))))
}

#[derive(Deserialize)]
struct Bound {
    #[serde(rename = "_mppx_scope")]
    scope: Option<String>,
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

/// Reads a text, or the flat object that older peers echo in its place (re-encoded as they encode it).
impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct TextOrMembers;

        impl<'de> Visitor<'de> for TextOrMembers {
            type Value = Opaque;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object of strings")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Opaque, E> {
                Opaque::parse(text).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Opaque, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("duplicate member"));
                    }
                }
                Opaque::of(&members).map_err(de::Error::custom)
            }
        }
        d.deserialize_any(TextOrMembers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_scope_is_read_back_and_the_members_stand_in_canonical_order() {
        let o = Opaque::bind(&[0; 16], "GET /a\"b\u{1}é");
        assert_eq!(o.scope().as_deref(), Some("GET /a\"b\u{1}é"));
        let members = o.members().unwrap();
        assert_eq!(Opaque::of(&members).unwrap(), o);
        assert_eq!(
            members.keys().map(String::as_str).collect::<Vec<_>>(),
            ["_mpp_nonce", "_mppx_scope"]
        );
    }

    #[test]
    fn a_long_scope_is_bound_by_its_hash_and_by_no_other() {
        let long = |end: &str| format!("GET /a?{}{end}", "x".repeat(20_000));
        let o = Opaque::bind(&[0; 16], &long("1"));
        assert!(o.as_str().len() < 300 && o.binds(&long("1")) && !o.binds(&long("2")));
        assert!(!o.binds(&o.scope().unwrap()));
    }

    #[test]
    fn deployed_scopes_are_understood() {
        assert_eq!(
            Opaque::parse("eyJfbXBweF9zY29wZSI6IkdFVCAveCJ9").unwrap().scope().as_deref(),
            Some("GET /x")
        );
    }

    #[test]
    fn what_is_not_ours_is_kept_and_has_no_scope() {
        for text in ["trace-123", "eXkgd3Jvbmc", "e30"] {
            let o = Opaque::parse(text).unwrap();
            assert_eq!((o.as_str(), o.scope()), (text, None));
        }
    }

    #[test]
    fn a_legacy_object_is_re_encoded_and_anything_else_refused() {
        let o: Opaque =
            serde_json::from_str(r#"{"pi":"pi_3abc123XYZ","deposit":"dep_456"}"#).unwrap();
        assert_eq!(o.as_str(), "eyJkZXBvc2l0IjoiZGVwXzQ1NiIsInBpIjoicGlfM2FiYzEyM1hZWiJ9");
        for bad in [r#"{"n":1}"#, r#"["a"]"#, "3"] {
            assert!(serde_json::from_str::<Opaque>(bad).is_err(), "{bad}");
        }
    }
}
