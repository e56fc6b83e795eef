//! The server half: asks for a transfer, checks the transaction that promises it, and takes it to the chain.

use std::{borrow::Cow, sync::Arc, time::Duration};

use alloy::primitives::{Address, U256};
use mpp_core::{
    Price,
    binding::Claim,
    fate::Fate,
    intent::{ChargeTerms, PriceError},
    method::Nested,
    problem::{ProblemType, Reason, Rejection},
    time::{Clock, Timestamp},
    verifier::{Asking, Minted, Spend},
};

use super::{Details, Evidence, Mode, Payload, TempoCharge, asked::Asked};
use crate::{
    chain::{
        self, AddressError, Chain, DECIMALS, parse_address, parse_hex,
        rpc::{Pinned, Rpc, RpcError, Trial},
        tip20,
        transaction::{Signed, Transaction},
    },
    clock::SystemClock,
};

mod examine;
pub mod reason;
mod settle;

use self::examine::Window;

/// Sells for a stablecoin on one Tempo chain, by transactions that payers sign and this server sends.
///
/// A payment is checked without touching the chain's state, and sent once; what became of it is read from the logs
/// of its receipt. The node must be on the configured chain, or nothing is checked and nothing sent.
///
/// Keeps its deadline by tokio's timer: settle within a runtime that has one.
#[derive(Clone, Debug)]
pub struct Verifier {
    token: Address,
    recipient: Address,
    node: Pinned,
    settle_deadline: Duration,
    longest_validity: Duration,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Sells on a chain, in its own currency, to an account.
    ///
    /// # Errors
    /// [`AddressError`] for a recipient that is no address.
    pub fn new(chain: &Chain, recipient: &str, rpc: Arc<dyn Rpc>) -> Result<Self, AddressError> {
        Ok(Self {
            token: chain.currency,
            recipient: parse_address(recipient)?,
            node: Pinned::new(rpc, chain.id),
            settle_deadline: Duration::from_secs(20),
            longest_validity: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
        })
    }

    /// Sells in another TIP-20 token.
    ///
    /// # Errors
    /// [`AddressError`] for text that is no address, and for one where no TIP-20 token can be.
    pub fn currency(self, token: &str) -> Result<Self, AddressError> {
        let token = parse_address(token)?;
        if chain::is_tip20(token) { Ok(Self { token, ..self }) } else { Err(AddressError) }
    }

    /// Waits so long for a payment to be mined before its fate is called unknown; 20 seconds unless said otherwise.
    pub fn settle_deadline(self, settle_deadline: Duration) -> Self {
        Self { settle_deadline, ..self }
    }

    /// Takes transactions that are valid for so long, give or take two seconds; 30 unless said otherwise, as nodes do.
    ///
    /// A node drops a longer one without a word. Later forks allow 300 seconds; some clients sign for 60.
    pub fn longest_validity(self, longest_validity: Duration) -> Self {
        Self { longest_validity, ..self }
    }

    /// Judges validity by another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn offered(&self) -> Nested<Details> {
        let method_details = Details {
            chain_id: Some(self.node.chain_id()),
            supported_modes: Some(vec![Mode::Pull]),
            ..Details::default()
        };
        Nested { method_details }
    }

    /// Holds the claim's request against what this server sells: a challenge of before a change of configuration,
    /// or of another verifier of the same server, is not this one's to settle.
    fn asked(&self, claim: &Claim<TempoCharge>) -> Result<Asked, Rejection> {
        let foreign = || {
            let detail = "This challenge does not ask what is asked here.";
            Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail)
        };
        let asked = Asked::read(&claim.challenge, &claim.request)
            .map_err(|cause| foreign().because(cause))?;
        let ours = claim.request.details == self.offered()
            && asked.token == self.token
            && asked.legs[0].to == self.recipient;
        if ours { Ok(asked) } else { Err(foreign()) }
    }

    /// Whether the transaction can be mined now, and would pay.
    async fn pays(&self, evidence: &Evidence, window: &Window<'_>) -> Result<(), Rejection> {
        let transaction = evidence.transaction();
        examine::runs(transaction)?;
        window.includes(transaction)?;
        self.can_pay(transaction, evidence.sender()).await
    }

    /// Whether the chain holds this very transaction already: sent by the payer, or by this server before its store
    /// was lost. What the receipt shows is for the settlement to judge.
    ///
    /// A node that cannot say is no reason to refuse: that would invite the payer to pay again.
    async fn is_mined(&self, evidence: &Evidence) -> Result<bool, Rejection> {
        let node = self.node.node().await.map_err(unavailable)?;
        let receipt = node.receipt(evidence.hash()).await.map_err(unavailable)?;
        Ok(receipt.is_some_and(|receipt| receipt.hash == evidence.hash()))
    }

    /// Asks the node whether the transfer would succeed now: a failing one is mined all the same, and costs its fee.
    /// One below the base fee is not mined at all, and nobody says so.
    async fn can_pay(&self, transaction: &Transaction, payer: Address) -> Result<(), Rejection> {
        let node = self.node.node().await.map_err(unavailable)?;
        // The price of a node that names no base fee has a tip in it, but there is nothing better to go by.
        let least = match node.latest_block().await.map_err(unavailable)?.base_fee {
            Some(base_fee) => base_fee,
            None => node.gas_price().await.map_err(unavailable)?,
        };
        if transaction.max_fee_per_gas < least {
            let detail = "The transaction's fee per gas is lower than the chain asks now.";
            return Err(reason::refusal(reason::FEE_TOO_LOW, detail));
        }
        let balance = Trial::read(self.token, tip20::balance_of(payer));
        let answer = node.call(balance).await.map_err(unavailable)?;
        let held = tip20::read_balance(&answer)
            .ok_or_else(|| unavailable("the token's answer is no balance"))?;
        if held < self.needs(transaction) {
            let detail = "The payer does not hold enough for the payment and its fee.";
            return Err(reason::refusal(reason::SHORT_OF_FUNDS, detail));
        }
        let trial =
            Trial { from: Some(payer), calls: transaction.calls.clone(), ..Trial::default() };
        match node.call(trial).await {
            Ok(_) => Ok(()),
            Err(RpcError::Refused(error)) if error.code() == REVERTED => {
                let detail = "The token would refuse the transfer.";
                Err(reason::refusal(reason::WOULD_FAIL, detail).because(RpcError::Refused(error)))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The amount, and the most the fee may take where it is taken from the same token.
    fn needs(&self, transaction: &Transaction) -> U256 {
        let moved =
            transaction.calls.iter().filter_map(|call| tip20::Transfer::decode(&call.data).ok());
        let amount = moved.fold(U256::ZERO, |sum, moved| sum.saturating_add(moved.amount));
        if transaction.fee_token != Some(self.token) {
            return amount;
        }
        amount.saturating_add(U256::from(transaction.max_fee()))
    }
}

impl mpp_core::verifier::Verifier for Verifier {
    type Method = TempoCharge;
    type Evidence = Evidence;

    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}/{:#x}/{:#x}", self.node.chain_id(), self.token, self.recipient))
    }

    /// Takes prices in `usd` for dollar tokens, and prices in display units of the token, named by its address.
    /// Nothing is sold for nothing.
    fn terms(&self, ask: &Price) -> Result<ChargeTerms, PriceError> {
        let named = parse_address(ask.unit()).is_ok_and(|token| token == self.token);
        let amount = match ask.in_unit("usd", DECIMALS) {
            Err(PriceError::Unit) if named => ask.amount().to_base_units(DECIMALS)?,
            Ok(_) if !chain::is_dollar(self.token) => return Err(PriceError::Unit),
            amount => amount?,
        };
        if amount.is_zero() {
            return Err(PriceError::Nothing);
        }
        let currency = format!("{:#x}", self.token);
        Ok(ChargeTerms::of(ask, amount, currency).to(self.recipient.to_string()))
    }

    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<Nested<Details>>, Rejection> {
        Ok(Minted::lasting(self.offered()))
    }

    async fn check(&self, claim: &Claim<TempoCharge>) -> Result<Evidence, Rejection> {
        let asked = self.asked(claim)?;
        let signed = read(&claim.payload)?;
        let shown =
            examine::Shown { asked: &asked, signed: &signed, source: claim.source.as_ref() };
        shown.payer()?;
        let evidence = Evidence::new(signed, &asked).map_err(|cause| {
            reason::refusal(Reason::BAD_PROOF, "The transaction is no payment.").because(cause)
        })?;
        let window = Window {
            now: self.clock.now(),
            longest: self.longest_validity,
            challenge_ends: claim.challenge.expires.as_ref(),
        };
        let Err(refusal) = self.pays(&evidence, &window).await else { return Ok(evidence) };
        // Money that moved already is neither in time nor still held.
        let moved = refusal.reason != reason::RAIL_UNAVAILABLE
            && window.is_remembered(evidence.transaction())
            && self.is_mined(&evidence).await?;
        if moved { Ok(evidence) } else { Err(refusal) }
    }

    /// The hash its expiring nonce is known by. An hour past the transaction's end no check takes it any more, mined or
    /// not, whoever's clock is asked.
    /// Whoever showed a transaction has not sent it: settling does.
    fn has_moved(&self, _: &Evidence) -> bool {
        false
    }

    fn spends<'e>(&self, evidence: &'e Evidence) -> Option<Spend<'e>> {
        let end = i64::try_from(evidence.promise().valid_before.get()).unwrap_or(i64::MAX / 2_000);
        let until = Timestamp::from_unix(end.saturating_add(3600), 0);
        Some(Spend::of(evidence.spends()).until(until))
    }

    async fn settle(&self, evidence: &Evidence) -> Fate {
        settle::settle(&self.node, self.settle_deadline, evidence).await
    }

    async fn reconcile(&self, evidence: &Evidence) -> Fate {
        settle::reconcile(&self.node, self.settle_deadline, evidence).await
    }
}

/// The JSON-RPC code of a call that the contract itself refused.
const REVERTED: i64 = 3;

fn read(payload: &Payload) -> Result<Signed, Rejection> {
    let invalid =
        |reason, detail: &'static str| Rejection::new(ProblemType::INVALID_PAYLOAD, reason, detail);
    let signature = match payload {
        Payload::Transaction { signature } => signature,
        Payload::Hash { .. } => {
            let detail =
                "Send a signed transaction: payments that were sent already are not taken here.";
            return Err(invalid(reason::MODE_NOT_OFFERED, detail));
        }
        Payload::Proof { .. } => {
            let detail = "A proof pays for nothing: send a signed transaction.";
            return Err(invalid(reason::WRONG_PAYLOAD, detail));
        }
    };
    let bytes = parse_hex(signature)
        .ok_or_else(|| invalid(Reason::UNREADABLE, "The transaction is not written in hex."))?;
    Signed::decode(&bytes).map_err(|cause| match cause {
        chain::transaction::DecodeError::Signature(cause) => examine::bad_signature(cause),
        cause => {
            let detail = format!("The transaction cannot be read: {cause}.");
            Rejection::new(ProblemType::INVALID_PAYLOAD, Reason::UNREADABLE, detail).because(cause)
        }
    })
}

/// Nothing was sent: the node cannot be asked, or is on the wrong chain. No one is invited to pay again.
fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    let detail = "The payment cannot be checked right now and was not taken. Repeat this request with the same credential.";
    Rejection::new(ProblemType::OUTCOME_UNKNOWN, reason::RAIL_UNAVAILABLE, detail)
        .because(cause)
        .retry_after(Duration::from_secs(2))
}
