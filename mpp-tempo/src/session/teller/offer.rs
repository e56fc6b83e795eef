//! What is asked of payers, and what they are told: terms, details, snapshots, receipts.

use mpp_core::{
    Amount,
    account::{Account, State},
    binding::Claim,
    intent::{PriceError, Rate, SessionTerms},
    problem::{ProblemType, Reason, Rejection},
    teller::{Need, Standing},
};
use serde_json::{Map, Value};

use super::{
    super::{
        DescriptorText, Details, HighestVoucher, MOST, NeedVoucher, Protocol, SessionReceipt,
        Snapshot, TempoSession,
    },
    Channel, Teller,
};
use crate::chain::{self, DECIMALS, parse_address, reserve::CHANNEL_RESERVE};

impl Teller {
    /// Takes rates in `usd` for dollar tokens, and rates in display units of the token, named by its address. Exact, and never
    /// nothing.
    pub(super) fn asked(&self, ask: &Rate) -> Result<SessionTerms, PriceError> {
        let in_units = |price: &mpp_core::Price| {
            let named = parse_address(price.unit()).is_ok_and(|token| token == self.token);
            let amount = match price.in_unit("usd", DECIMALS) {
                Err(PriceError::Unit) if named => price.amount().to_base_units(DECIMALS)?,
                Ok(_) if !chain::is_dollar(self.token) => return Err(PriceError::Unit),
                amount => amount?,
            };
            match amount {
                Amount::ZERO => Err(PriceError::Nothing),
                amount if amount > MOST => Err(PriceError::Unpayable),
                amount => Ok(amount),
            }
        };
        let amount = in_units(&ask.per_unit)?;
        let deposit = ask.suggested_deposit.as_ref().map(in_units).transpose()?;
        let least = Some(self.least_deposit()).filter(|least| !least.is_zero());
        // Where nobody has said anything payers deposit for many requests: a least that is only ours must not make that less.
        let many = amount.checked_mul(100).unwrap_or(MOST);
        let unsaid = self.least_deposit.is_none() && deposit.is_none();
        let least = least.filter(|least| !unsaid || many < *least);
        // None is less than any.
        let deposit = deposit.max(least);
        let terms = SessionTerms::of(ask, amount, format!("{:#x}", self.token));
        Ok(terms.to(self.recipient.to_string()).suggesting(deposit))
    }

    /// The details of every challenge: they name no channel.
    pub(super) fn details_of_all(&self) -> Details {
        Details {
            escrow_contract: format!("{CHANNEL_RESERVE:#x}"),
            min_voucher_delta: (!self.least.is_zero()).then_some(self.least),
            chain_id: Some(self.chain.id),
            fee_payer: self.sponsor.is_some().then_some(true),
            operator: (!self.operator.is_zero()).then(|| self.operator.to_string()),
            session_protocol: Some(Protocol::V2),
            ..Details::default()
        }
    }

    /// The details for somebody who says to have this channel, and has proven nothing: no voucher is among them.
    pub(super) fn details_of_known(
        &self,
        terms: &SessionTerms,
        known: &Account<Channel>,
    ) -> Option<Details> {
        let snapshot = self.snapshot(known, terms).filter(|_| self.is_of_ours(&known.kept))?;
        Some(Details {
            channel_id: Some(snapshot.channel_id.clone()),
            session_snapshot: Some(Box::new(snapshot)),
            ..self.details_of_all()
        })
    }

    /// Holds the claim's request against what this server sells: a challenge of before a change of configuration, or of another
    /// seller at the same server, is not this one's to take money for.
    pub(super) fn is_ours(&self, claim: &Claim<TempoSession>) -> Result<(), Rejection> {
        let (terms, details) = (&claim.request.terms, &claim.request.details.method_details);
        let is = |text: &str, address| parse_address(text).is_ok_and(|named| named == address);
        let ours = details.protocol() == &Protocol::V2
            && details.chain_id == Some(self.chain.id)
            && is(&details.escrow_contract, CHANNEL_RESERVE)
            && is(&terms.currency, self.token)
            && terms.recipient.as_deref().is_some_and(|text| is(text, self.recipient))
            && match &details.operator {
                Some(operator) => is(operator, self.operator),
                None => self.operator.is_zero(),
            };
        if ours {
            return Ok(());
        }
        let detail = "This challenge does not ask what is asked here.";
        Err(Rejection::new(ProblemType::INVALID_CHALLENGE, Reason::WRONG_TERMS, detail))
    }

    fn is_of_ours(&self, kept: &Channel) -> bool {
        let descriptor = &kept.descriptor;
        (kept.chain_id, descriptor.payee, descriptor.token, descriptor.operator)
            == (self.chain.id, self.recipient, self.token, self.operator)
    }

    /// A channel that can be gone on with, as its server sees it, without a voucher.
    fn snapshot(&self, account: &Account<Channel>, terms: &SessionTerms) -> Option<Snapshot> {
        let kept = &account.kept;
        let open = account.state == State::Open && kept.standing() == Standing::Open;
        Some(Snapshot {
            accepted_cumulative: account.credit,
            chain_id: kept.chain_id,
            channel_id: kept.id().to_string(),
            close_requested_at: None,
            deposit: kept.deposit,
            descriptor: DescriptorText::from(&kept.descriptor),
            escrow: format!("{CHANNEL_RESERVE:#x}"),
            highest_voucher: None,
            required_cumulative: account.spent.checked_add(terms.amount).filter(|_| open)?,
            settled: kept.settled,
            spent: account.spent,
            units: Some(account.units),
        })
    }
}

/// The members that a receipt has of a channel; the challenge is the caller's to add.
pub(super) fn receipt(id: &str, account: &Account<Channel>) -> Map<String, Value> {
    let receipt = SessionReceipt {
        channel_id: id.to_owned(),
        challenge_id: String::new(),
        accepted_cumulative: account.credit,
        spent: account.spent,
        units: Some(account.units),
        tx_hash: None,
    };
    let mut members = receipt.members();
    members.remove("challengeId");
    members
}

/// What a stream says when its payer's balance is used up.
pub(super) fn need(id: &str, account: &Account<Channel>, required: Amount) -> Need {
    let need = NeedVoucher {
        accepted_cumulative: account.credit,
        channel_id: id.to_owned(),
        deposit: account.kept.deposit,
        required_cumulative: required,
    };
    let data = serde_json::to_value(need).unwrap_or_default();
    Need { event: "payment-need-voucher", data }
}

/// The fields by which the payer of a channel goes on with it: its name, and how it stands, best voucher included.
pub(super) fn fields(
    teller: &Teller,
    id: &str,
    account: &Account<Channel>,
    terms: &SessionTerms,
) -> Vec<(&'static str, String)> {
    let Some(proof) = &account.proof else { return Vec::new() };
    let Some(snapshot) = teller.snapshot(account, terms) else { return Vec::new() };
    let highest_voucher = Some(HighestVoucher {
        channel_id: id.to_owned(),
        cumulative_amount: proof.amount,
        signature: proof.text.clone(),
    });
    let snapshot = Snapshot { highest_voucher, ..snapshot };
    vec![("Payment-Session", id.to_owned()), ("Payment-Session-Snapshot", snapshot.to_header())]
}
