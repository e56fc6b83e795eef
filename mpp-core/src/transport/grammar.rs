//! The auth-param grammar of `WWW-Authenticate`: finds `Payment` challenges among others, and quotes values.
//!
//! One pass over the bytes: every delimiter is ASCII, so the same scanner reads ISO-8859-1 and UTF-8.

use std::borrow::Cow;

/// Longest field value that is looked at, in bytes.
const MAX_FIELD: usize = 64 * 1024;
/// Most parameters of one challenge.
const MAX_PARAMS: usize = 64;
/// Most `Payment` challenges of one field value.
const MAX_CHALLENGES: usize = 128;
/// Longest value of the `request` parameter, in bytes.
const MAX_REQUEST: usize = 16 * 1024;

const SCHEME: &str = "payment";

/// Reads all `Payment` challenges of one header field value, in order.
///
/// Bytes above 0x7F are ISO-8859-1, as RFC 9110 has it. Challenges of other schemes are skipped, malformed or not;
/// quotes keep their meaning in them, so nothing inside a quoted string is taken for a challenge.
///
/// # Errors
/// Refuses control characters other than tab, a malformed `Payment` challenge, a challenge of another scheme whose
/// open quote may swallow a `Payment` challenge, and fields beyond the limits (64 KiB, 128 challenges, 64 parameters
/// each, 16 KiB of `request`).
pub fn challenges(value: &[u8]) -> Result<Vec<AuthParams<'_>>, GrammarError> {
    Scanner::new(value, Charset::Latin1)?.challenges()
}

/// Reads all `Payment` challenges of a field value that was decoded to text before; see [`challenges`].
///
/// # Errors
/// As [`challenges`].
pub fn challenges_in_text(value: &str) -> Result<Vec<AuthParams<'_>>, GrammarError> {
    Scanner::new(value.as_bytes(), Charset::Utf8)?.challenges()
}

/// Appends a value as a quoted string of printable ASCII and tabs.
///
/// Quotes and backslashes are escaped, characters outside printable ASCII become `\uXXXX` (UTF-16 code units), as
/// deployed peers write and read them.
///
/// # Errors
/// [`GrammarError::Control`] for CR and LF, in any spelling: some reader would split the header there. Nothing is
/// appended then.
pub fn quote_into(out: &mut String, value: &str) -> Result<(), GrammarError> {
    out.reserve(value.len() + 2);
    if is_plain(value) {
        out.push('"');
        out.push_str(value);
        out.push('"');
        return Ok(());
    }
    if let Some(at) = value.bytes().position(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(GrammarError::Control { at });
    }
    out.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\t' | ' '..='~' => out.push(character),
            _ => {
                character.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| push_escape(out, unit))
            }
        }
    }
    out.push('"');
    Ok(())
}

/// The parameters of one `Payment` challenge: lower-case names, decoded values, in their written order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthParams<'a> {
    params: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> AuthParams<'a> {
    /// Returns the value of a parameter; the name is given in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Removes a parameter and returns its value; the name is given in lower case.
    pub fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.params.iter().position(|(own, _)| own == name)?;
        Some(self.params.remove(at).1)
    }

    /// Iterates over names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Counts the parameters.
    pub fn len(&self) -> usize {
        self.params.len()
    }

    /// Returns true without parameters, which no parsed challenge is.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    fn push(&mut self, at: usize, name: &'a str, value: Cow<'a, str>) -> Result<(), GrammarError> {
        if self.len() == MAX_PARAMS {
            return Err(GrammarError::TooManyParams);
        }
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        if self.get(&name).is_some() {
            return Err(GrammarError::Duplicate { at });
        }
        if name == "request" && value.len() > MAX_REQUEST {
            return Err(GrammarError::RequestTooLong);
        }
        self.params.push((name, value));
        Ok(())
    }
}

impl<'a> IntoIterator for AuthParams<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.params.into_iter()
    }
}

/// Why a field value could not be read or written; offsets are in bytes of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The field value exceeds 64 KiB.
    #[error("the field value is too long")]
    TooLong,
    /// One field value holds more than 128 `Payment` challenges.
    #[error("the field value holds too many challenges")]
    TooManyChallenges,
    /// A challenge has more than 64 parameters.
    #[error("a challenge has too many parameters")]
    TooManyParams,
    /// The `request` parameter exceeds 16 KiB.
    #[error("the request parameter is too long")]
    RequestTooLong,
    /// A control character, plain or escaped.
    #[error("a control character at byte {at}")]
    Control {
        /// Where it stands.
        at: usize,
    },
    /// A parameter of a challenge is not written `name=value`.
    #[error("a malformed parameter at byte {at}")]
    Malformed {
        /// Where it starts.
        at: usize,
    },
    /// A parameter repeats an earlier one of the same challenge, in any case.
    #[error("a repeated parameter at byte {at}")]
    Duplicate {
        /// Where the second one starts.
        at: usize,
    },
    /// A quoted string does not end.
    #[error("an unterminated quoted string at byte {at}")]
    Unterminated {
        /// Where it starts.
        at: usize,
    },
    /// A `\uXXXX` escape is half of a surrogate pair.
    #[error("half a surrogate pair at byte {at}")]
    LoneSurrogate {
        /// Where the escape starts.
        at: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Charset {
    Latin1,
    Utf8,
}

/// A cursor that only moves forward, so that hostile input costs no more than one pass.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    charset: Charset,
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], charset: Charset) -> Result<Self, GrammarError> {
        if bytes.len() > MAX_FIELD {
            return Err(GrammarError::TooLong);
        }
        match bytes.iter().position(|&byte| is_control(byte)) {
            Some(at) => Err(GrammarError::Control { at }),
            None => Ok(Self { bytes, at: 0, charset }),
        }
    }

    fn challenges(mut self) -> Result<Vec<AuthParams<'a>>, GrammarError> {
        let mut found = Vec::new();
        loop {
            self.skip(is_separator);
            if self.peek().is_none() {
                return Ok(found);
            }
            let start = self.at;
            if self.scheme_is_payment() {
                if found.len() == MAX_CHALLENGES {
                    return Err(GrammarError::TooManyChallenges);
                }
                found.push(self.params(start)?);
            } else if let Err(open) = self.skip_element() {
                // What was found stands before the open quote and is safe; what stands behind it nobody can tell.
                let lost = self.bytes.get(start..).unwrap_or_default();
                let hides_payment = lost
                    .windows(SCHEME.len())
                    .any(|part| part.eq_ignore_ascii_case(SCHEME.as_bytes()));
                return if found.is_empty() && hides_payment { Err(open) } else { Ok(found) };
            }
        }
    }

    /// Consumes the word at the cursor and tells whether it is the scheme `Payment`, not a parameter of that name.
    fn scheme_is_payment(&mut self) -> bool {
        let word = self.token();
        let spaces = self.skip(is_space);
        let ends = spaces > 0 || matches!(self.peek(), None | Some(b','));
        word.eq_ignore_ascii_case(SCHEME) && ends && self.peek() != Some(b'=')
    }

    /// Reads the parameters behind a scheme, up to the next challenge or the end.
    fn params(&mut self, start: usize) -> Result<AuthParams<'a>, GrammarError> {
        let mut params = AuthParams::default();
        loop {
            let before = self.at;
            self.skip(is_separator);
            let separated = self.bytes.get(before..self.at).is_some_and(|gap| gap.contains(&b','));
            let name_at = self.at;
            let name = self.token();
            if name.is_empty() && self.peek().is_some() {
                return Err(GrammarError::Malformed { at: name_at });
            }
            self.skip(is_space);
            if name.is_empty() || self.peek() != Some(b'=') {
                if params.is_empty() {
                    return Err(GrammarError::Malformed { at: start });
                }
                if separated {
                    // A word in the place of a parameter starts the next challenge.
                    self.at = name_at;
                } else if self.skip_element().is_err() {
                    // Peers forget to escape quotes: what follows a closed value ends the challenge.
                    self.at = self.bytes.len();
                }
                return Ok(params);
            }
            if !separated && !params.is_empty() {
                return Err(GrammarError::Malformed { at: name_at });
            }
            self.at += 1;
            self.skip(is_space);
            let value = self.value(name_at)?;
            params.push(name_at, name, value)?;
        }
    }

    fn value(&mut self, name_at: usize) -> Result<Cow<'a, str>, GrammarError> {
        if self.peek() == Some(b'"') {
            let (start, raw) = self.quoted()?;
            return self.decode(start, raw);
        }
        // Wider than a token: peers leave dates and padded base64 unquoted.
        let start = self.at;
        self.skip(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'));
        match self.ascii(start) {
            "" => Err(GrammarError::Malformed { at: name_at }),
            value => Ok(Cow::Borrowed(value)),
        }
    }

    /// Consumes a quoted string at the cursor; returns where its content starts, and the content.
    fn quoted(&mut self) -> Result<(usize, &'a [u8]), GrammarError> {
        let open = self.at;
        self.at += 1;
        loop {
            self.skip(|byte| !matches!(byte, b'"' | b'\\'));
            match self.peek() {
                None => return Err(GrammarError::Unterminated { at: open }),
                Some(b'"') => break,
                Some(_) => self.at = (self.at + 2).min(self.bytes.len()),
            }
        }
        let content = self.bytes.get(open + 1..self.at).unwrap_or_default();
        self.at += 1;
        Ok((open + 1, content))
    }

    /// Consumes everything up to the next comma outside quotes.
    fn skip_element(&mut self) -> Result<(), GrammarError> {
        loop {
            self.skip(|byte| !matches!(byte, b'"' | b','));
            match self.peek() {
                Some(b'"') => self.quoted()?,
                _ => return Ok(()),
            };
        }
    }

    /// Decodes the content of a quoted string that starts at that byte.
    fn decode(&self, start: usize, raw: &'a [u8]) -> Result<Cow<'a, str>, GrammarError> {
        if !raw.contains(&b'\\') {
            return Ok(self.plain(raw));
        }
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        loop {
            let plain = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
            let (before, escape) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            text.push_str(&self.plain(before));
            let at = start + raw.len() - escape.len();
            rest = match escape {
                [] => return Ok(Cow::Owned(text)),
                [_, b'u', ..] if utf16_unit(escape).is_some() => {
                    let (character, rest) =
                        unicode(escape).ok_or(GrammarError::LoneSurrogate { at })?;
                    if matches!(character, '\r' | '\n') {
                        return Err(GrammarError::Control { at });
                    }
                    text.push(character);
                    rest
                }
                // The escaped byte is taken literally: a backslash must not start another escape.
                [_, b'\\', rest @ ..] => {
                    text.push('\\');
                    rest
                }
                [_, rest @ ..] => rest,
            };
        }
    }

    /// Decodes bytes without escapes.
    fn plain<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        match (self.charset, std::str::from_utf8(bytes)) {
            (Charset::Utf8, Ok(text)) => Cow::Borrowed(text),
            (Charset::Latin1, Ok(text)) if text.is_ascii() => Cow::Borrowed(text),
            _ => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Consumes bytes while the test holds and counts them.
    fn skip(&mut self, test: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|&&byte| test(byte)).count();
        self.at += count;
        count
    }

    /// Consumes a token, possibly empty (RFC 9110 section 5.6.2).
    fn token(&mut self) -> &'a str {
        let start = self.at;
        self.skip(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        self.ascii(start)
    }

    /// Returns the bytes between a position and the cursor, which the caller found to be ASCII.
    fn ascii(&self, start: usize) -> &'a str {
        let bytes = self.bytes.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Reads a `\uXXXX` escape, or the two of a surrogate pair, and returns what follows.
fn unicode(escape: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = utf16_unit(escape)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = utf16_unit(rest)?;
    let pair = char::decode_utf16([first, second]).next()?;
    pair.ok().map(|character| (character, rest))
}

fn utf16_unit(escape: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = escape.strip_prefix(b"\\u")?.split_at_checked(4)?;
    let unit = digits
        .iter()
        .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))?;
    Some((u16::try_from(unit).ok()?, rest))
}

/// Whether a value stands in a quoted string as it is. Without a branch per byte: base64url is most of what is written.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    value.bytes().fold(true, |all, byte| all & plain(byte))
}

fn push_escape(out: &mut String, unit: u16) {
    out.push_str("\\u");
    out.extend(
        [12, 8, 4, 0]
            .map(|shift| char::from(b"0123456789abcdef"[usize::from(unit >> shift & 0xF)])),
    );
}

fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_separator(byte: u8) -> bool {
    byte == b',' || is_space(byte)
}

#[cfg(test)]
mod tests;
