//! What is stored and cannot be read: where, and without a word of it.

use serde_json::error::Category;

/// Stored JSON that cannot be read. An error of its parser may quote what it stumbles over, and evidence is money: this says
/// where, and quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is stored cannot be read: {what} at line {line}, column {column}")]
pub struct Unreadable {
    what: &'static str,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unreadable {
    fn from(e: serde_json::Error) -> Self {
        let what = match e.classify() {
            Category::Io => "it broke off",
            Category::Syntax => "it is no JSON",
            Category::Data => "it has another shape",
            Category::Eof => "it ends too early",
        };
        Self { what, line: e.line(), column: e.column() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_quotes_nothing() {
        let unread = |text: &str| Unreadable::from(serde_json::from_str::<u8>(text).unwrap_err());
        for (text, said) in [
            (r#""spt_hunter2""#, "it has another shape at line 1, column 13"),
            ("spt_hunter2", "it is no JSON at line 1, column 1"),
            ("", "it ends too early at line 1, column 0"),
        ] {
            let shown = format!("{} {:?}", unread(text), unread(text));
            assert!(shown.contains(said), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
