//! Several methods and intents on one route: what is offered at which price and to whom, and where a credential is taken.

mod callers;
mod minting;
mod prices;
mod routing;
mod wire;

use std::sync::Arc;

use mpp_core::{
    Challenge, Charge, Credential, Price,
    intent::{Rate, Session},
    problem::Reason,
    store::Memory,
    transport::{Call, Refusal, Resource},
};
use mpp_server::{
    Admission, Gate, Offers, Permit, Route, gate::GateBuilder, offer::Sell, permit::Ending,
};
use mpp_testkit::{
    bank::{self, Bank},
    clock::Hands,
    rail::{CouponCharge, Step},
    stall::{self, Coded, Stall, StampCharge, TokenCharge},
};

use crate::shop::{Why, builder, why};

/// A seller who is paid by three methods at once, and by tab. All prices are in coins.
pub(super) struct Fair {
    pub(super) gate: Gate,
    pub(super) coupon: Arc<Stall<CouponCharge>>,
    pub(super) token: Arc<Stall<TokenCharge>>,
    pub(super) stamp: Arc<Stall<StampCharge>>,
    pub(super) bank: Arc<Bank>,
}

impl Fair {
    pub(super) fn new() -> Self {
        Self::set(|gate| gate)
    }

    pub(super) fn set(setting: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        Self {
            gate: setting(builder(Memory::volatile(), &Hands::new())).build().unwrap(),
            coupon: Arc::new(Stall::new("coin", 0)),
            token: Arc::new(Stall::new("coin", 2)),
            stamp: Arc::new(Stall::new("coin", 2)),
            bank: Arc::new(Bank::new()),
        }
    }

    /// Each method at a price of its own: coupon 3, token 1.50, stamp 2, tab 2 a joke.
    pub(super) fn route(&self) -> Route {
        let charges = Offers::<Charge>::of(price("2 coin"))
            .via_at(&self.coupon, &price("3 coin"))
            .via_at(&self.token, &price("1.50 coin"))
            .via(&self.stamp);
        let rate: Rate = "2 coin per joke".parse().unwrap();
        let metered = Offers::<Session>::of(rate).via(&self.bank);
        let route = Route::of(charges.into_iter().chain(metered));
        self.gate.recovers(&route);
        route
    }

    pub(super) async fn judge(
        &self,
        route: &Route,
        credential: Option<&Credential>,
    ) -> Result<Admission, Refusal> {
        let mut call = Call::to(Resource::at("GET /joke").in_place("/joke"));
        call.credential = Ok(credential.cloned());
        self.gate.judge(route, call).await
    }

    pub(super) async fn ask(&self, route: &Route) -> Refusal {
        self.judge(route, None).await.unwrap_err()
    }

    pub(super) async fn serve(
        &self,
        route: &Route,
        credential: &Credential,
    ) -> Result<Permit, Why> {
        match self.judge(route, Some(credential)).await {
            Ok(Admission::Serve(permit)) => Ok(permit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(why(&refusal)),
        }
    }

    /// Shows a credential that must be taken, and delivers.
    pub(super) async fn deliver(&self, route: &Route, credential: &Credential) {
        let permit = self.serve(route, credential).await.unwrap();
        permit.finish(Ending::Delivered).await.unwrap();
    }

    /// What was taken: coupons, tokens, stamps, and tabs that were opened.
    pub(super) fn taken(&self) -> [usize; 4] {
        let tabs = usize::try_from(self.bank.asked().1).unwrap();
        let [coupons, tokens, stamps] = [self.coupon.rail(), self.token.rail(), self.stamp.rail()];
        [coupons.taken(), tokens.taken(), stamps.taken(), tabs]
    }

    /// How often each rail was asked to look at a proof.
    pub(super) fn checks(&self) -> [usize; 3] {
        [self.coupon.rail(), self.token.rail(), self.stamp.rail()].map(|r| r.asked(Step::Check))
    }
}

pub(super) fn price(text: &str) -> Price {
    text.parse().unwrap()
}

/// The methods of challenges, in order.
pub(super) fn methods(challenges: &[Challenge]) -> Vec<&str> {
    challenges.iter().map(|challenge| challenge.method.as_str()).collect()
}

/// The challenge of one method.
pub(super) fn of<'c>(challenges: &'c [Challenge], method: &str) -> &'c Challenge {
    challenges.iter().find(|challenge| challenge.method.as_str() == method).unwrap()
}

/// Answers any challenge of a fair as its method has it.
pub(super) fn pay(challenge: &Challenge, name: &str) -> Credential {
    fn coded<M: Coded>(challenge: &Challenge, name: &str) -> Credential {
        stall::answer::<M>(challenge, stall::code::<M>(name))
    }
    match challenge.method.as_str() {
        "coupon" => coded::<CouponCharge>(challenge, name),
        "token" => coded::<TokenCharge>(challenge, name),
        "stamp" => coded::<StampCharge>(challenge, name),
        _ => bank::answer(challenge, &bank::open(name, 10, 2)),
    }
}

/// One method at a price.
pub(super) fn only<S: Sell<Charge>>(seller: &Arc<S>, at: &str) -> Route {
    Offers::<Charge>::of(price(at)).via(seller).into_vec().unwrap().into()
}

pub(super) const NOT_OFFERED: Reason = Reason::NOT_OFFERED;
