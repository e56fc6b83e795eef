//! Reads server-sent events from bytes that come in any pieces.

use std::{collections::VecDeque, mem};

/// The longest line, and the longest event, that is read: 1 MiB.
pub const LONGEST: usize = 1024 * 1024;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name; `message` where it has none.
    pub event: String,
    /// Its data, lines joined by a newline.
    pub data: String,
}

/// A line or an event is longer than [`LONGEST`]. What comes after is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {LONGEST} bytes")]
pub struct TooLong;

/// Takes bytes and gives events, wherever the bytes were split. What is not UTF-8 is replaced, and an event that the stream
/// ends in is dropped, as the standard has it.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    event: String,
    data: Option<String>,
    items: VecDeque<Item>,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first line is over: a byte order mark before it was dropped.
    begun: bool,
}

impl Reader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A line or an event is too long: nothing more can be read.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        if mem::take(&mut self.after_cr) {
            match bytes.split_first() {
                Some((b'\n', rest)) => bytes = rest,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            self.extend(line)?;
            self.end_line()?;
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.extend(bytes)
    }

    /// The next event, where one is whole.
    pub fn next_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if bytes.len() > LONGEST.saturating_sub(self.line.len()) {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), TooLong> {
        let line = mem::take(&mut self.line);
        let whole = line.as_slice();
        let first = !mem::replace(&mut self.begun, true);
        let text = whole.strip_prefix(BOM).filter(|_| first).unwrap_or(whole);
        if text.is_empty() {
            self.dispatch();
        } else {
            let text = String::from_utf8_lossy(text);
            let (field, value) = text.split_once(':').unwrap_or((&text, ""));
            self.field(field, value.strip_prefix(' ').unwrap_or(value))?;
        }
        // The next line is written where this one was.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn field(&mut self, field: &str, value: &str) -> Result<(), TooLong> {
        let held = self.event.len() + self.data.as_ref().map_or(0, String::len);
        if value.len() >= LONGEST.saturating_sub(held) {
            return Err(TooLong);
        }
        match (field, &mut self.data) {
            ("event", _) => value.clone_into(&mut self.event),
            ("data", None) => self.data = Some(value.to_owned()),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let event = mem::take(&mut self.event);
        let Some(data) = self.data.take() else { return };
        let event = if event.is_empty() { "message".to_owned() } else { event };
        self.items.push_back(Item { event, data });
    }
}

#[cfg(test)]
mod tests;
