//! The one thread that writes: it takes all swaps that wait, and commits them at once.

use std::{
    error::Error as _,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ::redb::{Error, ReadableTable, Table};
use mpp_core::store::{Keep, Key, StoreError, Version};
use tokio::sync::oneshot;

use super::{
    super::waiting::Waiting,
    expiry::{Clocks, Now},
    file::{ENTRIES, EXPIRING, FACTS, File, OPEN, VERSION},
    row::{Row, Until},
};

/// A swap that waits for its commit.
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) key: Key,
    pub(super) expect: Option<Version>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) keep: Keep,
    pub(super) answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Version>, StoreError>;

/// The thread, and the way to it.
#[derive(Debug)]
pub(super) struct Writer {
    swaps: Option<Sender<Swap>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>, waiting: Arc<Waiting>) -> Result<Self, StoreError> {
        let mut book = Book::open(file, waiting)?;
        let (swaps, taken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("mpp-redb".to_owned())
            .spawn(move || book.run(&taken))
            .map_err(StoreError::unavailable)?;
        Ok(Self { swaps: Some(swaps), thread: Some(thread) })
    }

    /// Takes a swap. Where the thread has ended, its answer is dropped, which its caller sees.
    pub(super) fn take(&self, swap: Swap) {
        if let Some(swaps) = &self.swaps {
            let _ = swaps.send(swap);
        }
    }
}

impl Drop for Writer {
    /// Waits until everything taken is answered, so that the file can be opened again at once.
    fn drop(&mut self) {
        drop(self.swaps.take());
        if let Some(thread) = self.thread.take() {
            // Nothing in it unwinds.
            let _ = thread.join();
        }
    }
}

/// What the thread knows of the file.
struct Book {
    file: Arc<File>,
    waiting: Arc<Waiting>,
    clocks: Clocks,
    version: u64,
}

impl Book {
    fn open(file: Arc<File>, waiting: Arc<Waiting>) -> Result<Self, StoreError> {
        let (version, open) = file.contain(|| {
            let transaction = file.writing()?;
            let facts = transaction.open_table(FACTS)?;
            let number = |name| Ok::<_, Error>(facts.get(name)?.map_or(0, |fact| fact.value()));
            Ok((number(VERSION)?, number(OPEN)?))
        })?;
        Ok(Self { file, waiting, clocks: Clocks::new(open), version })
    }

    fn run(&mut self, taken: &Receiver<Swap>) {
        // How long to wait for one more: nothing, for a caller who is alone.
        let mut patience = Duration::ZERO;
        while let Ok(first) = taken.recv() {
            let mut size = first.size();
            let mut swaps = vec![first];
            while swaps.len() < MOST_SWAPS && size < MOST_BYTES {
                // Who was answered last is about to come back: without a moment for that, the callers fall into two
                // groups, each of which waits for the commit of the other.
                let Ok(swap) = taken.recv_timeout(patience) else { break };
                size += swap.size();
                swaps.push(swap);
            }
            patience = if swaps.len() > 1 { A_MOMENT } else { Duration::ZERO };
            self.answer(swaps);
        }
    }

    /// Commits swaps together; where that fails for damage, each alone, so that only those that meet it fail.
    fn answer(&mut self, swaps: Vec<Swap>) {
        match self.commit(&swaps) {
            Ok(answers) => {
                for (swap, answer) in swaps.into_iter().zip(answers) {
                    if matches!(answer, Ok(Some(_))) {
                        self.waiting.wake(&swap.key);
                    }
                    // Who no longer waits for it finds it by reading.
                    let _ = swap.answer.send(answer);
                }
            }
            Err(StoreError::Corrupt { .. }) if swaps.len() > 1 => {
                swaps.into_iter().for_each(|swap| self.answer(vec![swap]));
            }
            Err(error) => {
                let cause = error.source().map_or_else(String::new, ToString::to_string);
                let mut error = Some(error);
                for swap in swaps {
                    let again = || StoreError::unavailable(&*cause);
                    let _ = swap.answer.send(Err(error.take().unwrap_or_else(again)));
                }
                // Whoever waits for what no longer comes learns so by reading.
                self.waiting.wake_all();
            }
        }
    }

    fn commit(&mut self, swaps: &[Swap]) -> Result<Vec<Answer>, StoreError> {
        let file = Arc::clone(&self.file);
        file.contain(|| {
            let transaction = file.writing()?;
            let answers = {
                let mut facts = transaction.open_table(FACTS)?;
                let mut tables = Tables {
                    entries: transaction.open_table(ENTRIES)?,
                    expiring: transaction.open_table(EXPIRING)?,
                };
                let mut answers = Vec::with_capacity(swaps.len());
                for swap in swaps {
                    self.clocks.hear(&swap.keep);
                    // Counted even if the commit fails: a number left out does no harm.
                    self.version += 1;
                    answers.push(tables.swap(swap, Version(self.version), self.clocks.now())?);
                }
                let now = self.clocks.now();
                tables.sweep(now, swaps.len() * 2)?;
                facts.insert(VERSION, self.version)?;
                facts.insert(OPEN, now.open)?;
                answers
            };
            transaction.commit()?;
            Ok(answers)
        })
    }
}

/// Little beside a commit, and enough for a task to wake up and ask again.
const A_MOMENT: Duration = Duration::from_micros(60);
const MOST_SWAPS: usize = 1024;
const MOST_BYTES: usize = 16 << 20;

impl Swap {
    fn size(&self) -> usize {
        self.value.as_ref().map_or(0, Vec::len)
    }
}

/// The tables of entries, in a transaction.
struct Tables<'t> {
    entries: Table<'t, &'static str, &'static [u8]>,
    expiring: Table<'t, (u64, &'static str), i64>,
}

impl Tables<'_> {
    /// What is wrong with an entry is the answer to its swap; what is wrong with the file is an error.
    fn swap(&mut self, swap: &Swap, next: Version, now: Now) -> Result<Answer, Error> {
        let key = swap.key.as_str();
        let held = match self.entries.get(key)? {
            None => None,
            Some(stored) => match Row::peek(&swap.key, stored.value()) {
                Ok(row) => Some((row.version, row.keep)),
                Err(error) => return Ok(Err(error)),
            },
        };
        let live = held.filter(|(_, keep)| keep.is_none_or(|until| !now.is_past(until)));
        if live.map(|(version, _)| version) != swap.expect {
            return Ok(Ok(None));
        }
        if let Some(until) = held.and_then(|(_, keep)| keep) {
            self.expiring.remove((until.open, key))?;
        }
        match &swap.value {
            None => {
                self.entries.remove(key)?;
            }
            Some(value) => {
                let row = Row { version: next, keep: now.until(&swap.keep), value };
                self.put(&swap.key, &row)?;
            }
        }
        Ok(Ok(Some(next)))
    }

    fn put(&mut self, key: &Key, row: &Row<'_>) -> Result<(), Error> {
        self.entries.insert(key.as_str(), &*row.write(key))?;
        if let Some(until) = row.keep {
            self.expiring.insert((until.open, key.as_str()), until.named)?;
        }
        Ok(())
    }

    /// Forgets up to `most` entries that are past, the oldest first. Two for each swap: more than come in.
    fn sweep(&mut self, now: Now, most: usize) -> Result<(), Error> {
        let mut ripe = Vec::new();
        for row in self.expiring.range(..(now.open.saturating_add(1), ""))?.take(most) {
            let (key, named) = row?;
            let (open, key) = key.value();
            ripe.push((Key::from_stored(key), Until { named: named.value(), open }));
        }
        for (key, until) in ripe {
            self.expiring.remove((until.open, key.as_str()))?;
            let forget = now.is_past(until);
            let stored = self.entries.get(key.as_str())?.map(|stored| stored.value().to_vec());
            // One that does not read is kept, for whoever comes to repair it.
            let Some(row) = stored.as_deref().and_then(|stored| Row::read(&key, stored).ok())
            else {
                continue;
            };
            if row.keep != Some(until) {
                continue;
            }
            if forget {
                self.entries.remove(key.as_str())?;
            } else {
                self.put(&key, &Row { keep: Some(now.again(until)), ..row })?;
            }
        }
        Ok(())
    }
}
