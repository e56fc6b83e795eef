//! Rust source without its comments and the contents of its strings, line for line.

/// Replaces comments and the contents of string and character literals by spaces, so that what is
/// left can be searched for code. Lines keep their numbers; columns do not matter.
pub(super) fn code(source: &str) -> String {
    let mut reader = Reader { rest: source, code: String::with_capacity(source.len()) };
    while let Some(char) = reader.rest.chars().next() {
        let word = reader.code.chars().next_back().is_some_and(is_word);
        let raw = if word { None } else { raw_string(reader.rest) };
        if reader.rest.starts_with("//") {
            let end = reader.rest.find('\n').unwrap_or(reader.rest.len());
            reader.blank(end);
        } else if reader.rest.starts_with("/*") {
            reader.blank(block_comment(reader.rest));
        } else if let Some((start, end)) = raw {
            reader.keep(start);
            reader.blank(end);
        } else if char == '"' {
            reader.keep(1);
            reader.blank(quoted(reader.rest, '"'));
        } else if char == '\'' && is_character(reader.rest) {
            reader.keep(1);
            reader.blank(quoted(reader.rest, '\''));
        } else {
            reader.keep(char.len_utf8());
        }
    }
    reader.code
}

/// Whether a character can be part of an identifier.
pub(super) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

struct Reader<'s> {
    rest: &'s str,
    code: String,
}

impl Reader<'_> {
    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.code.push_str(kept);
        self.rest = rest;
    }

    fn blank(&mut self, length: usize) {
        let (blanked, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.code.extend(blanked.chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// Where the content of a raw string starts, and its length, if one starts here.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some((text.len() - content.len(), content.find(&end).unwrap_or(content.len()) + end.len()))
}

/// The length up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal, as opposed to a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}
