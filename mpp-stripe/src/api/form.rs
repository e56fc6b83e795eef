//! Parameters as Stripe takes them: names with brackets, in order, form-encoded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Parameters in order. Some are secret: its `Debug` shows names alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// Sets `name[key]`: of two of one name the later one counts, in the place of the first.
    pub(crate) fn entry(mut self, name: &str, key: &str, value: impl Into<String>) -> Self {
        let (name, value) = (format!("{name}[{key}]"), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
        self
    }

    pub(crate) fn encoded(&self) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(&self.0).finish()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_text_are_encoded_and_the_later_entry_counts() {
        let form =
            Form::new().with("receipt_email", "a@b.c").entry("metadata", "mpp_sdk", "mppx/0.11.0");
        let form = form.entry("metadata", "x", "1").entry("metadata", "x", "<b>&ä");
        assert_eq!(
            form.encoded(),
            "receipt_email=a%40b.c&metadata%5Bmpp_sdk%5D=mppx%2F0.11.0&metadata%5Bx%5D=%3Cb%3E%26%C3%A4"
        );
        assert!(!format!("{form:?}").contains("mppx"));
    }
}
