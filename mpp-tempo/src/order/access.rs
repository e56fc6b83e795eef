//! Access keys: made known to the chain by one payment and no second one, and asked what they may still spend.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy::primitives::{Address, Bytes, U256};
use mpp_core::{Timestamp, payer::PayError, time::Clock};

use super::validity::LONGEST_VALID;
use crate::chain::{
    keychain::{self, NotProvisioned, SignedAuthorization},
    rpc::Rpc,
    signer::Signer,
};

/// Between two questions whether the key is known by now.
const STEP: Duration = Duration::from_millis(500);

/// Questions after which it is no longer waited for.
const STEPS: u32 = 70;

/// Beside the longest life of a transaction: what clocks may differ by, and a block.
const SLACK: Duration = Duration::from_secs(6);

/// An authorisation that is under way: nodes drop a payment that brings one of a key they know, so that no second payment
/// may bring it while the first may be mined.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<Option<Timestamp>>);

impl UnderWay {
    fn until(&self) -> MutexGuard<'_, Option<Timestamp>> {
        // One assignment leaves no half a state, so poison says nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn to bring it, unless somebody else has it.
    fn take(&self, now: Timestamp) -> Option<Turn<'_>> {
        let mut until = self.until();
        if until.as_ref().is_some_and(|until| !until.expired_at(&now)) {
            return None;
        }
        *until = Some(now.plus(LONGEST_VALID + SLACK));
        Some(Turn { of: self, signed: false })
    }
}

/// The turn to bring the authorisation; given back where nothing was signed.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    of: &'a UnderWay,
    signed: bool,
}

impl Turn<'_> {
    /// A transaction that brings it may be mined from here on.
    pub(crate) fn keep(mut self) {
        self.signed = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.signed {
            *self.of.until() = None;
        }
    }
}

/// What a payment must bring along, so that its key is taken.
pub(crate) type Brought<'a> = Option<(Bytes, Turn<'a>)>;

/// Whose key signs, and where keys are known.
pub(crate) struct Holder<'a> {
    pub(crate) signer: &'a dyn Signer,
    pub(crate) keychain: Address,
    pub(crate) chain_id: u64,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) under_way: &'a UnderWay,
}

impl<'a> Holder<'a> {
    /// The authorisation of a key that the chain does not know, or nothing. Waits while another payment brings it.
    pub(crate) async fn authorization(&self, node: &dyn Rpc) -> Result<Brought<'a>, PayError> {
        if self.signer.key() == self.signer.account() {
            return Ok(None);
        }
        for _ in 0..STEPS {
            let now = self.clock.now();
            let seconds = u64::try_from(now.unix_seconds()).unwrap_or_default();
            let asked = keychain::provision(node, self.keychain, self.signer, seconds).await;
            let Some(authorization) = asked.map_err(not_provisioned)? else { return Ok(None) };
            let good = SignedAuthorization::decode(&authorization)
                .is_ok_and(|signed| signed.is_good(self.chain_id, self.signer.account(), seconds));
            if !good {
                let detail = "the access key's authorisation is for another chain, by another account, or over";
                return Err(PayError::untouched(detail));
            }
            if let Some(turn) = self.under_way.take(now) {
                return Ok(Some((authorization, turn)));
            }
            tokio::time::sleep(STEP).await;
        }
        Err(PayError::untouched("another payment has yet to make the access key known"))
    }

    /// Refuses what the key may not spend of each token: it would be mined, fail, and cost its fee.
    pub(crate) async fn limits_allow(
        &self,
        node: &dyn Rpc,
        spent: Vec<(Address, U256)>,
        brought: Option<&Bytes>,
    ) -> Result<(), PayError> {
        let (account, key) = (self.signer.account(), self.signer.key());
        if key == account {
            return Ok(());
        }
        if let Some(brought) = brought {
            return if allowed_by(brought, &spent) { Ok(()) } else { Err(over_limit()) };
        }
        let unsaid = |cause| {
            PayError::untouched("the node does not say what the access key may spend")
                .because(cause)
        };
        let info = keychain::key_of(node, self.keychain, account, key).await.map_err(unsaid)?;
        if !info.is_some_and(|info| info.enforces_limits) {
            return Ok(());
        }
        for (token, amount) in spent {
            let left = keychain::remaining_limit(node, self.keychain, account, key, token).await;
            if left.map_err(unsaid)?.amount < amount {
                return Err(over_limit());
            }
        }
        Ok(())
    }
}

/// What leaves in each token: an amount, and a fee, which may be in the same.
pub(crate) fn with_fee(
    mut spent: Vec<(Address, U256)>,
    fee_token: Option<Address>,
    fee: u128,
) -> Vec<(Address, U256)> {
    let Some(paid_in) = fee_token else { return spent };
    match spent.iter_mut().find(|(token, _)| *token == paid_in) {
        Some((_, spent)) => *spent = spent.saturating_add(U256::from(fee)),
        None => spent.push((paid_in, U256::from(fee))),
    }
    spent
}

/// Whether an authorisation that comes along allows this much.
fn allowed_by(brought: &Bytes, spent: &[(Address, U256)]) -> bool {
    let Ok(signed) = SignedAuthorization::decode(brought) else { return false };
    let Some(limits) = &signed.authorization().limits else { return true };
    spent.iter().all(|(token, amount)| {
        let limit = limits.iter().find(|limit| limit.token == *token);
        amount.is_zero() || limit.is_some_and(|limit| limit.amount >= *amount)
    })
}

/// Units of gas to make a key known, somewhat more than measured: every limit, contract, function and recipient is a row in
/// a table, and what has rows counts them.
pub(crate) fn gas_to_authorize(authorization: &[u8]) -> u64 {
    const KEY: u64 = 300_000;
    const ROW: u64 = 550_000;
    const COUNT: u64 = 270_000;
    const UNREAD: u64 = 4_000_000;
    let Ok(signed) = SignedAuthorization::decode(authorization) else { return UNREAD };
    let rows = |count: usize| u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(ROW);
    let counted = |count: usize| if count == 0 { 0 } else { rows(count).saturating_add(COUNT) };
    let signed = signed.authorization();
    let limits = rows(signed.limits.as_ref().map_or(0, Vec::len));
    let scopes = signed.calls.as_deref().unwrap_or_default();
    let first = if scopes.is_empty() { 0 } else { COUNT };
    let rules = scopes.iter().flat_map(|scope| &scope.rules);
    [KEY, limits, counted(scopes.len()), first]
        .into_iter()
        .chain(scopes.iter().map(|scope| counted(scope.rules.len())))
        .chain(rules.map(|rule| counted(rule.recipients.len())))
        .fold(0, u64::saturating_add)
}

fn over_limit() -> PayError {
    PayError::untouched("the access key may not spend so much")
}

fn not_provisioned(cause: NotProvisioned) -> PayError {
    let detail = match cause {
        NotProvisioned::Unauthorized => "the account has not authorised the access key",
        NotProvisioned::Over(_) => "the access key has expired or was taken back",
        _ => "the node does not say whether the access key is authorised",
    };
    PayError::untouched(detail).because(cause)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::chain::{
        ALPHA_USD, PATH_USD,
        keychain::{KeyAuthorization, KeyKind, Limit, Rule, Scope},
        signature::Key,
    };

    type Shape = fn(KeyAuthorization) -> KeyAuthorization;

    fn limit(token: Address) -> Limit {
        Limit { token, amount: U256::from(1), period: None }
    }

    fn scope(rules: Vec<Rule>) -> Scope {
        Scope { target: PATH_USD, rules }
    }

    fn rule(recipients: u8) -> Rule {
        let recipients = (1..=recipients).map(Address::repeat_byte).collect();
        Rule { selector: [0x95, 0x77, 0x7d, 0x59], recipients }
    }

    #[test]
    fn a_key_gets_the_gas_that_its_authorisation_was_seen_to_use() {
        let cases: [(&str, u64, Shape); 8] = [
            ("anything", 261_000, |key| KeyAuthorization { limits: None, ..key }),
            ("a limit", 763_000, |key| key.limit(limit(PATH_USD))),
            ("limits", 1_263_000, |key| key.limit(limit(PATH_USD)).limit(limit(ALPHA_USD))),
            ("a contract", 1_770_000, |key| key.limit(limit(PATH_USD)).only(scope(Vec::new()))),
            ("contracts", 2_277_000, |key| {
                key.limit(limit(PATH_USD)).only(scope(Vec::new())).only(scope(Vec::new()))
            }),
            ("a function", 2_529_000, |key| key.limit(limit(PATH_USD)).only(scope(vec![rule(0)]))),
            ("functions", 3_036_000, |key| {
                key.limit(limit(PATH_USD)).only(scope(vec![rule(0), rule(0)]))
            }),
            ("recipients", 3_788_000, |key| key.limit(limit(PATH_USD)).only(scope(vec![rule(2)]))),
        ];
        let root = Key::new([7; 32]).unwrap();
        for (name, used, shape) in cases {
            let key = Address::repeat_byte(9);
            let made = shape(KeyAuthorization::new(42431, KeyKind::P256, key, NonZeroU64::MIN));
            let signature = root.sign(made.signing_hash());
            let given = gas_to_authorize(&made.signed(signature).unwrap().encode());
            assert!((used..used + used / 4).contains(&given), "{name}: {used} used, {given} given");
        }
        assert_eq!(gas_to_authorize(b"no list"), 4_000_000);
    }
}
