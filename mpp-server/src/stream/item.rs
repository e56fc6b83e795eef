//! One item of a metered stream, and what it costs.

use std::{borrow::Cow, fmt};

use super::BoxError;

/// What streams of deployed completion servers end with. It is no content, so it is passed on and costs nothing.
const DONE: &str = "[DONE]";

/// An item of a metered stream: a text, and how many units it costs. A string is an item of one unit; an error ends the stream.
///
/// ```
/// use mpp_server::stream::Item;
///
/// let word = Item::from("hello");
/// let sentence = Item::from("four words are these").units(4);
/// let notice = Item::from("the model is loading").units(0);
/// ```
pub struct Item {
    text: Result<String, BoxError>,
    units: Option<u64>,
}

impl Item {
    /// Costs so many units; 0 is free.
    pub fn units(self, units: u64) -> Self {
        Self { units: Some(units), ..self }
    }

    /// What it costs: what it says, nothing for an upstream's end mark, else `usual`.
    pub(super) fn cost(&self, usual: u64) -> u64 {
        let is_end = || self.text.as_ref().is_ok_and(|text| text.trim() == DONE);
        match self.units {
            Some(units) => units,
            None if is_end() => 0,
            None => usual,
        }
    }

    pub(super) fn into_text(self) -> Result<String, BoxError> {
        self.text
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Self { text: Ok(text), units: None }
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Cow<'_, str>> for Item {
    fn from(text: Cow<'_, str>) -> Self {
        text.into_owned().into()
    }
}

impl<T: Into<Self>, E: Into<BoxError>> From<Result<T, E>> for Item {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(item) => item.into(),
            Err(e) => Self { text: Err(e.into()), units: Some(0) },
        }
    }
}

/// It was paid for: not shown.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("units", &self.units).finish_non_exhaustive()
    }
}
