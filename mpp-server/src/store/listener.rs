//! A task that hears what changed, from the first entry that is waited for on.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

/// A task that ends with this.
#[derive(Debug, Default)]
pub(super) struct Listener(Mutex<Option<JoinHandle<()>>>);

impl Listener {
    /// Starts it, unless it runs. Who waits need not wait for that: once it hears, it wakes everybody.
    pub(super) fn ensure<F>(&self, listen: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has ended was on a runtime that has.
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(listen()));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}
