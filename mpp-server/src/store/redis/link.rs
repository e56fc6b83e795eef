//! The connection for commands: shared, bounded in time, made anew when it breaks.

use std::{collections::HashMap, time::Duration};

use ::redis::{
    Client, FromRedisValue, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use mpp_core::store::StoreError;

use super::{super::frame::FORM, names::Names};

/// A connection. It reconnects, and sends nothing a second time: the error of a broken one goes to the caller.
pub(super) struct Link(ConnectionManager);

impl Link {
    pub(super) async fn connect(client: Client) -> Result<Self, StoreError> {
        const CONNECT: Duration = Duration::from_secs(2);
        const ANSWER: Duration = Duration::from_secs(5);
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_number_of_retries(2)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_pipeline_buffer_size(1024);
        let manager = ConnectionManager::new_with_config(client, config).await;
        manager.map(Self).map_err(StoreError::unavailable)
    }

    /// Runs a script; sent by its hash, and whole to a server that does not know it yet, which has then not run it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        what: &str,
    ) -> Result<T, StoreError> {
        script.invoke_async(&mut self.0.clone()).await.map_err(|error| explain(error, what))
    }

    pub(super) async fn get(&self, name: &str, what: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(::redis::cmd("GET").arg(name)).await.map_err(|error| explain(error, what))
    }

    /// Says of which form the entries are where nobody did, and refuses a newer one.
    pub(super) async fn check_form(&self, names: &Names) -> Result<(), StoreError> {
        let known = u64::from(FORM);
        let name = names.form();
        let explain = |error| explain(error, name);
        let mut first = ::redis::cmd("SET");
        first.arg(name).arg(known).arg("NX");
        self.ask::<::redis::Value>(&first).await.map_err(explain)?;
        let said: Vec<u8> = self.ask(::redis::cmd("GET").arg(name)).await.map_err(explain)?;
        let found = std::str::from_utf8(&said).ok().and_then(|said| said.parse::<u64>().ok());
        match found {
            Some(found) if found > known => {
                Err(StoreError::Newer { what: name.to_owned(), found, known })
            }
            Some(1..) => Ok(()),
            _ => Err(StoreError::corrupt(name, "it is no number of a form")),
        }
    }

    /// Warns of what the server is told that loses swaps. A server that does not say is believed to know.
    pub(super) async fn warn_of_losses(&self) {
        const WANTED: [(&str, &str); 3] =
            [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];
        for (setting, wanted) in WANTED {
            let asked = self.ask(::redis::cmd("CONFIG").arg("GET").arg(setting)).await;
            let told: HashMap<String, String> = asked.unwrap_or_default();
            match told.get(setting) {
                Some(told) if told != wanted => tracing::warn!(
                    setting,
                    told,
                    wanted,
                    "this Redis can forget what was paid, or used"
                ),
                _ => {}
            }
        }
    }

    async fn ask<T: FromRedisValue>(&self, command: &::redis::Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.0.clone()).await
    }
}

fn explain(error: RedisError, what: &str) -> StoreError {
    let says =
        |code| error.code() == Some(code) || error.detail().is_some_and(|d| d.contains(code));
    if says("OOM") {
        StoreError::Full
    } else if says("WRONGTYPE") {
        StoreError::corrupt(what, error)
    } else {
        StoreError::unavailable(error)
    }
}
