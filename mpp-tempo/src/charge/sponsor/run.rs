//! One run of settling a sponsored payment, and what it leaves for the next: promise, sign, write down, and only then send.
//!
//! In order: [`Sponsor::judge`] and [`Sponsor::has_room`], which write nothing; [`Sponsor::reserve`], a simulation,
//! [`Sponsor::cosign`], the sending, [`Sponsor::ended`]. Each step takes what the one before gave, so none can be left
//! out. Whoever goes on after a crash begins with [`Sponsor::cosigned`].

use std::{fmt, time::Duration};

use alloy::primitives::{Address, B256};
use mpp_core::store::StoreError;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Approved, Sponsor, Unsponsored,
    book::{Book, NoPlace},
    record::Record,
};
use crate::chain::{
    signature::Signature,
    signer::SignerError,
    transaction::{self, Signed},
};

/// How long a payment that waits for its sender's earlier one sleeps at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// A payment whose fee is promised, and nothing signed. This run's turn, until it is used or another run takes it over.
#[derive(Debug)]
pub(crate) struct Reserved {
    approved: Approved,
    turn: u64,
}

/// A payment that is signed by both and on record, and may be sent.
pub(crate) struct Cosigned {
    id: B256,
    signed: Signed,
    /// Who paid the fee: the sponsor of when it was signed.
    sponsor: Address,
}

/// A payment that another run left behind.
#[derive(Debug)]
pub(crate) struct Left {
    id: B256,
    /// Of the sponsored whole.
    pub(crate) hash: B256,
}

impl Cosigned {
    /// What is sent.
    pub(crate) fn signed(&self) -> &Signed {
        &self.signed
    }
}

/// A signed transaction is money.
impl fmt::Debug for Cosigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigned").field("hash", &self.signed.hash()).finish_non_exhaustive()
    }
}

impl Sponsor {
    /// Promises the fee within the budget, or takes over what an earlier run for the same payment promised.
    ///
    /// Waits while an earlier payment of the sender is under way, as long as the policy says; a budget that is in use is
    /// not waited for.
    ///
    /// # Errors
    /// [`Unsponsored`]; nothing was signed. A crash, or an error of the store, may leave a promise that lasts for its lease.
    pub(crate) async fn reserve(&self, approved: &Approved) -> Result<Reserved, Unsponsored> {
        let since = Instant::now();
        let (mut pause, longest) = PAUSES;
        loop {
            self.is_sendable(approved)?;
            match self.try_reserve(approved).await? {
                Ok(turn) => return Ok(Reserved { approved: *approved, turn }),
                Err(NoPlace::Full) => return Err(Unsponsored::Full),
                Err(NoPlace::Busy)
                    if since.elapsed().saturating_add(pause) > self.policy.patience =>
                {
                    return Err(Unsponsored::Busy);
                }
                Err(NoPlace::Busy) => sleep(pause).await,
            }
            pause = longest.min(pause.saturating_mul(2));
        }
    }

    async fn try_reserve(&self, approved: &Approved) -> Result<Result<u64, NoPlace>, Unsponsored> {
        let now = self.now().unix_millis();
        let reserve = |book: &mut Book| book.reserve(approved, &self.policy, now);
        self.keeper.try_change(self.address(), reserve).await.map_err(Unsponsored::Books)
    }

    /// The sender's other payments that were co-signed and are not known to be over, each by what the chain would know it
    /// by: a run that did not wait, or that died, leaves them behind.
    ///
    /// # Errors
    /// [`Unsponsored::Books`].
    pub(crate) async fn left_open(&self, approved: &Approved) -> Result<Vec<Left>, Unsponsored> {
        let book = self.keeper.book(self.address()).await.map_err(Unsponsored::Books)?;
        let mut left = Vec::new();
        for held in &book.live {
            if held.sender != approved.sender || held.id == approved.id {
                continue;
            }
            let (_, record) = self.keeper.record(held.id).await.map_err(Unsponsored::Books)?;
            left.extend(record.map(|record| Left { id: held.id, hash: record.hash }));
        }
        Ok(left)
    }

    /// Says that a payment which another run left behind was mined: its fee counts no more.
    ///
    /// # Errors
    /// [`Unsponsored::Books`]: its fee counts until the transaction is over.
    pub(crate) async fn was_mined(&self, left: &Left) -> Result<(), Unsponsored> {
        let end = |book: &mut Book| book.end(left.id);
        self.keeper.change(self.address(), end).await.map_err(Unsponsored::Books)
    }

    /// Signs as sponsor, and writes the signature down; or finds what was written down before.
    ///
    /// What it returns may be sent. Where the signer fails, the promise is taken back, if nobody else may be signing.
    ///
    /// # Errors
    /// [`Unsponsored`]; no signature of this run has left, and one of another may be on record.
    pub(crate) async fn cosign(
        &self,
        reserved: Reserved,
        signed: &Signed,
    ) -> Result<Cosigned, Unsponsored> {
        let Reserved { approved, turn } = reserved;
        if signed.transaction.expiring_nonce_hash(sender_of(signed)?) != approved.id {
            return Err(Unsponsored::NotApproved);
        }
        // From here on the promise counts until the transaction is over; a crash leaves that, and nothing signed.
        let begin = |book: &mut Book| book.begin(&approved, turn);
        let begun = self.keeper.change(self.address(), begin).await.map_err(Unsponsored::Books)?;
        if let Some(before) = self.recorded(approved.id, signed).await? {
            return Ok(self.instead(reserved, before).await);
        }
        if !begun {
            return Err(Unsponsored::Lapsed);
        }
        match self.sign(&approved, signed).await {
            // A crash here leaves nothing: the signature is nowhere but in memory.
            Ok((record, whole)) => self.write_down(reserved, signed, record, whole).await,
            Err(cause) => {
                // A crash here, or a store that does not answer, leaves a promise that counts until the transaction is over.
                let _ = self.withdraw(reserved).await;
                Err(cause)
            }
        }
    }

    async fn sign(
        &self,
        approved: &Approved,
        signed: &Signed,
    ) -> Result<(Record, Signed), Unsponsored> {
        self.is_sendable(approved)?;
        let hash = signed.sponsor_hash(approved.fee_token)?;
        let foreign = || Unsponsored::Signer(SignerError::Foreign);
        let signing = timeout(self.policy.signing_deadline, self.signer.sign(hash)).await;
        let late = |late| Unsponsored::Signer(SignerError::Refused(Box::new(late)));
        let Signature::Secp256k1(ecdsa) = signing.map_err(late)?.map_err(Unsponsored::Signer)?
        else {
            return Err(foreign());
        };
        if ecdsa.recover(hash).ok() != Some(self.address()) {
            return Err(foreign());
        }
        // A signer far away takes its time, in which the promise may have come to its end.
        self.is_sendable(approved)?;
        let whole = signed.clone().sponsored_with(approved.fee_token, ecdsa)?;
        Ok((Record::new(self.address(), approved.fee_token, ecdsa, &whole), whole))
    }

    /// The one write after which the signature may leave.
    async fn write_down(
        &self,
        reserved: Reserved,
        signed: &Signed,
        record: Record,
        whole: Signed,
    ) -> Result<Cosigned, Unsponsored> {
        let approved = &reserved.approved;
        let written = self.keeper.write_down(approved, &record, self.now()).await;
        if written.map_err(Unsponsored::Unwritten)? {
            // A crash from here on leaves the record, by which the next run sends these very bytes.
            return Ok(Cosigned { id: approved.id, signed: whole, sponsor: self.address() });
        }
        // Another run was first. Both signed; only what is on record ever leaves.
        let gone = || Unsponsored::Unwritten(StoreError::unavailable("a record is gone"));
        let before =
            self.recorded(approved.id, signed).await.map_err(Unsponsored::after_signing)?;
        let before = before.ok_or_else(gone)?;
        Ok(self.instead(reserved, before).await)
    }

    /// Goes on with what another run has signed. Of another sponsor's signature, this one owes nothing.
    async fn instead(&self, reserved: Reserved, before: Cosigned) -> Cosigned {
        if before.sponsor != self.address() {
            // If this is lost, the promise counts for nothing until it is over.
            let _ = self.withdraw(reserved).await;
        }
        before
    }

    /// What was co-signed before, byte for byte. `None`: no signature has left, up to now.
    ///
    /// # Errors
    /// [`Unsponsored::Books`] where that cannot be told, [`Unsponsored::Otherwise`].
    pub(crate) async fn cosigned(&self, signed: &Signed) -> Result<Option<Cosigned>, Unsponsored> {
        let id = signed.transaction.expiring_nonce_hash(sender_of(signed)?);
        self.recorded(id, signed).await
    }

    async fn recorded(&self, id: B256, signed: &Signed) -> Result<Option<Cosigned>, Unsponsored> {
        let (key, record) = self.keeper.record(id).await.map_err(Unsponsored::Books)?;
        let Some(record) = record else { return Ok(None) };
        let whole = record.rebuild(&key, signed).map_err(Unsponsored::Books)?;
        let signed = whole.ok_or(Unsponsored::Otherwise)?;
        Ok(Some(Cosigned { id, signed, sponsor: record.sponsor }))
    }

    /// Takes a promise back that nothing was signed for. `false`: another run may have signed, and the promise stays.
    ///
    /// # Errors
    /// [`Unsponsored::Books`]: the promise lasts for its lease.
    pub(crate) async fn withdraw(&self, reserved: Reserved) -> Result<bool, Unsponsored> {
        let Reserved { approved, turn } = reserved;
        let withdraw = |book: &mut Book| book.withdraw(approved.id, turn);
        self.keeper.change(self.address(), withdraw).await.map_err(Unsponsored::Books)
    }

    /// Says that what became of a payment is not known: its fee counts until the transaction is over.
    ///
    /// # Errors
    /// [`Unsponsored::Books`]: it counts all the same.
    pub(crate) async fn pending(&self, cosigned: &Cosigned) -> Result<(), Unsponsored> {
        self.note(cosigned, Book::leave_open).await
    }

    /// Says that a payment was mined, or that it can no longer be: its fee counts no more. Only the chain can tell.
    ///
    /// # Errors
    /// [`Unsponsored::Books`]: its fee counts until the transaction is over.
    pub(crate) async fn ended(&self, cosigned: &Cosigned) -> Result<(), Unsponsored> {
        self.note(cosigned, Book::end).await
    }

    async fn note(
        &self,
        cosigned: &Cosigned,
        note: fn(&mut Book, B256),
    ) -> Result<(), Unsponsored> {
        let note = |book: &mut Book| note(book, cosigned.id);
        self.keeper.change(cosigned.sponsor, note).await.map_err(Unsponsored::Books)
    }

    fn is_sendable(&self, approved: &Approved) -> Result<(), Unsponsored> {
        if approved.is_sendable(&self.now()) { Ok(()) } else { Err(Unsponsored::Ending) }
    }
}

fn sender_of(signed: &Signed) -> Result<Address, Unsponsored> {
    signed.sender().map_err(|cause| transaction::SponsorError::from(cause).into())
}
