//! `Authorization: Payment …`: finding the one credential among what else a field may hold.

use ::http::HeaderMap;

use crate::{credential::Credential, error::Error, name::CredentialHeader};

/// Reads the credential of a request from the header that the route looks in, `Authorization` unless it says otherwise.
///
/// # Errors
/// [`Error::SeveralCredentials`] where there is more than one (C-32); otherwise why the one cannot be read.
pub fn read_credential(
    headers: &HeaderMap,
    header: Option<&CredentialHeader>,
) -> Result<Option<Credential>, Error> {
    let mut found = None;
    for field in headers.get_all(super::looks_in(header)) {
        for token in tokens(field.as_bytes()) {
            if found.replace(token).is_some() {
                return Err(Error::SeveralCredentials);
            }
        }
    }
    let Some(token) = found else { return Ok(None) };
    let token = std::str::from_utf8(token).map_err(|_| Error::HeaderValue)?;
    Credential::from_token(token).map(Some)
}

/// Reads the first credential of one field value; `None` where it holds no `Payment` scheme.
pub fn credential_from_field(field: &str) -> Result<Option<Credential>, Error> {
    tokens(field.as_bytes())
        .next()
        .map(|token| {
            Credential::from_token(std::str::from_utf8(token).map_err(|_| Error::HeaderValue)?)
        })
        .transpose()
}

/// The tokens of every `Payment` credential in a field: at its start, or after a comma outside quotes, so that one
/// hidden in another scheme's quoted parameter is not seen (S12). A bare `Payment` gives an empty token.
fn tokens(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        loop {
            let here = rest?;
            let end = element_end(here);
            let (element, after) = here.split_at_checked(end).unwrap_or((here, &[]));
            rest = after.split_first().map(|(_, after)| after);
            let element = element.trim_ascii();
            let (scheme, token) = match element.iter().position(|c| matches!(c, b' ' | b'\t')) {
                Some(at) => element.split_at_checked(at).unwrap_or((element, &[])),
                None => (element, &[][..]),
            };
            if scheme.eq_ignore_ascii_case(b"payment") {
                return Some(token.trim_ascii());
            }
        }
    })
}

/// Where the list element ends: at the first comma outside a quoted-string.
fn element_end(field: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in field.iter().enumerate().skip(plain(field)) {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return i,
            _ => {}
        }
    }
    field.len()
}

/// How much of a field's start surely holds neither comma nor quote: of most, the whole of a long token.
fn plain(field: &[u8]) -> usize {
    // Without a branch per byte, so that the compiler makes wide comparisons of it.
    let ends = |c: &u8| u8::from(*c == b',') | u8::from(*c == b'"');
    let holds = |chunk: &[u8]| chunk.iter().fold(0, |any, c| any | ends(c)) != 0;
    field.chunks(64).take_while(|chunk| !holds(chunk)).map(<[u8]>::len).sum()
}
