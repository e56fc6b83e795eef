//! The task that goes through the books now and then, as long as its gate lives.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Gate, Inner};

/// When the books are gone through.
#[derive(Debug)]
pub(super) struct Recovery {
    /// `None`: only when asked.
    every: Option<Duration>,
    started: AtomicBool,
}

impl Recovery {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Self { every, started: AtomicBool::new(false) }
    }
}

impl Gate {
    /// Starts the task, where there is a runtime to run it and none was started before.
    pub(crate) fn start_recovery(&self) {
        let recovery = &self.0.recovery;
        let Some(every) = recovery.every else { return };
        if recovery.started.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !recovery.started.swap(true, Ordering::Relaxed) {
            runtime.spawn(now_and_then(Arc::downgrade(&self.0), every));
        }
    }
}

async fn now_and_then(gate: Weak<Inner>, every: Duration) {
    loop {
        {
            let Some(inner) = gate.upgrade() else { return };
            let gate = Gate(inner);
            match gate.recover().await {
                Ok(found) if found == Default::default() => {}
                Ok(found) => tracing::info!(?found, "went through the books"),
                Err(e) => tracing::error!(cause = %e, "the books could not be gone through"),
            }
            match gate.sweep().await {
                Ok(swept) if swept == Default::default() => {}
                Ok(swept) => tracing::info!(?swept, "went through the accounts"),
                Err(e) => tracing::error!(cause = %e, "the accounts could not be gone through"),
            }
        }
        tokio::time::sleep(every).await;
    }
}
