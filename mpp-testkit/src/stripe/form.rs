//! Forms with brackets in their names: `metadata[k]=v`, `items[0][price]=…`.
//!
//! `serde_qs` reads such forms into types; what is refused here is named by its parameter, so the pairs are kept as they came.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::refused::Refused;

/// How many members a `metadata` may have, and how long its names and values may be, in characters.
const METADATA: (usize, usize, usize) = (50, 40, 500);

/// The pairs of a form, or of a query.
#[derive(Clone, Default)]
pub(super) struct Form {
    pub(super) pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads any bytes: what is no UTF-8 is replaced, as a form's decoder does.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self { pairs: url::form_urlencoded::parse(bytes).into_owned().collect() }
    }

    /// A member by its whole name: `usage_limits[currency]`. Empty is as good as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refused> {
        self.text(name).ok_or_else(|| Refused::missing(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            Refused::invalid(format!("Invalid integer: {text}"))
                .code("parameter_invalid_integer")
                .at(name)
        })?;
        Ok(Some(number))
    }

    pub(super) fn required_integer(&self, name: &str) -> Result<i64, Refused> {
        self.integer(name)?.ok_or_else(|| Refused::missing(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Refused::invalid(format!("Invalid boolean: {text}")).at(name)),
        }
    }

    /// `name[]=a&name[0]=b`, in order.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let element = format!("{name}[]");
        let elements = self.pairs.iter().filter(|(key, _)| pattern(key) == element);
        elements.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether anything of this name is there: `items`, `usage_limits`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| top(key) == name)
    }

    /// `name[k]=v` as a map, within the limits of metadata. An empty value takes a member away.
    pub(super) fn metadata(&self, name: &str) -> Result<Map<String, Value>, Refused> {
        let (members, names, values) = METADATA;
        let mut read = Map::new();
        for (key, value) in &self.pairs {
            let Some(inner) = inner(key, name) else { continue };
            if inner.chars().count() > names {
                let said = format!("Metadata keys can have up to {names} characters");
                return Err(Refused::invalid(said).at(name));
            }
            let long = value.chars().count();
            if long > values {
                let said = format!(
                    "Metadata values can have up to {values} characters, but you passed in a value that is {long} characters"
                );
                return Err(Refused::invalid(said).at(key));
            }
            if value.is_empty() {
                read.remove(inner);
            } else {
                read.insert(inner.to_owned(), value.as_str().into());
            }
        }
        if read.len() > members {
            let said = format!("Metadata can have up to {members} keys");
            return Err(Refused::invalid(said).at(name));
        }
        Ok(read)
    }

    /// Refuses what is not in the list. `metadata[*]` stands for any member, `[]` for any index.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let unknown = self.pairs.iter().map(|(key, _)| key.as_str()).filter(|key| {
            let pattern = pattern(key);
            !known.iter().any(|known| match known.strip_suffix("[*]") {
                Some(map) => inner(key, map).is_some() || pattern == map,
                None => pattern == *known,
            })
        });
        // A member of something that is unknown as a whole is named by the whole.
        let named = BTreeSet::from_iter(unknown.map(|key| {
            let whole = top(key);
            if known.iter().any(|known| top(known) == whole) { key } else { whole }
        }));
        if named.is_empty() { Ok(()) } else { Err(Refused::unknown(&Vec::from_iter(named))) }
    }

    /// What two requests have in common that ask for the same: the order in which members came is no matter.
    pub(super) fn canonical(&self) -> Vec<(String, String)> {
        let mut pairs = self.pairs.clone();
        pairs.sort();
        pairs
    }
}

fn top(key: &str) -> &str {
    key.split_once('[').map_or(key, |(top, _)| top)
}

/// `k` of `name[k]`.
fn inner<'k>(key: &'k str, name: &str) -> Option<&'k str> {
    key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}

/// `items[0][price]` as `items[][price]`.
fn pattern(key: &str) -> String {
    let Some((top, rest)) = key.split_once('[') else { return key.to_owned() };
    let mut pattern = top.to_owned();
    for part in rest.split('[') {
        let part = part.strip_suffix(']').unwrap_or(part);
        let index = part.bytes().all(|byte| byte.is_ascii_digit());
        pattern.push_str(&format!("[{}]", if index { "" } else { part }));
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn nested_names_are_read_in_any_notation() {
        let form = Form::read(
            b"a=1&items[0][price]=p&m%5Bk%5D=v+w&types[]=card&types[1]=link&a=2&m[gone]=",
        );
        assert_eq!(form.text("a"), Some("2"));
        assert_eq!(form.list("types"), ["card", "link"]);
        assert_eq!(form.text("items[0][price]"), Some("p"));
        let metadata = form.metadata("m").unwrap();
        assert_eq!(metadata.get("k").and_then(|value| value.as_str()), Some("v w"));
        assert_eq!(metadata.len(), 1);
        assert!(form.only(&["a", "items[][price]", "m[*]", "types[]"]).is_ok());
        let refused = form.only(&["a", "items[][price]", "types[]"]).unwrap_err().body("req_1");
        assert_eq!(refused["error"]["message"], "Received unknown parameter: m");
    }

    #[test]
    fn metadata_over_a_limit_is_refused() {
        let many = |count: usize| {
            Vec::from_iter((0..count).map(|n| format!("metadata[k{n}]=v"))).join("&")
        };
        for (form, fits) in [
            (many(50), true),
            (many(51), false),
            (format!("metadata[{}]=v", "k".repeat(40)), true),
            (format!("metadata[{}]=v", "k".repeat(41)), false),
            (format!("metadata[k]={}", "é".repeat(500)), true),
            (format!("metadata[k]={}", "v".repeat(501)), false),
        ] {
            assert_eq!(Form::read(form.as_bytes()).metadata("metadata").is_ok(), fits, "{form}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for bytes in [&b"a[=1&]=2&[[]]=3"[..], b"%ff%fe=%", b"a[b=c&=", b"[]", b"metadata[=x"] {
            let form = Form::read(bytes);
            assert!(form.only(&[]).is_err());
            let _ = (form.metadata("metadata"), form.list("a"), form.metadata("a"));
        }
    }
}
