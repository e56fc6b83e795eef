//! Who waits for which entry of a store in memory.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

use super::{Key, Memory, StoreError, Version};

/// Wakers by key, each under a number of its own, so that one who stops waiting takes theirs along.
#[derive(Default)]
pub(super) struct Waiting {
    next: u64,
    by_key: HashMap<Key, Vec<(u64, Waker)>>,
}

impl Waiting {
    pub(super) fn wake(&mut self, key: &Key) {
        for (_, waker) in self.by_key.remove(key).into_iter().flatten() {
            waker.wake();
        }
    }

    fn add(&mut self, key: &Key, waker: Waker) -> u64 {
        self.next += 1;
        self.by_key.entry(key.clone()).or_default().push((self.next, waker));
        self.next
    }

    fn remove(&mut self, key: &Key, number: u64) {
        if let Some(wakers) = self.by_key.get_mut(key) {
            wakers.retain(|(theirs, _)| *theirs != number);
            if wakers.is_empty() {
                self.by_key.remove(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

/// Ends once an entry is no longer at a version.
pub(super) struct Changed<'a> {
    memory: &'a Memory,
    key: &'a Key,
    seen: Option<Version>,
    number: Option<u64>,
}

impl<'a> Changed<'a> {
    pub(super) fn new(memory: &'a Memory, key: &'a Key, seen: Option<Version>) -> Self {
        Self { memory, key, seen, number: None }
    }
}

impl Future for Changed<'_> {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shard = self.memory.shard(self.key);
        if let Some(number) = self.number.take() {
            shard.waiting.remove(self.key, number);
        }
        // Looked at and registered under one lock: no change falls between.
        if shard.live(self.key, self.memory.now.load(Ordering::Relaxed)) != self.seen {
            return Poll::Ready(Ok(()));
        }
        self.number = Some(shard.waiting.add(self.key, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.memory.shard(self.key).waiting.remove(self.key, number);
        }
    }
}
