//! Metered WebSockets: a stream over a socket, and the credentials that pay for it as frames of the same socket.
//!
//! A client asks for the address with a plain `GET` first, and is told by a 402 what it costs. Then it opens the socket, which
//! carries no credential, sends one as its first frame, and is served.

pub mod frame;
mod places;
mod serve;
mod socket;
mod talk;
mod work;

pub(crate) use self::places::Places;
pub use self::{
    serve::Doorway,
    socket::{Socket, SocketClosed},
};
pub use crate::stream::Code;
