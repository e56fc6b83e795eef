//! One channel as its payer counts it: deposited, signed, spent, in flight. Arithmetic, and nothing that waits.
//!
//! Whatever is heard and in whatever order: `signed` never falls and never exceeds the deposit or the payer's own limit, and
//! what was charged and what is in flight is never more than was signed.

use alloy::primitives::Address;
use mpp_core::{Amount, problem::Problem};
use serde::{Deserialize, Serialize};

use super::{
    super::{ChannelId, Descriptor, SessionReceipt},
    adding::{Adding, Wished},
    limits::Limits,
    seat::{Seat, Version},
};

/// A channel, as it is kept. What has no place in a store is gone after a restart, and so a question to the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) version: Version,
    pub(super) chain_id: u64,
    #[serde(with = "spelled")]
    pub(super) escrow: Address,
    /// Of version 1 without the operator and the hash, which such a channel does not have.
    pub(super) made_of: Descriptor,
    pub(super) life: Life,
    /// What lies in it in all.
    pub(super) deposit: Amount,
    /// The most that a voucher was ever signed for. Never falls.
    pub(super) signed: Amount,
    /// What of it was signed for something: the prices of requests, and all of it when a stream last delivered. Beyond it a
    /// server may be ahead by so much and no more.
    pub(super) earned: Amount,
    /// The most that the server said it accepted, of what was signed.
    pub(super) accepted: Amount,
    /// The most that the server said was spent, of what was signed; nothing where its receipts do not say.
    pub(super) said: Option<Amount>,
    /// What was charged by our own count; in a store, with what was in flight.
    pub(super) charged: Amount,
    /// The second of the chain's until which the transaction that opens it can be mined.
    pub(super) until: u64,
    /// The chain showed it once: missing from then on, it has ended.
    pub(super) shown: bool,
    /// The last top-up, as long as the chain has not shown it.
    pub(super) adding: Option<Adding>,
    /// The end of the last top-up of which the chain has said what became of it. An earlier one is never out again.
    pub(super) cleared: u64,
    /// The origin it was used at last.
    pub(super) site: Option<String>,
    #[serde(skip)]
    pub(super) now: Now,
}

/// How far a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Life {
    /// A transaction was signed that opens it.
    Opening,
    Open,
    /// Found on the chain, without a word of what was signed for it: only good for being taken back.
    Stranded,
    /// A close was signed.
    Closing,
    /// The payer asked for its money back.
    Leaving,
    /// There is none, or no more.
    Ended,
}

/// What only the running process knows of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// The costs of requests whose answers are not here.
    pub(super) in_flight: Amount,
    /// The credential that opens it or adds to it is out, and nobody has said what became of it.
    pub(super) busy: bool,
    /// What the chain must be asked about before anything more is signed.
    pub(super) doubt: Option<Doubt>,
    /// The server asked for more than our count, and was given it; not again before it has accepted something.
    bumped: bool,
    /// What a close is signed for, where less was refused.
    closing_at: Option<Amount>,
    /// A stream's last need was met in part.
    part: bool,
    /// No close is taken, for whatever this payer would sign.
    pub(super) close_stuck: bool,
    /// The server said that it closed it: its word, until the chain says so.
    pub(super) closed: bool,
    /// The chain's second at which it was missing for the first time, since it was seen there.
    missed: Option<u64>,
    /// What was wished unasked, and not granted yet.
    pub(super) wished: Vec<Wished>,
    /// The challenge whose wish for a top-up was granted, and nothing signed since.
    pub(super) granted: Option<String>,
}

/// Why the chain has to be asked about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The server says that it is no more, or never was.
    Gone,
    /// The server counts its deposit otherwise.
    Deposit,
}

/// What the chain says of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnChain {
    pub(super) deposit: Amount,
    pub(super) settled: Amount,
    pub(super) closing: bool,
    pub(super) gone: bool,
    /// It was there, and has ended.
    pub(super) over: bool,
    /// Its latest block's second, read before the channel.
    pub(super) at: u64,
}

/// A voucher's share of what is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) cost: Amount,
    pub(super) cumulative: Amount,
}

/// Why nothing is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// So much more deposit is needed.
    Deposit(Amount),
    /// No deposit within the limits is enough.
    Limit,
    /// The server takes no smaller step than one that is larger than allowed.
    Step,
}

impl Channel {
    /// A channel of which nothing is known but that it may come to be.
    pub(super) fn of(seat: &Seat, id: ChannelId, made_of: Descriptor, life: Life) -> Self {
        Self {
            id,
            version: seat.version,
            chain_id: seat.chain_id,
            escrow: seat.escrow,
            made_of,
            life,
            deposit: Amount::ZERO,
            signed: Amount::ZERO,
            earned: Amount::ZERO,
            accepted: Amount::ZERO,
            said: None,
            charged: Amount::ZERO,
            until: 0,
            shown: false,
            adding: None,
            cleared: 0,
            site: None,
            now: Now::default(),
        }
    }

    /// Who is served from it.
    pub(super) fn seat(&self) -> Seat {
        Seat {
            version: self.version,
            chain_id: self.chain_id,
            escrow: self.escrow,
            payer: self.made_of.payer,
            payee: self.made_of.payee,
            operator: self.made_of.operator,
            token: self.made_of.token,
            signer: self.made_of.authorized_signer,
        }
    }

    /// What our own count comes to, with what is in flight.
    pub(super) fn counted(&self) -> Amount {
        plus(self.charged, self.now.in_flight)
    }

    /// The most that a voucher may be signed for.
    pub(super) fn ceiling(&self, limits: &Limits) -> Amount {
        self.deposit.min(limits.max_deposit)
    }

    /// What of the ceiling is not counted yet.
    pub(super) fn left(&self, limits: &Limits) -> Amount {
        self.ceiling(limits).saturating_sub(self.counted())
    }

    /// Whether so much more can be had, and what would be signed for it. Changes nothing.
    pub(super) fn quote(
        &self,
        cost: Amount,
        step: Amount,
        limits: &Limits,
    ) -> Result<Amount, Short> {
        let wanted = self.counted().checked_add(cost).ok_or(Short::Limit)?;
        if wanted > limits.max_deposit {
            return Err(Short::Limit);
        }
        let least = if wanted > self.signed { plus(self.signed, step) } else { self.signed };
        let cumulative = wanted.max(least);
        let earned = plus(self.earned, cost);
        if cumulative > self.signed && cumulative.saturating_sub(earned) > limits.ahead.max(cost) {
            return Err(Short::Step);
        }
        match cumulative.saturating_sub(self.ceiling(limits)) {
            Amount::ZERO => Ok(cumulative),
            _ if cumulative > limits.max_deposit => Err(Short::Limit),
            short => Err(Short::Deposit(short)),
        }
    }

    /// Claims so much more: what the voucher is to be signed for. It counts as signed from here on.
    pub(super) fn claim(
        &mut self,
        cost: Amount,
        step: Amount,
        limits: &Limits,
    ) -> Result<Claimed, Short> {
        let cumulative = self.quote(cost, step, limits)?;
        self.signed = self.signed.max(cumulative);
        self.earned = plus(self.earned, cost).min(self.signed);
        self.now.granted = None;
        self.now.in_flight = plus(self.now.in_flight, cost);
        Ok(Claimed { cost, cumulative: self.signed })
    }

    /// Whether a stream's need may be signed for: the channel is there, or is being opened for that very stream, and nothing is
    /// in doubt.
    pub(super) fn streams(&self) -> bool {
        let there = match self.life {
            Life::Open => true,
            Life::Opening => self.now.busy,
            _ => false,
        };
        there && self.now.doubt.is_none()
    }

    /// A stream delivered something: what it was given was for that.
    pub(super) fn delivered(&mut self) {
        self.earned = self.signed;
    }

    /// The most that a stream is given, whatever it asks for: so much beyond what it has earned, however often it asks.
    pub(super) fn bound(&self, unit: Amount, limits: &Limits) -> Amount {
        plus(self.earned, limits.ahead.max(unit)).min(limits.max_deposit)
    }

    /// Whether a need was met as far as it is going to be: in part, and that part was accepted. It is said once; a stream that
    /// asks again without having delivered anything is refused.
    pub(super) fn met_in_part(&mut self, unit: Amount, limits: &Limits) -> bool {
        let part = std::mem::take(&mut self.now.part);
        part && self.accepted >= self.bound(unit, limits)
    }

    /// Signs for a total that a server asks for: no more than its ceiling, and no more than its bound, where that is a unit more
    /// than was accepted.
    pub(super) fn raise_to(
        &mut self,
        required: Amount,
        unit: Amount,
        limits: &Limits,
    ) -> Result<Amount, Short> {
        let bound = self.bound(unit, limits);
        if required > bound && plus(self.accepted, unit) > bound {
            return Err(if bound == limits.max_deposit { Short::Limit } else { Short::Step });
        }
        let part = required > bound;
        let required = required.min(bound);
        match required.saturating_sub(self.ceiling(limits)) {
            Amount::ZERO => {}
            short => return Err(Short::Deposit(short)),
        }
        self.now.part = part;
        self.signed = self.signed.max(required);
        self.now.granted = None;
        Ok(self.signed)
    }

    /// The server took a voucher.
    pub(super) fn accepted(&mut self, claim: Claimed, receipt: Option<&SessionReceipt>) {
        self.take_back(claim);
        self.charged = plus(self.charged, claim.cost).min(self.signed);
        self.accepted = self.accepted.max(claim.cumulative.min(self.signed));
        self.now.bumped = false;
        if let Some(receipt) = receipt {
            self.hear(receipt.accepted_cumulative, receipt.spent);
        }
    }

    /// The server refused a voucher: what it signed stays signed, and nothing was charged for it.
    pub(super) fn refused(&mut self, claim: Claimed, problem: Option<&Problem>, limits: &Limits) {
        self.take_back(claim);
        let Some(problem) = problem else { return };
        match problem.suffix() {
            "session/insufficient-balance" if !self.now.bumped => {
                let asked = problem.extra.get("requiredTopUp").and_then(|text| text.as_str());
                let asked = asked.and_then(|digits| Amount::parse(digits).ok());
                let short = asked.unwrap_or(claim.cost).min(limits.ahead.max(claim.cost));
                // The next voucher is for so much more than the best one.
                let room = self.signed.saturating_sub(self.now.in_flight);
                let count = plus(room, short).saturating_sub(claim.cost);
                self.charged = self.charged.max(count.min(room));
                self.now.bumped = true;
            }
            "session/channel-not-found" | "session/channel-finalized" => {
                self.now.doubt = Some(Doubt::Gone);
            }
            "session/amount-exceeds-deposit" => self.now.doubt = Some(Doubt::Deposit),
            _ => {}
        }
    }

    /// Nobody knows: it may have been charged.
    pub(super) fn unknown(&mut self, claim: Claimed) {
        self.take_back(claim);
        self.charged = plus(self.charged, claim.cost).min(self.signed);
    }

    /// The claim is no more in flight.
    pub(super) fn take_back(&mut self, claim: Claimed) {
        self.now.in_flight = self.now.in_flight.saturating_sub(claim.cost);
    }

    /// Hears where the server's count stands. It cannot have been paid more than was signed, nor for more than was asked of it,
    /// and may say less than it did before. While something is in flight, its share of the count cannot be told from the
    /// server's.
    pub(super) fn hear(&mut self, accepted: Amount, spent: Amount) {
        self.accepted = self.accepted.max(accepted.min(self.signed));
        let most = self.earned.max(self.counted()).min(self.signed);
        let said = self.said.unwrap_or_default().max(spent.min(most));
        self.said = Some(said);
        let apart = said.saturating_sub(self.now.in_flight);
        self.charged = if self.now.in_flight.is_zero() { said } else { self.charged.max(apart) };
    }

    /// A stream has used up what was accepted, by its word: its share of the count, and no more than was signed.
    pub(super) fn used_up(&mut self, accepted: Amount) {
        self.accepted = self.accepted.max(accepted.min(self.signed));
        let used = accepted.min(self.signed).saturating_sub(self.now.in_flight);
        self.charged = self.charged.max(used);
    }

    /// What was spent, as far as is known: what a close is for.
    pub(super) fn spent(&self) -> Amount {
        self.said.unwrap_or(self.charged).min(self.signed)
    }

    /// What the next close is signed for.
    pub(super) fn closing_at(&self) -> Amount {
        self.now.closing_at.unwrap_or_default().max(self.spent()).min(self.signed)
    }

    /// The server refused a close for so little. It has better vouchers already, so the next is for more of what they are
    /// good for, where the contract does not take all of it; where it does, for what the server says that was spent.
    pub(super) fn close_refused(&mut self, problem: Option<&Problem>) {
        let at = self.closing_at();
        let told = problem.and_then(|problem| problem.extra.get("spent")?.as_str());
        let told = told.and_then(|digits| Amount::parse(digits).ok()).filter(|told| *told > at);
        let next = match (told, self.version) {
            (Some(told), _) => told,
            (None, Version::V1) => at,
            (None, Version::V2) if self.charged > at => self.charged,
            (None, Version::V2) => self.signed,
        };
        let next = next.min(self.signed);
        self.now.close_stuck = next <= at;
        self.now.closing_at = Some(next);
    }

    /// Brings it in line with the chain. What can still be mined is neither forgotten nor counted as missing.
    pub(super) fn seen(&mut self, chain: &OnChain, margin: u64) {
        let over = |until: u64| chain.at > until.saturating_add(margin);
        if chain.gone {
            // A node that is behind misses what was seen already: without a log, once is not enough.
            let missed = *self.now.missed.get_or_insert(chain.at);
            let past = if self.shown { over(missed) } else { over(self.until) };
            if (chain.over || past) && !self.now.busy {
                self.life = Life::Ended;
            }
            return;
        }
        self.shown = true;
        self.now.missed = None;
        match self.life {
            Life::Ended => return,
            Life::Opening | Life::Closing if !self.now.busy => {
                // Closed, by the server's word alone.
                (self.life, self.now.closed) = (Life::Open, false);
            }
            Life::Open if chain.closing => self.life = Life::Leaving,
            Life::Leaving if !chain.closing => self.life = Life::Open,
            _ => {}
        }
        match self.adding {
            Some(adding) if chain.deposit < adding.to && (self.now.busy || !over(adding.until)) => {
                self.deposit = self.deposit.max(chain.deposit);
                return;
            }
            // Whoever is at it hears of it, and counts it once.
            Some(_) if self.now.busy => {}
            _ => self.clear_adding(),
        }
        self.deposit = chain.deposit;
        if self.now.doubt == Some(Doubt::Deposit) {
            self.now.doubt = None;
        }
    }

    /// What is written down, over what another wrote: nothing falls that only rises, and no top-up that is out is lost.
    pub(super) fn over(mut self, other: &Self) -> Self {
        self.signed = self.signed.max(other.signed);
        self.earned = self.earned.max(other.earned);
        self.until = self.until.max(other.until);
        self.shown |= other.shown;
        self.cleared = self.cleared.max(other.cleared);
        let ours = self.adding.map_or(self.cleared, |adding| adding.until);
        if let Some(theirs) = other.adding.filter(|theirs| theirs.until > ours) {
            self.adding = Some(theirs);
            if theirs.told {
                self.deposit = self.deposit.max(theirs.to);
            }
        }
        self.adding = self.adding.filter(|adding| adding.until > self.cleared);
        self.accepted = self.accepted.max(other.accepted);
        self.said = self.said.max(other.said);
        if other.life == Life::Ended {
            self.life = Life::Ended;
        }
        self
    }

    /// As it is written down: what is in flight may be charged by the time it is read.
    pub(super) fn kept(mut self) -> Self {
        self.charged = self.counted();
        self.now = Now::default();
        self
    }
}

/// Addresses as a store has them: `0x` and forty hex digits.
mod spelled {
    use alloy::primitives::Address;
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::chain::parse_address;

    pub(super) fn serialize<S: Serializer>(address: &Address, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{address:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Address, D::Error> {
        parse_address(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// Amounts of a channel are bounded by its limits long before they are too large to be added.
pub(super) fn plus(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).unwrap_or(Amount::new(u128::MAX))
}
