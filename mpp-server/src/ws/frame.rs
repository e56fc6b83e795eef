//! The frames of a metered socket as texts, in either form that is deployed. Pure; no bytes make it panic.

use std::borrow::Cow;

use mpp_core::{Challenge, Receipt, teller::Need};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest frame that is taken from a client, in bytes.
pub const LONGEST_FRAME: usize = 64 * 1024;

/// How frames are written: chosen by the first that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// Frames told apart by their member `mpp`.
    Mpp,
    /// Frames told apart by their member `type`.
    Type,
}

/// What a client says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inbound {
    /// A credential, as it would stand in `Authorization`.
    Authorization(String),
    /// It wants to close its account, and asks what was spent.
    CloseRequest,
    /// Something of the application's, which the protocol has no part in.
    Message,
}

/// A credential is a secret: not shown.
impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Authorization(_) => "Authorization(..)",
            Self::CloseRequest => "CloseRequest",
            Self::Message => "Message",
        })
    }
}

/// What a server says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outbound<'a> {
    /// A text of the stream.
    Message(&'a str),
    /// The credit is used up.
    Need(&'a Need),
    /// A credential was taken; how the account stands.
    Receipt(&'a Receipt),
    /// The stream is over, and the account can be closed for what was spent.
    CloseReady(&'a Receipt),
    /// Something was refused.
    Error {
        /// As an HTTP status.
        status: u16,
        /// For people.
        message: &'a str,
        /// A way to pay, where the codec has a place for it.
        challenge: Option<&'a Challenge>,
    },
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Over [`LONGEST_FRAME`].
    #[error("payment message is too large")]
    TooLong,
    /// No JSON object, or one that no client sends in the codec of this socket.
    #[error("invalid payment message")]
    Unreadable,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    mpp: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    authorization: Option<String>,
    credential: Option<String>,
}

impl Codec {
    /// Reads a client's frame; without a codec, in the one that it turns out to be of.
    ///
    /// # Errors
    /// [`FrameError`]. What a server says is no frame of a client's.
    pub fn read(codec: Option<Self>, frame: &[u8]) -> Result<(Self, Inbound), FrameError> {
        if frame.len() > LONGEST_FRAME {
            return Err(FrameError::TooLong);
        }
        let raw: Raw<'_> = serde_json::from_slice(frame).map_err(|_| FrameError::Unreadable)?;
        let spoken = if raw.mpp.is_some() { Self::Mpp } else { Self::Type };
        if codec.is_some_and(|codec| codec != spoken) {
            return Err(FrameError::Unreadable);
        }
        let inbound = match spoken {
            Self::Mpp => raw.mpp_frame(),
            Self::Type => raw.type_frame(),
        };
        Ok((spoken, inbound.ok_or(FrameError::Unreadable)?))
    }

    /// Writes a server's frame.
    pub fn write(self, frame: Outbound<'_>) -> String {
        match self {
            Self::Mpp => mpp_frame(frame),
            Self::Type => type_frame(frame),
        }
        .to_string()
    }
}

impl Raw<'_> {
    fn mpp_frame(self) -> Option<Inbound> {
        match self.mpp?.as_ref() {
            "authorization" => self.authorization.map(Inbound::Authorization),
            "payment-close-request" => Some(Inbound::CloseRequest),
            "message" => Some(Inbound::Message),
            _ => None,
        }
    }

    fn type_frame(self) -> Option<Inbound> {
        match self.kind?.as_ref() {
            "credential" => self.credential.map(Inbound::Authorization),
            "message" => Some(Inbound::Message),
            _ => None,
        }
    }
}

fn mpp_frame(frame: Outbound<'_>) -> Value {
    match frame {
        Outbound::Message(data) => json!({ "mpp": "message", "data": data }),
        Outbound::Need(need) => json!({ "mpp": need.event, "data": need.data }),
        Outbound::Receipt(receipt) => json!({ "mpp": "payment-receipt", "data": receipt }),
        Outbound::CloseReady(receipt) => json!({ "mpp": "payment-close-ready", "data": receipt }),
        Outbound::Error { status, message, .. } => {
            json!({ "mpp": "payment-error", "status": status, "message": message })
        }
    }
}

fn type_frame(frame: Outbound<'_>) -> Value {
    match frame {
        Outbound::Message(data) => json!({ "type": "message", "data": data }),
        Outbound::Need(need) => {
            let members = need.data.as_object().cloned();
            let mut flat = Map::from_iter([("type".to_owned(), Value::from("needVoucher"))]);
            flat.extend(members.into_iter().flatten().filter(|(name, _)| name != "type"));
            flat.into()
        }
        // This form has no frame of its own for the end of a stream.
        Outbound::Receipt(receipt) | Outbound::CloseReady(receipt) => {
            json!({ "type": "receipt", "receipt": receipt })
        }
        Outbound::Error { message, challenge: Some(challenge), .. } => {
            json!({ "type": "challenge", "challenge": challenge, "error": message })
        }
        Outbound::Error { message, .. } => json!({ "type": "error", "error": message }),
    }
}

#[cfg(test)]
mod tests;
