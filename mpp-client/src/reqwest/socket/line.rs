//! The connection under a paid WebSocket: bounded frames, text alone.

use std::{borrow::Cow, time::Duration};

use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error as WsError, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::frame::{Frame, LONGEST, Unreadable};

/// Everything went well.
pub(super) const GOOD: u16 = 1000;
/// The server broke the protocol.
pub(super) const BAD: u16 = 3008;

/// The longest that connecting, sending or hanging up may take.
const PATIENCE: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection.
pub(super) struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What became of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Socket(#[from] Box<WsError>),
    #[error(transparent)]
    Frame(#[from] Unreadable),
    #[error("it took too long")]
    Slow,
}

/// The server hung up.
#[derive(Debug, thiserror::Error)]
#[error("the server hung up")]
pub(super) struct HungUp;

impl Broken {
    /// Whether the server broke the protocol, as against the connection breaking.
    pub(super) fn is_theirs(&self) -> bool {
        match self {
            Self::Frame(_) => true,
            Self::Socket(e) => {
                matches!(**e, WsError::Capacity(_) | WsError::Protocol(_) | WsError::Utf8(_))
            }
            Self::Slow => false,
        }
    }
}

impl Line {
    /// Connects; redirects are not followed.
    pub(super) async fn to(url: &Url) -> Result<Self, Broken> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let connected = connect_async_with_config(url.as_str(), Some(config), true);
        let connected = timeout(PATIENCE, connected).await.map_err(|_| Broken::Slow)?;
        connected.map(|(socket, _)| Self(socket)).map_err(|e| Box::new(e).into())
    }

    pub(super) async fn send(&mut self, text: String) -> Result<(), Broken> {
        let sent = timeout(PATIENCE, self.0.send(Message::text(text))).await;
        sent.map_err(|_| Broken::Slow)?.map_err(|e| Box::new(e).into())
    }

    /// The next frame; `None` where the server hung up. Loses nothing where it is dropped.
    pub(super) async fn receive(&mut self) -> Result<Option<Frame>, Broken> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(Frame::read(&text)?)),
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) => return Ok(None),
                // Pings are answered underneath; bytes are nothing of this protocol's.
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(Box::new(e).into()),
            }
        }
    }

    /// Says why, and leaves.
    pub(super) async fn hang_up(&mut self, code: u16) {
        let reason = if code == GOOD { "" } else { "payment protocol error" };
        let reason: Cow<'static, str> = reason.into();
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.as_ref().into() };
        if timeout(FAREWELL, self.0.close(Some(frame))).await.is_err() {
            tracing::debug!("a server does not take its leave");
        }
    }
}
