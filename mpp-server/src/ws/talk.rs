//! Saying things over a socket: in the client's codec, and never for longer than a client may take to read.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use mpp_core::{
    Challenge,
    problem::{ProblemType, Reason, Rejection},
    transport::Refusal,
};
use tokio::time::timeout;

use super::{
    Socket, SocketClosed,
    frame::{Codec, FrameError, Inbound, Outbound},
};

/// A socket, and how its client speaks.
pub(super) struct Talk<S> {
    socket: S,
    codec: Option<Codec>,
    wait: Duration,
}

/// How a conversation ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone.
    Gone,
    /// As it should.
    Closed(&'static str),
    /// Something was refused.
    Refused(Box<Refused>),
}

#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    message: Cow<'static, str>,
    challenge: Option<Challenge>,
}

/// Close codes of RFC 6455.
const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;
const OUR_FAULT: u16 = 1011;

impl End {
    pub(super) fn refused(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Box::new(Refused { status, message: message.into(), challenge: None }))
    }

    pub(super) fn unavailable(e: &Rejection) -> Self {
        Self::refused(e.kind.status, e.detail.clone())
    }
}

impl From<SocketClosed> for End {
    fn from(_: SocketClosed) -> Self {
        Self::Gone
    }
}

impl From<FrameError> for End {
    fn from(e: FrameError) -> Self {
        Self::refused(400, e.to_string())
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        let Refusal { rejection, challenges } = refusal;
        let (status, message) = (rejection.kind.status, rejection.detail);
        let challenge = challenges.into_iter().next();
        Self::Refused(Box::new(Refused { status, message, challenge }))
    }
}

impl<S: Socket> Talk<S> {
    pub(super) fn over(socket: S, wait: Duration) -> Self {
        Self { socket, codec: None, wait }
    }

    /// The next frame of the client's, unread.
    pub(super) async fn hear(&mut self) -> Option<Bytes> {
        self.socket.receive().await
    }

    /// Reads a frame. The first decides how both sides speak.
    pub(super) fn read(&mut self, frame: &[u8]) -> Result<Inbound, FrameError> {
        let (codec, inbound) = Codec::read(self.codec, frame)?;
        self.codec = Some(codec);
        Ok(inbound)
    }

    /// Says something. A client that does not read in time counts as gone (S13).
    pub(super) async fn say(&mut self, frame: Outbound<'_>) -> Result<(), SocketClosed> {
        let text = self.codec.unwrap_or(Codec::Mpp).write(frame);
        timeout(self.wait, self.socket.send(text)).await.unwrap_or(Err(SocketClosed::new()))
    }

    /// Says why, and closes.
    pub(super) async fn end(mut self, end: End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::Closed(reason) => (NORMAL, reason),
            End::Refused(refused) => {
                let Refused { status, message, challenge } = &*refused;
                let challenge = challenge.as_ref();
                let frame = Outbound::Error { status: *status, message, challenge };
                if self.say(frame).await.is_err() {
                    return;
                }
                match *status {
                    500.. => (OUR_FAULT, "internal error"),
                    _ => (POLICY, "payment refused"),
                }
            }
        };
        // Who does not take the close is left alone.
        let _ = timeout(self.wait, self.socket.close(code, reason)).await;
    }
}

/// A frame's credential cannot be read.
pub(super) fn unreadable() -> End {
    End::refused(400, "invalid payment message")
}

/// The gate answered as it answers credentials that are good once.
pub(super) fn not_a_session() -> Rejection {
    let detail = "This credential is not one of a session.";
    Rejection::new(ProblemType::BAD_REQUEST, Reason::NOT_OFFERED, detail)
}
