//! The public adapter ABI: JSON requests in, one line of JSON out for each.

use std::io::{self, BufRead, Write};

use mpp_core::jcs;
use serde_json::{Value, json};

use super::{
    framing::{Frame, Frames, LONGEST},
    ops::{self, ErrorType, Refused},
};

/// The version of the ABI.
const SCHEMA: u64 = 1;

/// Answers the requests of a stream in order, each as soon as it is whole, until the stream ends or nobody listens.
///
/// # Errors
/// The stream cannot be read.
pub(super) fn serve(requests: impl BufRead, mut responses: impl Write) -> io::Result<()> {
    let mut frames = Frames::new(requests);
    while let Some(frame) = frames.next()? {
        let line = line(&response(&answer(&frame)));
        if responses.write_all(line.as_bytes()).and_then(|()| responses.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

/// One line of canonical JSON in ASCII: numbers as ECMAScript prints them, and no character that some readers take for
/// the end of a line.
fn line(response: &Value) -> String {
    let json = jcs::to_vec(response).unwrap_or_default();
    let json = String::from_utf8_lossy(&json);
    let mut line = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if character.is_ascii() {
            line.push(character);
            continue;
        }
        // Outside strings JSON is ASCII, so this stands inside one.
        for unit in character.encode_utf16(&mut [0; 2]) {
            line.push_str(&format!("\\u{unit:04x}"));
        }
    }
    line.push('\n');
    line
}

/// The response that says so.
pub(super) fn response(answer: &Result<Value, Refused>) -> Value {
    match answer {
        Ok(value) => json!({ "ok": true, "value": value }),
        Err(Refused { kind, message }) => {
            json!({ "ok": false, "error": { "type": kind.as_str(), "message": message } })
        }
    }
}

fn answer(frame: &Frame) -> Result<Value, Refused> {
    let malformed = |message: String| Refused { kind: ErrorType::Parse, message };
    match frame {
        Frame::Value(bytes) => request(bytes),
        Frame::TooLong => Err(malformed(format!("a request is at most {LONGEST} bytes"))),
        Frame::Broken => Err(malformed("the request is not JSON".into())),
    }
}

fn request(bytes: &[u8]) -> Result<Value, Refused> {
    let malformed = |message: &str| Refused { kind: ErrorType::Parse, message: message.into() };
    let request: Value =
        serde_json::from_slice(bytes).map_err(|_| malformed("the request is not JSON"))?;
    jcs::refuse_duplicates(bytes).map_err(|_| malformed("an object names one member twice"))?;
    if request.get("schema").and_then(Value::as_u64) != Some(SCHEMA) {
        return Err(malformed("a request is an object whose `schema` is 1"));
    }
    let op = request.get("op").and_then(Value::as_str);
    let op = op.ok_or_else(|| malformed("a request has an `op`"))?;
    let input = request.get("input").ok_or_else(|| malformed("a request has an `input`"))?;
    ops::answer(op, input)
}
