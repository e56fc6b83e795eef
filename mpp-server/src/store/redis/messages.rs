//! Messages of what changed, over a connection of their own.

use std::{future::poll_fn, pin::pin, time::Duration};

use ::redis::{Client, RedisError};
use futures_core::Stream as _;
use mpp_core::store::Key;

use super::{super::waiting::Waiting, names::Names};

/// Wakes who waits for what changed, for ever. After a gap everybody is woken.
pub(super) async fn listen(client: &Client, names: &Names, waiting: &Waiting) {
    const PAUSE: Duration = Duration::from_millis(200);
    loop {
        if let Err(error) = until_it_breaks(client, names, waiting).await {
            tracing::warn!(%error, "changes on Redis are not heard of; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn until_it_breaks(
    client: &Client,
    names: &Names,
    waiting: &Waiting,
) -> Result<(), RedisError> {
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(names.channel()).await?;
    waiting.wake_all();
    let mut messages = pin!(connection.on_message());
    while let Some(message) = poll_fn(|cx| messages.as_mut().poll_next(cx)).await {
        match std::str::from_utf8(message.get_payload_bytes()) {
            Ok(key) => waiting.wake(&Key::from_stored(key)),
            Err(_) => waiting.wake_all(),
        }
    }
    Ok(())
}
