//! What streams say: server-sent events, and frames of paid WebSockets.

use mpp_client::{
    frame::Frame,
    sse::{Item, Reader, TooLong},
};

/// Server-sent events: the same wherever the bytes were split. The first byte says where.
pub fn events(data: &[u8]) -> bool {
    let Some((cut, bytes)) = data.split_first() else { return false };
    let whole = read([bytes]);
    let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(read([head, tail]), whole);
    assert_eq!(read(bytes.chunks(1)), whole);
    whole.is_ok_and(|items| !items.is_empty())
}

/// A frame: what is no frame of the protocol is the application's own, as it came.
pub fn frame(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match Frame::read(text) {
        Ok(Frame::Message(said)) => said == text || text.contains("mpp"),
        read => read.is_ok(),
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Item>, TooLong> {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for piece in pieces {
        reader.push(piece)?;
        while let Some(item) = reader.next_item() {
            items.push(item);
        }
    }
    Ok(items)
}
