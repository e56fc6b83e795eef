//! Opens a channel: the deposit is signed together with the first voucher, and sent by the server.

use alloy::primitives::{B256, Keccak256, hex};
use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{Allowance, Hold, Outcome, PayError, Payment},
};

use super::{
    super::{ChannelId, Descriptor, Payload, TempoSession},
    Payer,
    channel::{Channel, Life},
    pay::{described, high},
    seat::{Seat, Version},
    shelf::{Again, Claim, Turn, told},
};
use crate::{
    chain::{
        escrow, reserve,
        transaction::{Call, FeePayer, Signed},
    },
    order::Order,
};

/// Units of gas that the contract's fresh storage takes at least.
const GAS_V1: u64 = 2_000_000;

impl Payer {
    /// Opens a channel for a seat that has none. It is in the store before anything leaves: without its descriptor a channel's
    /// money is out of reach.
    pub(super) async fn open(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        mut turn: Turn,
        within: &Allowance,
    ) -> Result<Payment<TempoSession>, PayError> {
        let deposit = self.first_deposit(demand);
        let fee_cap = self.fee_cap(demand, seat);
        let most = deposit.checked_add(fee_cap).ok_or_else(high)?;
        if within.up_to < most {
            return Err(high());
        }
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let salt = self.salt(demand);
        let (calls, least_gas) = opening(seat, deposit, salt);
        let order = Order { least_gas, ..self.order(demand, seat, calls, deposit) };
        let written = self.holder().write(node, order).await?;
        let fee = written.fee();
        let until = written.valid_before();
        let hash = match seat.version {
            Version::V1 => B256::ZERO,
            Version::V2 => written.transaction.expiring_nonce_hash(seat.payer),
        };
        let made_of = seat.made_of(salt, hash);
        let id = seat.id(&made_of);
        let transaction = sendable(&self.holder().sign(written).await?)?;
        let claim = self.begin(demand, seat, (id, made_of), (deposit, until), within, &mut turn)?;
        let total = claim.claimed.cumulative;
        let first = self.sign_voucher(seat, id, total).await?;
        let payload = self.opening_payload(id, transaction.clone(), total, &first)?;
        // A crash in here leaves a channel in the store that never came to be; the chain says so once its time is over.
        self.shelf.save_first(id).await?;
        self.shelf.book().signed.insert(id, Again { transaction, until });
        turn.hand_over();
        let exposed = deposit.checked_add(fee).unwrap_or(most);
        Ok(self.by_us(Payment::new(payload).held(opens(&self.shelf, claim)), exposed))
    }

    /// Puts a channel into the book that is about to be opened, with its first voucher claimed.
    fn begin(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        (id, made_of): (ChannelId, Descriptor),
        (deposit, until): (Amount, u64),
        within: &Allowance,
        turn: &mut Turn,
    ) -> Result<Claim, PayError> {
        let mut channel = Channel::of(seat, id, made_of, Life::Opening);
        (channel.deposit, channel.until) = (deposit, until);
        channel.site = Some(within.to.origin.clone());
        channel.now.busy = true;
        // The first voucher is for the price alone (D-43): a least step is between two.
        let claimed = channel
            .claim(demand.request.terms.amount, Amount::ZERO, &self.limits)
            .map_err(super::pay::never)?;
        turn.opens(channel);
        Ok(Claim::new(&self.shelf, id, claimed, self.limits))
    }

    /// The payload that opens a channel, from its signed transaction and a voucher.
    pub(super) fn opening_payload(
        &self,
        id: ChannelId,
        transaction: String,
        cumulative: Amount,
        signature: &[u8],
    ) -> Result<Payload, PayError> {
        let channel = self.shelf.channel(id).ok_or_else(super::pay::ended)?;
        Ok(Payload::Open {
            channel_id: id.to_string(),
            transaction,
            signature: hex::encode_prefixed(signature),
            cumulative_amount: cumulative,
            descriptor: described(&channel),
            authorized_signer: Some(format!("{:#x}", channel.made_of.authorized_signer)),
        })
    }

    /// A transaction of a challenge's, as far as all of them are alike.
    pub(super) fn order(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
        calls: Vec<Call>,
        amount: Amount,
    ) -> Order {
        let sponsored = demand.request.details.method_details.is_sponsored();
        Order {
            chained: calls.len() > 1,
            calls,
            spends: Some((seat.token, amount.get())),
            fee_token: (!sponsored).then(|| self.fee_token.unwrap_or(seat.token)),
            max_fee: self.own_fee_cap(seat.version),
            least_gas: 0,
            expires: demand.challenge.expires.clone(),
            purpose: self.salt(demand).to_vec(),
        }
    }

    /// What no two channels, and no two transactions, of this payer have in common. It need not be secret.
    fn salt(&self, demand: &Demand<'_, TempoSession>) -> B256 {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut hashed = Keccak256::new();
        hashed.update(self.signer.key());
        hashed.update(self.clock.now().unix_millis().to_be_bytes());
        hashed.update(COUNT.fetch_add(1, Relaxed).to_be_bytes());
        hashed.update(std::process::id().to_be_bytes());
        hashed.update(demand.challenge.id().as_str());
        hashed.finalize()
    }
}

/// The calls that open a channel, and the gas that they are given at least.
fn opening(seat: &Seat, deposit: Amount, salt: B256) -> (Vec<Call>, u64) {
    let Seat { payee, operator, token, signer: authorized_signer, escrow, .. } = *seat;
    let deposit = deposit.get();
    match seat.version {
        Version::V1 => {
            let open = escrow::Open { payee, token, deposit, salt, authorized_signer };
            (open.calls(escrow).to_vec(), GAS_V1)
        }
        Version::V2 => {
            let open = reserve::Open { payee, operator, token, deposit, salt, authorized_signer };
            (vec![open.call()], 0)
        }
    }
}

/// A signed transaction as it is handed to a server: in an envelope, where the server pays the fee (D-22).
pub(super) fn sendable(signed: &Signed) -> Result<String, PayError> {
    let bytes = match signed.transaction.fee_payer {
        FeePayer::Awaited => signed.envelope().map_err(|cause| {
            PayError::untouched("what was signed is no transaction").because(cause)
        })?,
        _ => signed.encode(),
    };
    Ok(hex::encode_prefixed(bytes))
}

/// What is told of the credential that opens a channel. Refused or not answered, its transaction can still be mined: only the
/// chain says that it was not.
pub(super) fn opens(shelf: &std::sync::Arc<super::shelf::Shelf>, claim: Claim) -> Hold {
    let (shelf, id, claimed) = (shelf.clone(), claim.id, claim.claimed);
    let limits = claim.hand_over();
    Hold::new(move |outcome| {
        if matches!(outcome, Outcome::Accepted(_)) {
            shelf.book().signed.remove(&id);
        }
        shelf.change(id, |channel| {
            channel.now.busy = false;
            told(channel, claimed, &outcome, &limits);
            channel.now.doubt = None;
            // Whatever it is by now, a late answer does not undo it.
            if matches!(outcome, Outcome::Accepted(_)) && channel.life == Life::Opening {
                channel.life = Life::Open;
            }
        });
    })
}
