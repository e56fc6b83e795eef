//! All channels of a payer, behind one lock that nobody waits under; who is opening one, and who waits for that.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mpp_core::{
    Amount,
    payer::{Hold, Outcome, PayError},
    store::StoreError,
};
use tokio::sync::Notify;

use super::{
    super::{ChannelId, SessionReceipt},
    channel::{Channel, Claimed, Life, Short},
    limits::Limits,
    seat::Seat,
    store::Kept,
};

/// Channels, in memory and in their store.
pub(super) struct Shelf {
    kept: Kept,
    book: Mutex<Book>,
    /// Told whenever something is no more out.
    pub(super) changed: Notify,
}

/// What the lock guards.
#[derive(Default)]
pub(super) struct Book {
    pub(super) channels: HashMap<ChannelId, Channel>,
    /// The channel that each seat is served from.
    seats: HashMap<Seat, ChannelId>,
    /// Seats for which somebody is about to open one.
    opening: HashSet<Seat>,
    /// The signed transactions of openings and top-ups that are in doubt: shown again, they lock no second deposit.
    pub(super) signed: HashMap<ChannelId, Again>,
    /// Channels that have ended and are still written down.
    pub(super) ended: Vec<ChannelId>,
    /// Whose turn it is to write a channel down: of two writers, the later writes what is later.
    writing: HashMap<ChannelId, Arc<Turns>>,
}

type Turns = tokio::sync::Mutex<()>;

/// A transaction that may be shown again. Not in `Debug`: it is money.
#[derive(Clone)]
pub(super) struct Again {
    pub(super) transaction: String,
    pub(super) until: u64,
}

/// What is to be done for a challenge.
pub(super) enum Next {
    /// A voucher for this claim.
    Voucher(Claim),
    /// So much more deposit first.
    TopUp(Turn, Amount),
    /// A channel has to be opened first.
    Open(Turn),
    /// Somebody else is at it.
    Wait,
    /// The chain is to be asked about this channel first.
    Ask(ChannelId),
    /// Nothing can be.
    Never(Short),
}

/// What a challenge costs: its price, the least step that its server takes, and what goes with that.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) price: Amount,
    pub(super) step: Amount,
    /// What is deposited at first, and added at a time where nobody says otherwise.
    pub(super) usual: Amount,
}

impl Book {
    pub(super) fn at(&self, seat: &Seat) -> Option<&Channel> {
        let channel = self.channels.get(self.seats.get(seat)?)?;
        let serves = !matches!(channel.life, Life::Ended | Life::Stranded);
        serves.then_some(channel)
    }

    pub(super) fn at_mut(&mut self, seat: &Seat) -> Option<&mut Channel> {
        let id = self.at(seat)?.id;
        self.channels.get_mut(&id)
    }

    pub(super) fn is_opening(&self, seat: &Seat) -> bool {
        self.opening.contains(seat)
    }

    fn forget(&mut self, id: ChannelId) {
        self.signed.remove(&id);
        self.writing.remove(&id);
        if let Some(channel) = self.channels.remove(&id)
            && self.seats.get(&channel.seat()) == Some(&id)
        {
            self.seats.remove(&channel.seat());
        }
    }

    /// Puts in a channel that was taken up, unless it is known: what is in flight in it must not be forgotten.
    pub(super) fn take_up(&mut self, channel: Channel) {
        let known = self.channels.get(&channel.id);
        if known.is_none_or(|known| known.life == Life::Stranded) {
            self.put(channel);
        }
    }

    /// Puts in a channel that was found, unless it came to be known meanwhile.
    pub(super) fn put_unknown(&mut self, channel: Channel) -> bool {
        let unknown = !self.channels.contains_key(&channel.id);
        if unknown {
            self.put(channel);
        }
        unknown
    }

    /// Puts a channel in, and has its seat served from it unless a better one is there.
    pub(super) fn put(&mut self, channel: Channel) {
        let (seat, id) = (channel.seat(), channel.id);
        let better = self
            .at(&seat)
            .is_none_or(|there| there.life == Life::Opening && channel.life == Life::Open);
        let serves = !matches!(channel.life, Life::Ended | Life::Stranded);
        self.channels.insert(id, channel);
        if serves && better {
            self.seats.insert(seat, id);
        }
    }
}

impl Shelf {
    pub(super) fn new(kept: Kept, channels: Vec<Channel>) -> Self {
        let mut book = Book::default();
        channels.into_iter().for_each(|channel| book.put(channel));
        Self { kept, book: Mutex::new(book), changed: Notify::new() }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        // Every change under it is one assignment after another that cannot panic between; poison says nothing.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel as it is now.
    pub(super) fn channel(&self, id: ChannelId) -> Option<Channel> {
        self.book().channels.get(&id).cloned()
    }

    /// Changes a channel, and tells who waits.
    pub(super) fn change<T>(
        &self,
        id: ChannelId,
        change: impl FnOnce(&mut Channel) -> T,
    ) -> Option<T> {
        let mut book = self.book();
        let changed = book.channels.get_mut(&id).map(|channel| {
            let changed = change(channel);
            (changed, channel.life == Life::Ended)
        });
        if let Some((_, true)) = changed
            && !book.ended.contains(&id)
        {
            book.ended.push(id);
        }
        drop(book);
        self.changed.notify_waiters();
        changed.map(|(changed, _)| changed)
    }

    /// Writes a channel down as it is by then; durable once this answers.
    pub(super) async fn save(&self, id: ChannelId) -> Result<(), StoreError> {
        let writing = {
            let mut book = self.book();
            if !book.channels.contains_key(&id) {
                return Ok(());
            }
            book.writing.entry(id).or_default().clone()
        };
        let _turn = writing.lock().await;
        if self.kept.write(id, || self.channel(id)).await? {
            self.book().forget(id);
        }
        Ok(())
    }

    /// Forgets what has ended. Where the store does not answer, it is tried again later.
    pub(super) async fn sweep(&self) {
        let ended = std::mem::take(&mut self.book().ended);
        for id in ended {
            if self.save(id).await.is_err() {
                self.book().ended.push(id);
            }
        }
    }

    /// The same, for who must not let anything leave without.
    pub(super) async fn save_first(&self, id: ChannelId) -> Result<(), PayError> {
        self.save(id).await.map_err(|cause| {
            PayError::untouched("the channel could not be written down").because(cause)
        })
    }

    /// Decides what is to be done for a challenge, and takes the claim or the turn to do it.
    pub(super) fn next(self: &Arc<Self>, seat: &Seat, cost: Cost, limits: &Limits) -> Next {
        let mut book = self.book();
        if book.is_opening(seat) {
            return Next::Wait;
        }
        let Some(channel) = book.at_mut(seat) else {
            book.opening.insert(*seat);
            return Next::Open(Turn::new(self, Busy::Seat(*seat, None)));
        };
        let id = channel.id;
        match channel.life {
            Life::Opening | Life::Closing if channel.now.busy => return Next::Wait,
            Life::Opening | Life::Closing | Life::Leaving => return Next::Ask(id),
            _ if channel.now.doubt.is_some() => return Next::Ask(id),
            _ => {}
        }
        match channel.claim(cost.price, cost.step, limits) {
            Ok(claimed) => Next::Voucher(Claim::new(self, id, claimed, *limits)),
            Err(Short::Deposit(_)) if channel.now.busy => Next::Wait,
            Err(Short::Deposit(_)) if channel.is_adding() => Next::Ask(id),
            Err(Short::Deposit(short)) => match limits.more(short, cost.usual, channel.deposit) {
                Some(more) => {
                    channel.now.busy = true;
                    Next::TopUp(Turn::new(self, Busy::Channel(id)), more)
                }
                None => Next::Never(Short::Limit),
            },
            Err(short) => Next::Never(short),
        }
    }

    /// Takes the turn to top a channel up, unless somebody has it.
    pub(super) fn turn(self: &Arc<Self>, id: ChannelId) -> Option<Turn> {
        let mut book = self.book();
        let channel = book.channels.get_mut(&id)?;
        if channel.now.busy || channel.is_adding() {
            return None;
        }
        channel.now.busy = true;
        Some(Turn::new(self, Busy::Channel(id)))
    }
}

impl Shelf {
    /// Takes the turn to send what a channel has signed already, or its close, unless somebody is at it.
    pub(super) fn seize(self: &Arc<Self>, id: ChannelId) -> Option<Turn> {
        let mut book = self.book();
        let channel = book.channels.get_mut(&id).filter(|channel| !channel.now.busy)?;
        channel.now.busy = true;
        Some(Turn::new(self, Busy::Again(id)))
    }
}

/// A part of a channel's money that is about to be sent, or was: taken back where nothing was sent.
pub(super) struct Claim {
    shelf: Arc<Shelf>,
    pub(super) id: ChannelId,
    pub(super) claimed: Claimed,
    limits: Limits,
    sent: bool,
}

impl Claim {
    pub(super) fn new(shelf: &Arc<Shelf>, id: ChannelId, claimed: Claimed, limits: Limits) -> Self {
        Self { shelf: shelf.clone(), id, claimed, limits, sent: false }
    }

    /// Somebody else hears what becomes of it, and needs its limits for that.
    pub(super) fn hand_over(mut self) -> Limits {
        self.sent = true;
        self.limits
    }

    /// What is told of the voucher is told to its channel.
    pub(super) fn hold(mut self) -> Hold {
        self.sent = true;
        let (shelf, id) = (self.shelf.clone(), self.id);
        let (claimed, limits) = (self.claimed, self.limits);
        Hold::new(move |outcome| {
            shelf.change(id, |channel| told(channel, claimed, &outcome, &limits));
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.sent {
            self.shelf.change(self.id, |channel| channel.take_back(self.claimed));
        }
    }
}

/// What a voucher came to.
pub(super) fn told(channel: &mut Channel, claimed: Claimed, outcome: &Outcome, limits: &Limits) {
    match outcome {
        Outcome::Accepted(receipt) => {
            let receipt = SessionReceipt::read(receipt).filter(|read| is_of(read, channel.id));
            channel.accepted(claimed, receipt.as_ref());
        }
        Outcome::Refused(problem) => channel.refused(claimed, problem.as_deref(), limits),
        _ => channel.unknown(claimed),
    }
}

/// Whether a receipt is of a channel.
pub(super) fn is_of(receipt: &SessionReceipt, id: ChannelId) -> bool {
    receipt.channel_id.parse() == Ok(id)
}

/// The turn to do what only one may do at a time; given back where nothing came of it.
pub(super) struct Turn {
    shelf: Arc<Shelf>,
    of: Busy,
    taken: bool,
}

enum Busy {
    /// A channel is to be opened.
    Seat(Seat, Option<ChannelId>),
    /// A channel is to be added to.
    Channel(ChannelId),
    /// Something of a channel's is to be shown again, or it is to be closed.
    Again(ChannelId),
}

impl Turn {
    fn new(shelf: &Arc<Shelf>, of: Busy) -> Self {
        Self { shelf: shelf.clone(), of, taken: false }
    }

    /// The channel is about to be opened: it is in the book from here on, and its seat waits for it.
    pub(super) fn opens(&mut self, channel: Channel) {
        if let Busy::Seat(_, id) = &mut self.of {
            *id = Some(channel.id);
        }
        self.shelf.book().put(channel);
    }

    /// Somebody else gives it back: who hears what became of it.
    pub(super) fn hand_over(mut self) {
        self.taken = true;
        if let Busy::Seat(seat, _) = &self.of {
            self.shelf.book().opening.remove(seat);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        {
            let mut book = self.shelf.book();
            match &self.of {
                Busy::Seat(seat, id) => {
                    book.opening.remove(seat);
                    if let Some(id) = id {
                        book.forget(*id);
                    }
                }
                Busy::Channel(id) => {
                    if let Some(channel) = book.channels.get_mut(id) {
                        // Nothing has left: there is nothing that could be mined.
                        channel.now.busy = false;
                        channel.adds_nothing();
                    }
                }
                Busy::Again(id) => {
                    if let Some(channel) = book.channels.get_mut(id) {
                        channel.now.busy = false;
                    }
                }
            }
        }
        self.shelf.changed.notify_waiters();
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}
