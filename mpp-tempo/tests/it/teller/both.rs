//! Both halves of a session against each other: what one signs the other takes.

use mpp_core::{
    Receipt,
    account::State,
    payer::{Allowance, Outcome, Payer as _, Payment, Site, Step, Wish},
    store::{Memory, Store},
};
use mpp_tempo::{charge::sponsor::Sponsor, session::Payer};

use super::*;

/// A payer, and what a gate would have on its books.
struct Visit {
    stage: Stage,
    payer: Payer,
    asked: Challenge,
    account: Option<Account<Channel>>,
}

impl Visit {
    async fn to(stage: Stage) -> Self {
        let payer = Payer::new(account(1), &Chain::MODERATO, stage.node.clone());
        let payer = payer.deposit("0.005").unwrap().top_up("0.005").unwrap();
        let asked = challenge(&stage.teller).await;
        Self { stage, payer, asked, account: None }
    }

    async fn pay(&self) -> Payment<TempoSession> {
        let demand = self.asked.read().unwrap();
        let up_to = self.payer.exposes(&demand).unwrap().amount;
        self.payer.pay(&demand, &allowance(up_to)).await.unwrap()
    }

    /// Does what a gate does, and tells the payer of it. Says what the credential did.
    async fn take(&mut self, payment: Payment<TempoSession>) -> &'static str {
        let teller = &self.stage.teller;
        let source = payment.source.as_ref().map(Source::as_str);
        let claim = claim(&self.asked, &payment.payload, source);
        let name = teller.account(&claim).unwrap();
        let act = teller.check(&claim, self.account.as_ref()).await.unwrap();
        let mut extra = serde_json::Map::new();
        let units = u64::from(payment.step == Step::Pay);
        let mut known = match (&act, self.account.take()) {
            (Act::Open { kept, .. }, None) => Account::opening(kept.clone()),
            (_, Some(known)) => known,
            (act, None) => panic!("{act:?}"),
        };
        let order = match &act {
            Act::Open { order, .. } | Act::TopUp { order } | Act::Close { order, .. } => {
                Some(order)
            }
            _ => None,
        };
        if let Some(order) = order {
            let settlement = settled(teller.settle(order, &known).await);
            self.stage.merge(&mut known, &settlement);
            extra = settlement.extra;
        }
        if let Act::Open { raise, .. } | Act::Draw(raise) = &act {
            known.state = State::Open;
            self.stage.draw(&mut known, raise, units);
        }
        let mut members = teller.receipt(&name, &known);
        members.append(&mut extra);
        let receipt = Receipt {
            method: MethodName::from_static("tempo"),
            reference: name,
            status: mpp_core::receipt::Status::Success,
            timestamp: now(),
            external_id: None,
            extra: members,
        };
        let action = payment.payload.action();
        payment.hold.unwrap().resolve(Outcome::Accepted(Box::new(receipt)));
        self.account = Some(known);
        action
    }
}

fn allowance(up_to: Amount) -> Allowance {
    let to = Site { origin: "https://api.example.com".into(), resource: "/".into() };
    Allowance { up_to, to }
}

async fn a_whole_session(stage: Stage) -> Visit {
    let mut visit = Visit::to(stage).await;
    let payee = account(2);
    let before = visit.stage.held(&payee).await;
    let mut done = Vec::new();
    while visit.account.as_ref().is_none_or(|account| account.units < 7) {
        let payment = visit.pay().await;
        done.push(visit.take(payment).await);
    }
    assert_eq!(done.iter().filter(|action| **action == "open").count(), 1, "{done:?}");
    assert_eq!(done.iter().filter(|action| **action == "topUp").count(), 1, "{done:?}");
    let asked = visit.asked.clone();
    let demand = asked.read().unwrap();
    let close = visit.payer.grant(&demand, &Wish::Close, &allowance(Amount::ZERO)).await;
    let close = close.unwrap().unwrap();
    assert_eq!(visit.take(close).await, "close");
    let again = visit.payer.grant(&demand, &Wish::Close, &allowance(Amount::ZERO)).await;
    assert!(again.unwrap().is_none());
    assert!(visit.payer.channels().is_empty(), "the chain shows that it is closed");
    let account = visit.account.as_ref().unwrap();
    assert!(account.kept.ended);
    assert_eq!((account.spent.get(), account.kept.settled.get()), (7 * PRICE, 7 * PRICE));
    let earned = visit.stage.held(&payee).await - before;
    assert!((1..=7 * PRICE).contains(&earned), "but for the fee of the close: {earned}");
    visit
}

#[tokio::test]
async fn what_the_payer_signs_the_seller_takes_from_the_first_unit_to_the_close() {
    a_whole_session(Stage::new().await).await;
}

#[tokio::test]
async fn a_sponsored_session_costs_its_payer_what_was_used_and_nothing_else() {
    let store: Arc<dyn Store> = Arc::new(Memory::volatile());
    let sponsor = Sponsor::new(&Chain::MODERATO, Arc::new(account(3)), store).unwrap();
    let stage =
        Stage::with(|teller| teller.sponsor(sponsor).unwrap().min_deposit("0.005").unwrap()).await;
    let (before, of_sponsor) = (stage.held(&stage.payer).await, stage.held(&account(3)).await);
    let visit = a_whole_session(stage).await;
    assert_eq!(before - visit.stage.held(&visit.stage.payer).await, 7 * PRICE);
    assert!(visit.stage.held(&account(3)).await < of_sponsor);
}

#[tokio::test]
async fn an_operator_settles_and_closes_for_a_recipient_who_signs_nothing() {
    let recipient = account(6).address().to_string();
    let stage = Stage::new().await;
    let teller =
        Teller::new(&Chain::MODERATO, &recipient, Arc::new(account(2)), stage.node.clone());
    let teller = teller.unwrap().settle_deadline(Duration::from_secs(3));
    let stage = Stage { teller, ..stage };
    let before = stage.held(&account(6)).await;
    let mut visit = Visit::to(stage).await;
    for _ in 0..3 {
        let payment = visit.pay().await;
        visit.take(payment).await;
    }
    let account = visit.account.as_ref().unwrap();
    assert_eq!(account.kept.descriptor.operator, crate::teller::account(2).address());
    let teller = &visit.stage.teller;
    settled(teller.settle(&teller.collect(account).unwrap(), account).await);
    settled(teller.settle(&teller.close(account).unwrap(), account).await);
    assert_eq!(visit.stage.held(&crate::teller::account(6)).await - before, 3 * PRICE);
}
