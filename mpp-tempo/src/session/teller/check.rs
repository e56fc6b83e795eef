//! What a credential does: held against what cannot change in an account, and against the chain where nothing is known.

use mpp_core::{
    Amount,
    account::{Account, Proof, Raise, closed},
    binding::Claim,
    problem::{ProblemType, Reason, Rejection},
    teller::Act,
};

use super::{
    super::{
        BadVoucher, ChannelId, Descriptor, DescriptorText, MOST, Payload, TempoSession, VoucherKey,
    },
    Channel, Order, Teller,
    deposit::{Deposit, What},
    look,
    order::Kind,
    reason::{self, failed, invalid, not_found},
};
use crate::{
    chain::{did::Did, parse_hex, reserve::CHANNEL_RESERVE, signature::Recovered},
    charge::{reason as charged, verifier::pull},
};

type Known<'a> = Option<&'a Account<Channel>>;

impl Teller {
    pub(super) async fn checked(
        &self,
        claim: &Claim<TempoSession>,
        known: Known<'_>,
    ) -> Result<Act<Order, Channel>, Rejection> {
        self.is_ours(claim)?;
        let id = claim.payload.channel_id().parse().map_err(|cause| unnamed().because(cause))?;
        match &claim.payload {
            Payload::Open { transaction, signature, cumulative_amount, .. } => {
                self.open(claim, (id, known), transaction, (*cumulative_amount, signature)).await
            }
            Payload::TopUp { transaction, additional_deposit, .. } => {
                let known = known.ok_or_else(not_found)?;
                self.top_up(claim, known, transaction, *additional_deposit).await
            }
            Payload::Voucher { cumulative_amount, signature, .. } => {
                let proof = (*cumulative_amount, signature.as_str());
                match known {
                    Some(known) => {
                        let descriptor = of_known(claim, &known.kept)?;
                        self.is_worth_serving(descriptor)?;
                        self.raise(id, descriptor, proof, self.least).map(Act::Draw)
                    }
                    None => self.adopt(claim, id, proof).await,
                }
            }
            Payload::Close { cumulative_amount, signature, .. } => {
                let known = known.ok_or_else(not_found)?;
                let descriptor = of_known(claim, &known.kept)?;
                if !self.can_collect(descriptor) {
                    return Err(others_to_close());
                }
                // However little it adds: it is the last one.
                let proof = (*cumulative_amount, signature.as_str());
                let last = self.raise(id, descriptor, proof, Amount::ZERO)?;
                let word = Proof { amount: proof.0, text: proof.1.to_ascii_lowercase() };
                Ok(Act::Close { order: Order::of(Kind::Close(Some(word))), last })
            }
        }
    }

    /// O1 to O8 of a channel's beginning. Nothing is sent before all of them hold, and by nobody in here (S11).
    async fn open(
        &self,
        claim: &Claim<TempoSession>,
        (id, known): (ChannelId, Known<'_>),
        transaction: &str,
        (cumulative, signature): (Amount, &str),
    ) -> Result<Act<Order, Channel>, Rejection> {
        let descriptor = self.named(claim, id)?;
        let (deposit, by) = self.read(transaction)?;
        if deposit.descriptor() != descriptor {
            let detail = "The transaction does not open the channel that is described.";
            return Err(failed(reason::WRONG_DEPOSIT, detail));
        }
        let What::Open(open) = deposit.what else { return Err(other_deposit()) };
        source_is(claim, &descriptor)?;
        let least = claim.request.terms.amount;
        if cumulative < least || open.deposit < least.get() {
            let detail = "The first voucher and the deposit must cover what is asked.";
            let kind = ProblemType::PAYMENT_INSUFFICIENT;
            return Err(Rejection::new(kind, Reason::SHORT_BALANCE, detail));
        }
        if cumulative.get() > open.deposit {
            let detail = "The voucher is for more than the channel's deposit.";
            let kind = ProblemType::AMOUNT_EXCEEDS_DEPOSIT;
            return Err(Rejection::new(kind, Reason::OVER_DEPOSIT, detail));
        }
        let raise = self.raise(id, &descriptor, (cumulative, signature), self.least)?;
        let kept = match known {
            // It was checked before, and may have been sent: the books tell.
            Some(known) => known.kept.clone(),
            None => {
                self.is_worth_it(open.deposit)?;
                claim.in_time()?;
                self.can_be_sent(claim, &deposit, by).await?;
                Channel::unseen(descriptor, self.node.chain_id(), open.deposit)
            }
        };
        Ok(Act::Open { order: Order::of(Kind::Deposit(Box::new(deposit))), kept, raise })
    }

    async fn top_up(
        &self,
        claim: &Claim<TempoSession>,
        known: &Account<Channel>,
        transaction: &str,
        added: Amount,
    ) -> Result<Act<Order, Channel>, Rejection> {
        let descriptor = of_known(claim, &known.kept)?;
        let (deposit, by) = self.read(transaction)?;
        let What::TopUp(top_up) = deposit.what else { return Err(other_deposit()) };
        if top_up.descriptor != *descriptor {
            let detail = "The transaction adds to another channel.";
            return Err(failed(reason::WRONG_DEPOSIT, detail));
        }
        if deposit.payer != descriptor.payer {
            let detail = "Only the channel's payer adds to it.";
            return Err(failed(charged::WRONG_SOURCE, detail));
        }
        if added.is_zero() || added.get() != top_up.additional_deposit {
            let detail = "The transaction does not add what the credential says, or adds nothing.";
            return Err(failed(charged::WRONG_AMOUNT, detail));
        }
        if known.kept.deposit.checked_add(added).is_none_or(|deposit| deposit > MOST) {
            return Err(too_large());
        }
        let order = Order::of(Kind::Deposit(Box::new(deposit.clone())));
        if !known.has_done(&order.name()) {
            self.is_worth_serving(descriptor)?;
            if deposit.awaits_sponsor() {
                self.is_worth_it(added.get())?;
            }
            claim.in_time()?;
            self.can_be_sent(claim, &deposit, by).await?;
        }
        Ok(Act::TopUp { order })
    }

    /// A voucher of a channel that is not on the books: the chain is asked, and only about what somebody signed for.
    async fn adopt(
        &self,
        claim: &Claim<TempoSession>,
        id: ChannelId,
        proof: (Amount, &str),
    ) -> Result<Act<Order, Channel>, Rejection> {
        if claim.payload.descriptor().is_none() {
            return Err(not_found().reason(reason::NO_DESCRIPTOR));
        }
        let descriptor = match self.named(claim, id) {
            // It was opened under an operator of before: to be told so heals more payers than to be told that it is wrong.
            Err(refused) if refused.reason == reason::WRONG_OPERATOR => return Err(uncollectable()),
            named => named?,
        };
        source_is(claim, &descriptor)?;
        let raise = self.raise(id, &descriptor, proof, self.least)?;
        let unseen = Channel::unseen(descriptor, self.node.chain_id(), 0);
        let node = self.node.node().await.map_err(super::unavailable)?;
        let seen = look::now(node, &unseen).await.map_err(super::unavailable)?;
        let kept = seen.ok_or_else(not_found)?;
        if kept.close_requested_at != 0 {
            return Err(closed());
        }
        if proof.0 <= kept.settled {
            let detail = "The voucher is for no more than was settled already.";
            return Err(failed(reason::ALREADY_SETTLED, detail));
        }
        Ok(Act::Adopt { kept, raise })
    }

    /// The channel that a credential describes: the one that it names, and one of this seller's.
    fn named(&self, claim: &Claim<TempoSession>, id: ChannelId) -> Result<Descriptor, Rejection> {
        let text = claim.payload.descriptor();
        let text = text.ok_or_else(|| {
            invalid(
                reason::NO_DESCRIPTOR,
                "The credential does not say what the channel is made of.",
            )
        })?;
        let descriptor = described(text)?;
        if descriptor.id(CHANNEL_RESERVE, self.node.chain_id()) != id {
            return Err(other_channel());
        }
        let (refused, detail) = if descriptor.payee != self.recipient {
            (charged::WRONG_RECIPIENT, "The channel pays somebody else.")
        } else if descriptor.token != self.token {
            (charged::WRONG_TOKEN, "The channel is of another token.")
        } else if !self.can_close(&descriptor) {
            (reason::WRONG_OPERATOR, "The channel has another operator than was asked for.")
        } else if descriptor.payer == self.recipient {
            (charged::SELF_PAYMENT, "The payer is the recipient.")
        } else {
            return Ok(descriptor);
        };
        Err(failed(refused, detail))
    }

    /// Whether this seller and nobody else can settle and close: an operator of somebody else's would end a channel for nothing.
    fn can_close(&self, descriptor: &Descriptor) -> bool {
        let ours = descriptor.operator == self.operator || descriptor.operator.is_zero();
        ours && self.can_collect(descriptor)
    }

    /// Whether the chain lets this signer settle and close the channel, whoever else may.
    pub(super) fn can_collect(&self, descriptor: &Descriptor) -> bool {
        [descriptor.payee, descriptor.operator].contains(&self.hand.signer.account())
    }

    /// Operators change, and channels name the one of before: nothing more is earned on what cannot be collected.
    fn is_worth_serving(&self, descriptor: &Descriptor) -> Result<(), Rejection> {
        if self.can_close(descriptor) { Ok(()) } else { Err(uncollectable()) }
    }

    /// A voucher's raise, once it is certain who signed it.
    fn raise(
        &self,
        id: ChannelId,
        descriptor: &Descriptor,
        (cumulative, signature): (Amount, &str),
        least: Amount,
    ) -> Result<Raise, Rejection> {
        if cumulative > MOST {
            return Err(too_large());
        }
        let bytes = parse_hex(signature).ok_or_else(|| refused(BadVoucher::Malformed))?;
        let digest = self.domain.digest(id, cumulative);
        VoucherKey::new(descriptor.signer()).check(digest, &bytes).map_err(refused)?;
        Ok(Raise::proven(cumulative, least, signature.to_ascii_lowercase()))
    }

    /// A deposit of nearly nothing costs more in fees than it can earn.
    fn is_worth_it(&self, deposit: u128) -> Result<(), Rejection> {
        if deposit >= self.least_deposit().get() {
            return Ok(());
        }
        Err(failed(reason::SMALL_DEPOSIT, "The deposit is smaller than this seller takes."))
    }

    fn read(&self, transaction: &str) -> Result<(Deposit, Recovered), Rejection> {
        let (deposit, by) = Deposit::read(pull::read(transaction)?, self.chain.exchange)?;
        if deposit.signed.transaction.chain_id == self.chain.id {
            return Ok((deposit, by));
        }
        Err(failed(charged::WRONG_CHAIN, "The transaction is for another chain."))
    }
}

/// The channel on the books, once nothing in the credential says otherwise.
fn of_known<'k>(
    claim: &Claim<TempoSession>,
    kept: &'k Channel,
) -> Result<&'k Descriptor, Rejection> {
    if let Some(text) = claim.payload.descriptor()
        && described(text)? != kept.descriptor
    {
        return Err(other_channel());
    }
    source_is(claim, &kept.descriptor)?;
    Ok(&kept.descriptor)
}

fn described(text: &DescriptorText) -> Result<Descriptor, Rejection> {
    Descriptor::try_from(text).map_err(|cause| {
        invalid(reason::BAD_DESCRIPTOR, "The channel's descriptor is malformed.").because(cause)
    })
}

/// A source is anybody's word; one that names neither the channel's payer nor who signs its vouchers is a lie or a mistake.
fn source_is(claim: &Claim<TempoSession>, descriptor: &Descriptor) -> Result<(), Rejection> {
    let Some(source) = &claim.source else { return Ok(()) };
    let chain_id = claim.request.details.method_details.chain_id();
    match source.as_str().parse::<Did>() {
        Ok(named)
            if named.chain_id == chain_id
                && [descriptor.payer, descriptor.signer()].contains(&named.address) =>
        {
            Ok(())
        }
        _ => {
            let detail = "The source is neither the channel's payer nor its authorised signer.";
            Err(failed(charged::WRONG_SOURCE, detail))
        }
    }
}

fn refused(cause: BadVoucher) -> Rejection {
    let (kind, reason, detail) = match cause {
        BadVoucher::Malformed => (
            ProblemType::INVALID_SIGNATURE,
            reason::BAD_SIGNATURE,
            "The voucher's signature is not valid, or not canonical.",
        ),
        BadVoucher::OtherSigner => (
            ProblemType::SIGNER_MISMATCH,
            reason::OTHER_SIGNER,
            "The channel's authorised signer did not sign this voucher.",
        ),
    };
    Rejection::new(kind, reason, detail).because(cause)
}

/// Clients drop a channel that is final, and open another.
fn uncollectable() -> Rejection {
    let detail = "This seller cannot collect from the channel any more: its operator is another. \
                  Open another channel; request this one's close on the chain, for what is left in it.";
    Rejection::new(ProblemType::CHANNEL_FINALIZED, reason::UNCOLLECTABLE, detail)
}

/// Not final, lest its payer forget a channel that its money is still in.
fn others_to_close() -> Rejection {
    let detail = "This seller cannot close the channel: only its payee and its operator can. \
                  Its payer requests the close on the chain, and withdraws after the grace period.";
    failed(reason::UNCOLLECTABLE, detail)
}

fn other_channel() -> Rejection {
    failed(reason::WRONG_DESCRIPTOR, "The descriptor is of another channel.")
}

fn other_deposit() -> Rejection {
    failed(reason::WRONG_DEPOSIT, "The transaction does something else than the credential says.")
}

fn too_large() -> Rejection {
    invalid(reason::TOO_LARGE, "The amount is more than a channel can count to.")
}

pub(super) fn unnamed() -> Rejection {
    invalid(Reason::UNREADABLE, "A channel id is `0x` and 64 hex digits.")
}
