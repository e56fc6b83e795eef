//! A socket, whatever server it came from.

use bytes::Bytes;

/// A socket is gone: nothing can be said any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the socket is gone")]
#[non_exhaustive]
pub struct SocketClosed;

impl SocketClosed {
    /// It is gone.
    pub const fn new() -> Self {
        Self
    }
}

impl Default for SocketClosed {
    fn default() -> Self {
        Self::new()
    }
}

/// What a metered stream needs of a WebSocket; for adapters of server frameworks. Pings are answered below it.
pub trait Socket: Send + 'static {
    /// The next frame of text or bytes, whole; none once the client is gone. Dropped before it is ready, it loses nothing.
    fn receive(&mut self) -> impl Future<Output = Option<Bytes>> + Send;

    /// Sends a frame of text. Waits until it is on its way.
    ///
    /// # Errors
    /// The client is gone.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), SocketClosed>> + Send;

    /// Closes it, with a code and a reason.
    fn close(self, code: u16, reason: &'static str) -> impl Future<Output = ()> + Send;
}
