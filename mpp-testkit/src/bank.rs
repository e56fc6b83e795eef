//! A rail of accounts that follows a script: a made-up method with deposits, vouchers and closes, that can fail at each step.

mod slip;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mpp_core::{
    Amount, Method, Timestamp,
    account::{Account, Credit, Raise},
    binding::Claim,
    credential::Source,
    fate::{Fate, Settlement},
    intent::{PriceError, Rate, Session, SessionTerms},
    method::NoDetails,
    name::MethodName,
    problem::{ProblemType, Reason, Rejection},
    teller::{Act, Need, Standing, Teller},
    verifier::{Asking, Minted, Spend},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::slip::{Slip, answer, close, open, sign, top_up, voucher};

/// The method `tab`: a deposit at a bank, drawn on by signed totals. Prices are whole `coin`s.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TabSession;

impl Method for TabSession {
    const NAME: MethodName = MethodName::from_static("tab");
    type Intent = Session;
    type Details = NoDetails;
    type Payload = Slip;
}

/// An order to the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Order {
    /// Opens a tab.
    Open {
        /// The tab.
        tab: String,
        /// The deposit.
        deposit: Amount,
    },
    /// Adds to a deposit.
    TopUp {
        /// The tab.
        tab: String,
        /// The slip's name.
        order: String,
        /// How much.
        more: Amount,
    },
    /// Pays out a proven total.
    Collect {
        /// The tab.
        tab: String,
        /// The total.
        total: Amount,
    },
    /// Pays out what was spent and returns the rest.
    Close {
        /// The tab.
        tab: String,
    },
}

/// What a bank does with an order when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mood {
    /// Does it, and says so.
    #[default]
    Answers,
    /// Says no, for good.
    Refuses,
    /// Does it, and its answer is lost.
    TakesAndIsMute,
    /// Never hears of it, and no answer comes.
    NeverHears,
    /// Does it and never answers.
    TakesAndHangs,
}

/// A tab, as the bank has it and as a seller keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tab {
    /// The tab.
    pub name: String,
    /// What was paid in.
    pub deposit: Amount,
    /// What was paid out to the seller.
    pub paid_out: Amount,
    /// From when on the payer can take everything back.
    pub ending: Option<Timestamp>,
    /// It is gone.
    pub ended: bool,
    /// How often the bank has changed it: what is older is known by it.
    pub version: u64,
}

/// A bank, and the teller of one seller at it. Clones are one bank.
#[derive(Clone, Debug, Default)]
pub struct Bank(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tabs: BTreeMap<String, Tab>,
    done: BTreeSet<String>,
    moods: VecDeque<Mood>,
    /// Answers looks by what it had then.
    stale: Option<BTreeMap<String, Tab>>,
    earned: u128,
    refunded: u128,
    orders: u64,
    checks: u64,
    looks: u64,
}

impl Bank {
    /// A bank without tabs.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it does with the next orders, one after the other; after those it answers.
    pub fn will(&self, moods: impl IntoIterator<Item = Mood>) {
        self.state().moods.extend(moods);
    }

    /// A tab as the bank has it.
    pub fn tab(&self, name: &str) -> Option<Tab> {
        self.state().tabs.get(name).cloned()
    }

    /// The payer asks for everything back, from `by` on.
    pub fn ask_back(&self, name: &str, by: Timestamp) {
        if let Some(tab) = self.state().tabs.get_mut(name) {
            tab.ending = Some(by);
            tab.version += 1;
        }
    }

    /// From now on it answers looks by what it has now, whatever happens; or by the truth again.
    pub fn freeze(&self, frozen: bool) {
        let mut state = self.state();
        state.stale = frozen.then(|| state.tabs.clone());
    }

    /// All that was paid out to the seller.
    pub fn earned(&self) -> u128 {
        self.state().earned
    }

    /// All that went back to payers.
    pub fn refunded(&self) -> u128 {
        self.state().refunded
    }

    /// How often it was asked: to check, to carry out or tell of an order, to look.
    pub fn asked(&self) -> (u64, u64, u64) {
        let state = self.state();
        (state.checks, state.orders, state.looks)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Does what is ordered, once.
    fn run(&mut self, order: &Order, spent: Amount) -> Result<Tab, Rejection> {
        let name = name_of(order);
        if self.done.contains(&name) {
            return self.tabs.get(tab_of(order)).cloned().ok_or_else(no_tab);
        }
        let tab = match order {
            Order::Open { tab, deposit } => {
                if self.tabs.contains_key(tab) {
                    return Err(Rejection::failed("This tab is there already."));
                }
                self.tabs.entry(tab.clone()).or_insert(Tab {
                    name: tab.clone(),
                    deposit: *deposit,
                    ..Tab::default()
                })
            }
            _ => self.tabs.get_mut(tab_of(order)).filter(|tab| !tab.ended).ok_or_else(no_tab)?,
        };
        match order {
            Order::Open { .. } => {}
            Order::TopUp { more, .. } => {
                tab.deposit = tab.deposit.checked_add(*more).ok_or_else(no_tab)?;
                tab.ending = None;
            }
            Order::Collect { total, .. } => {
                let delta = total.saturating_sub(tab.paid_out);
                assert!(*total <= tab.deposit && !delta.is_zero(), "an order that cannot be");
                tab.paid_out = *total;
                self.earned += delta.get();
            }
            Order::Close { .. } => {
                assert!(spent <= tab.deposit, "more is captured than was deposited");
                let capture = spent.max(tab.paid_out);
                self.earned += capture.saturating_sub(tab.paid_out).get();
                self.refunded += tab.deposit.saturating_sub(capture).get();
                (tab.paid_out, tab.ended) = (capture, true);
            }
        }
        tab.version += 1;
        let tab = tab.clone();
        self.done.insert(name);
        Ok(tab)
    }
}

impl Teller for Bank {
    type Method = TabSession;
    type Order = Order;
    type Kept = Tab;

    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Borrowed("the bank")
    }

    fn terms(&self, rate: &Rate) -> Result<SessionTerms, PriceError> {
        let amount = rate.per_unit.in_unit("coin", 0)?;
        let deposit = rate.suggested_deposit.as_ref().map(|deposit| deposit.in_unit("coin", 0));
        Ok(SessionTerms::of(rate, amount, "coin").suggesting(deposit.transpose()?))
    }

    async fn details(
        &self,
        _: &SessionTerms,
        _: Asking<'_>,
        _: Option<&Account<Tab>>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        Ok(Minted::lasting(NoDetails {}))
    }

    fn account(&self, claim: &Claim<TabSession>) -> Result<String, Rejection> {
        let tab = claim.payload.tab();
        match tab.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !tab.is_empty() {
            true => Ok(tab.to_owned()),
            false => Err(Rejection::failed("No tab has this name.")),
        }
    }

    async fn check(
        &self,
        claim: &Claim<TabSession>,
        known: Option<&Account<Tab>>,
    ) -> Result<Act<Order, Tab>, Rejection> {
        self.state().checks += 1;
        let signed = |tab: &str, total: &Amount, signature: &str| {
            let good = signature == sign(tab, total.get());
            let raise = || Raise::proven(*total, Amount::ZERO, signature);
            good.then(raise).ok_or_else(|| {
                let kind = ProblemType::INVALID_SIGNATURE;
                Rejection::new(kind, Reason::BAD_PROOF, "The signature is not this tab's.")
            })
        };
        match &claim.payload {
            Slip::Open { tab, deposit, total, signature } => {
                let raise = signed(tab, total, signature)?;
                if total > deposit {
                    return Err(Rejection::failed("More is signed than deposited."));
                }
                let order = Order::Open { tab: tab.clone(), deposit: *deposit };
                let kept = Tab { name: tab.clone(), ..Tab::default() };
                Ok(Act::Open { order, kept, raise })
            }
            Slip::TopUp { tab, order, more } => {
                known.ok_or_else(no_tab)?;
                let (tab, order, more) = (tab.clone(), order.clone(), *more);
                Ok(Act::TopUp { order: Order::TopUp { tab, order, more } })
            }
            Slip::Voucher { tab, total, signature } => {
                let raise = signed(tab, total, signature)?;
                if known.is_some() {
                    return Ok(Act::Draw(raise));
                }
                let kept = self.state().tabs.get(tab).filter(|tab| !tab.ended).cloned();
                Ok(Act::Adopt { kept: kept.ok_or_else(no_tab)?, raise })
            }
            Slip::Close { tab, total, signature } => {
                let last = signed(tab, total, signature)?;
                known.ok_or_else(no_tab)?;
                Ok(Act::Close { order: Order::Close { tab: tab.clone() }, last })
            }
        }
    }

    fn named(&self, hint: &str) -> Option<String> {
        let named = hint.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !hint.is_empty();
        named.then(|| hint.to_owned())
    }

    fn ceiling(&self, kept: &Tab) -> Option<Amount> {
        Some(kept.deposit)
    }

    fn paid_out(&self, kept: &Tab) -> Amount {
        kept.paid_out
    }

    fn standing(&self, kept: &Tab) -> Standing {
        match &kept.ending {
            _ if kept.ended => Standing::Ended,
            Some(by) => Standing::Ending { by: by.clone() },
            None => Standing::Open,
        }
    }

    fn payer(&self, kept: &Tab) -> Option<Source> {
        Some(Source::new(format!("did:tab:{}", kept.name)))
    }

    fn name<'o>(&self, order: &'o Order) -> Cow<'o, str> {
        Cow::Owned(name_of(order))
    }

    fn spends<'o>(&self, order: &'o Order) -> Option<Spend<'o>> {
        match order {
            // A bank's slip that names no tab would be good for any.
            Order::TopUp { order, .. } => Some(Spend::of(order.as_str())),
            _ => None,
        }
    }

    fn has_moved(&self, _: &Order) -> bool {
        false
    }

    async fn settle(&self, order: &Order, account: &Account<Tab>) -> Fate {
        let ran = {
            let mut state = self.state();
            state.orders += 1;
            let mood = state.moods.pop_front().unwrap_or_default();
            match mood {
                Mood::Refuses => return Fate::Failed(Rejection::failed("The bank says no.")),
                Mood::NeverHears => return Fate::unknown("no answer"),
                _ => {}
            }
            let ran = state.run(order, account.spent);
            match mood {
                Mood::TakesAndIsMute => return Fate::unknown("no answer"),
                Mood::TakesAndHangs => None,
                _ => Some(ran),
            }
        };
        match ran {
            Some(Ok(tab)) => settled(order, &tab),
            Some(Err(refused)) => Fate::Failed(refused),
            None => pending().await,
        }
    }

    async fn reconcile(&self, order: &Order, _: &Account<Tab>) -> Fate {
        let mut state = self.state();
        state.orders += 1;
        if !state.done.contains(&name_of(order)) {
            return Fate::Absent;
        }
        match state.tabs.get(tab_of(order)) {
            Some(tab) => settled(order, tab),
            None => Fate::Absent,
        }
    }

    fn collect(&self, account: &Account<Tab>) -> Option<Order> {
        let proof = account.collectable().filter(|proof| proof.amount > account.kept.paid_out)?;
        Some(Order::Collect { tab: account.kept.name.clone(), total: proof.amount })
    }

    fn close(&self, account: &Account<Tab>) -> Option<Order> {
        Some(Order::Close { tab: account.kept.name.clone() })
    }

    async fn look(&self, kept: &[Tab]) -> Vec<Option<Tab>> {
        let mut state = self.state();
        state.looks += 1;
        let tabs = state.stale.as_ref().unwrap_or(&state.tabs);
        kept.iter().map(|kept| tabs.get(&kept.name).cloned()).collect()
    }

    fn merge(&self, kept: &mut Tab, seen: Tab) {
        kept.deposit = kept.deposit.max(seen.deposit);
        kept.paid_out = kept.paid_out.max(seen.paid_out);
        kept.ended |= seen.ended;
        if seen.version >= kept.version {
            (kept.ending, kept.version) = (seen.ending, seen.version);
        }
    }

    fn receipt(&self, _: &str, account: &Account<Tab>) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("intent".into(), json!("session"));
        members.insert("accepted".into(), json!(account.credit));
        members.insert("spent".into(), json!(account.spent));
        members.insert("units".into(), json!(account.units));
        members
    }

    fn need(&self, id: &str, account: &Account<Tab>, required: Amount) -> Need {
        let data = json!({ "tab": id, "required": required, "accepted": account.credit, "deposit": account.kept.deposit });
        Need { event: "payment-need-voucher", data }
    }

    fn fields(
        &self,
        id: &str,
        account: &Account<Tab>,
        _: &SessionTerms,
    ) -> Vec<(&'static str, String)> {
        if account.kept.ended || account.kept.ending.is_some() {
            return Vec::new();
        }
        vec![
            ("payment-session", id.to_owned()),
            ("payment-session-snapshot", account.credit.to_string()),
        ]
    }
}

fn settled(order: &Order, tab: &Tab) -> Fate {
    let kept = serde_json::to_value(tab).unwrap_or_default();
    let settlement = Settlement::new(tab.name.clone()).with("txHash", name_of(order));
    let credit = Credit::Same;
    Fate::Settled(Settlement { credit, ..settlement.keeping(kept) })
}

fn name_of(order: &Order) -> String {
    match order {
        Order::Open { tab, .. } => format!("open {tab}"),
        Order::TopUp { tab, order, .. } => format!("top-up {tab} {order}"),
        Order::Collect { tab, total } => format!("collect {tab} {total}"),
        Order::Close { tab } => format!("close {tab}"),
    }
}

fn tab_of(order: &Order) -> &str {
    match order {
        Order::Open { tab, .. }
        | Order::TopUp { tab, .. }
        | Order::Collect { tab, .. }
        | Order::Close { tab } => tab,
    }
}

fn no_tab() -> Rejection {
    let detail = "No tab of this name is open.";
    Rejection::new(ProblemType::CHANNEL_NOT_FOUND, Reason::NO_ACCOUNT, detail)
}
