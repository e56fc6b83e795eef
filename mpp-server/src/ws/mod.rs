//! Metered WebSockets: a stream over a socket, and the credentials that pay for it as frames of the same socket.
//!
//! A client asks for the address with a plain `GET` first, and is told by a 402 what it costs. Then it opens the socket, which
//! carries no credential, sends one as its first frame, and is served.

pub mod frame;
mod places;
mod serve;
mod socket;
mod talk;

pub(crate) use self::{places::Places, serve::Doorway};
pub use self::socket::{Socket, SocketClosed};
