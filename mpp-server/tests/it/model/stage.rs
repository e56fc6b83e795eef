//! A store whose operations wait until a scheduler lets them go on: one at a time, in any order, or never.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use mpp_core::store::{BoxFuture, Keep, Key, Memory, Store, StoreError, Version, Versioned};

/// What every process writes to, and what waits to be written.
#[derive(Debug)]
pub(super) struct Stage {
    memory: Memory,
    waiting: Mutex<Vec<Arc<Operation>>>,
}

/// One operation of one process.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) process: usize,
    what: What,
    state: Mutex<State>,
}

#[derive(Debug)]
enum What {
    Get(Key),
    Swap(Key, Option<Version>, Option<Vec<u8>>, Keep),
    Scan(Key, Option<Key>, usize),
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Found, StoreError>>,
    told: bool,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Found {
    Entry(Option<Versioned>),
    Written(Option<Version>),
    Page(Vec<(Key, Versioned)>),
}

impl Stage {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { memory: Memory::volatile(), waiting: Mutex::default() })
    }

    /// The store as one process sees it.
    pub(super) fn of(self: &Arc<Self>, process: usize) -> Staged {
        Staged { stage: self.clone(), process }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    /// Does an operation, and keeps its answer back.
    pub(super) fn apply(&self, nth: usize) {
        let waiting = self.waiting.lock().unwrap();
        self.perform(&waiting[nth]);
    }

    /// Does an operation, unless that is done, and answers it.
    pub(super) fn answer(&self, nth: usize) {
        let op = self.waiting.lock().unwrap().remove(nth);
        self.perform(&op);
        op.tell();
    }

    /// Loses the answer of an operation, which was done or was not.
    pub(super) fn lose(&self, nth: usize, done: bool) {
        let op = self.waiting.lock().unwrap().remove(nth);
        if done {
            self.perform(&op);
        }
        op.state.lock().unwrap().result = Some(Err(StoreError::unavailable("lost")));
        op.tell();
    }

    /// What waits of a process is done, or is not, by the bits of a mask; nobody is left to hear of it.
    pub(super) fn bury(&self, process: usize, mut done: u8) {
        let mut waiting = self.waiting.lock().unwrap();
        let (dead, alive) =
            std::mem::take(&mut *waiting).into_iter().partition(|op| op.process == process);
        *waiting = alive;
        let dead: Vec<Arc<Operation>> = dead;
        for op in dead {
            if done & 1 == 1 {
                self.perform(&op);
            }
            done = done.rotate_right(1);
        }
    }

    fn perform(&self, op: &Operation) {
        let mut state = op.state.lock().unwrap();
        if state.result.is_some() {
            return;
        }
        state.result = Some(match &op.what {
            What::Get(key) => now(self.memory.get(key)).map(Found::Entry),
            What::Swap(key, expect, value, keep) => {
                now(self.memory.swap(key, *expect, value.as_deref(), keep.clone()))
                    .map(Found::Written)
            }
            What::Scan(prefix, after, limit) => {
                now(self.memory.scan(prefix, after.as_ref(), *limit)).map(Found::Page)
            }
        });
    }
}

impl Operation {
    fn tell(&self) {
        let mut state = self.state.lock().unwrap();
        state.told = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// A store in memory answers at once.
fn now<T>(mut future: BoxFuture<'_, T>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(it) => it,
        Poll::Pending => panic!("memory waited"),
    }
}

/// The store of one process.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    stage: Arc<Stage>,
    process: usize,
}

impl Staged {
    /// Waits in the queue from its first poll on. Who stops waiting does not take the operation back.
    async fn wait(&self, what: What) -> Result<Found, StoreError> {
        let op = Arc::new(Operation { process: self.process, what, state: Mutex::default() });
        self.stage.waiting.lock().unwrap().push(op.clone());
        Told(op).await
    }
}

struct Told(Arc<Operation>);

impl Future for Told {
    type Output = Result<Found, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock().unwrap();
        if state.told {
            return Poll::Ready(state.result.take().expect("told what happened"));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Store for Staged {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            match self.wait(What::Get(key.clone())).await? {
                Found::Entry(entry) => Ok(entry),
                other => panic!("{other:?}"),
            }
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        expect: Option<Version>,
        value: Option<&'a [u8]>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Option<Version>, StoreError>> {
        Box::pin(async move {
            let what = What::Swap(key.clone(), expect, value.map(<[u8]>::to_vec), keep);
            match self.wait(what).await? {
                Found::Written(version) => Ok(version),
                other => panic!("{other:?}"),
            }
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        Box::pin(async move {
            match self.wait(What::Scan(prefix.clone(), after.cloned(), limit)).await? {
                Found::Page(page) => Ok(page),
                other => panic!("{other:?}"),
            }
        })
    }
}
