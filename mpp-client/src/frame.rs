//! Frames of a paid WebSocket: JSON texts with a member `mpp`.

use mpp_core::{Credential, Error, Receipt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest frame that is read: 64 KiB.
pub const LONGEST: usize = 64 * 1024;

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    /// The application's own: also a text that is no frame of the protocol.
    Message(String),
    /// The account is used up: what is needed.
    Need(Value),
    /// A credential was taken, or the account stands like this.
    Receipt(Box<Receipt>),
    /// Nothing more comes: this was spent, and the account can be closed.
    CloseReady(Box<Receipt>),
    /// A credential was refused, or the stream broke.
    Failed {
        /// As an HTTP status.
        status: u16,
        /// For a person.
        message: String,
    },
    /// Something of the protocol that is not for clients, or not known.
    Other,
}

/// A frame of the protocol that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payment frame cannot be read")]
pub struct Unreadable;

impl Frame {
    /// Reads a text.
    ///
    /// # Errors
    /// It names a frame of the protocol, and is none.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable);
        }
        let framed = serde_json::from_str::<Value>(text).ok();
        let Some(value) = framed.filter(|value| value.get("mpp").is_some()) else {
            return Ok(Self::Message(text.to_owned()));
        };
        Ok(match serde_json::from_value(value).map_err(|_| Unreadable)? {
            Wire::Message { data } => Self::Message(data),
            Wire::PaymentNeedVoucher { data } => Self::Need(data),
            Wire::PaymentReceipt { data } => Self::Receipt(receipt(&data)?),
            Wire::PaymentCloseReady { data } => Self::CloseReady(receipt(&data)?),
            Wire::PaymentError { status, message } => Self::Failed { status, message },
            Wire::Other => Self::Other,
        })
    }
}

/// The frame that carries a credential.
///
/// # Errors
/// The credential cannot be written.
pub(crate) fn authorization(credential: &Credential) -> Result<String, Error> {
    let authorization = format!("Payment {}", credential.to_token()?);
    Ok(written(&Ask { mpp: "authorization", authorization: Some(authorization) }))
}

/// The frame that asks for the end.
pub(crate) fn close_request() -> String {
    written(&Ask { mpp: "payment-close-request", authorization: None })
}

/// Read as the header is, so that what is kept can be kept.
fn receipt(receipt: &Receipt) -> Result<Box<Receipt>, Unreadable> {
    let token = receipt.to_token().map_err(|_| Unreadable)?;
    Receipt::from_token(&token).map(Box::new).map_err(|_| Unreadable)
}

fn written(ask: &Ask) -> String {
    serde_json::to_string(ask).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(tag = "mpp", rename_all = "kebab-case")]
enum Wire {
    Message {
        data: String,
    },
    PaymentNeedVoucher {
        data: Value,
    },
    PaymentReceipt {
        data: Receipt,
    },
    PaymentCloseReady {
        data: Receipt,
    },
    PaymentError {
        status: u16,
        #[serde(default)]
        message: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
struct Ask {
    mpp: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECEIPT: &str = r#"{"method":"tab","reference":"t","status":"success","timestamp":"2026-01-01T00:00:00Z","spent":"1"}"#;

    #[test]
    fn frames_are_read_and_what_only_looks_like_one_is_refused() {
        let need = serde_json::json!({ "requiredCumulative": "5" });
        for (text, expected) in [
            (r#"{"mpp":"message","data":"hi"}"#.to_owned(), Ok(Frame::Message("hi".into()))),
            ("hi".to_owned(), Ok(Frame::Message("hi".into()))),
            ("[1]".to_owned(), Ok(Frame::Message("[1]".into()))),
            (r#"{"type":"x"}"#.to_owned(), Ok(Frame::Message(r#"{"type":"x"}"#.into()))),
            (
                r#"{"mpp":"payment-need-voucher","data":{"requiredCumulative":"5"}}"#.to_owned(),
                Ok(Frame::Need(need)),
            ),
            (
                r#"{"mpp":"payment-error","status":402,"message":"no"}"#.to_owned(),
                Ok(Frame::Failed { status: 402, message: "no".into() }),
            ),
            (r#"{"mpp":"authorization","authorization":"x"}"#.to_owned(), Ok(Frame::Other)),
            (r#"{"mpp":"of-tomorrow"}"#.to_owned(), Ok(Frame::Other)),
            (r#"{"mpp":"message","data":5}"#.to_owned(), Err(Unreadable)),
            (r#"{"mpp":5}"#.to_owned(), Err(Unreadable)),
            (r#"{"mpp":"payment-receipt","data":{}}"#.to_owned(), Err(Unreadable)),
            (format!("\"{}\"", "x".repeat(LONGEST)), Err(Unreadable)),
        ] {
            assert_eq!(Frame::read(&text), expected, "{text}");
        }
        let ready = Frame::read(&format!(r#"{{"mpp":"payment-close-ready","data":{RECEIPT}}}"#));
        assert!(matches!(ready, Ok(Frame::CloseReady(receipt)) if receipt.extra["spent"] == "1"));
    }

    #[test]
    fn a_request_to_close_is_what_peers_expect() {
        assert_eq!(close_request(), r#"{"mpp":"payment-close-request"}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in prop_oneof![
                any::<String>(),
                r#"\{"mpp":"(message|payment-[a-z-]{4,12})","(data|status)":[0-9"\{\}\[\]]{0,6}\}"#,
            ]
        ) {
            let _ = Frame::read(&text);
        }
    }
}
