//! A method of one's own, both halves, against `mpp-core` alone: paying with a coupon from a book.

#![expect(missing_debug_implementations, reason = "coupons are money, and not shown")]

use std::{borrow::Cow, sync::Mutex};

use mpp_core::{
    Charge, Method, Price,
    binding::Claim,
    challenge::Demand,
    fate::{Fate, Settlement},
    intent::{ChargeTerms, PriceError},
    method::NoDetails,
    name::MethodName,
    payer::{Allowance, Became, Exposure, PayError, Payer, Payment, Recall},
    problem::Rejection,
    verifier::{Asking, Minted, Spend, Verifier},
};
use serde::{Deserialize, Serialize};

/// The method: its name and its shapes.
#[derive(Debug)]
pub struct CouponCharge;

impl Method for CouponCharge {
    const NAME: MethodName = MethodName::from_static("coupon");
    type Intent = Charge;
    type Details = NoDetails;
    type Payload = Code;
}

/// What a payer sends as proof.
#[derive(Serialize, Deserialize)]
pub struct Code {
    code: String,
}

/// The client half: coupons one holds.
pub struct Holder(pub Mutex<Vec<String>>);

impl Payer for Holder {
    type Method = CouponCharge;

    fn exposes(&self, demand: &Demand<'_, CouponCharge>) -> Option<Exposure> {
        Some(Exposure::new(demand.request.terms.amount).in_unit("coupon", 0))
    }
    async fn pay(
        &self,
        _: &Demand<'_, CouponCharge>,
        _: &Allowance,
    ) -> Result<Payment<CouponCharge>, PayError> {
        let code = self.0.lock().ok().and_then(|mut codes| codes.pop());
        Ok(Payment::new(Code { code: code.ok_or_else(|| PayError::untouched("no coupons left"))? }))
    }
    async fn recall(&self, _: &Demand<'_, CouponCharge>) -> Result<Recall<CouponCharge>, PayError> {
        Ok(Recall::Unknown)
    }
    async fn became(&self, _: &Demand<'_, CouponCharge>, _: &Code) -> Result<Became, PayError> {
        Ok(Became::Open)
    }
}

/// The server half: a book whose coupons all start alike.
pub struct Booth(pub &'static str);

impl Verifier for Booth {
    type Method = CouponCharge;
    type Evidence = String;

    fn settles_at(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }
    fn terms(&self, price: &Price) -> Result<ChargeTerms, PriceError> {
        Ok(ChargeTerms::of(price, price.in_unit("coupon", 0)?, "coupon"))
    }
    async fn details(
        &self,
        _: &ChargeTerms,
        _: Asking<'_>,
    ) -> Result<Minted<NoDetails>, Rejection> {
        Ok(Minted::lasting(NoDetails {}))
    }
    async fn check(&self, claim: &Claim<CouponCharge>) -> Result<String, Rejection> {
        let good = claim.payload.code.starts_with(self.0);
        if good {
            Ok(claim.payload.code.clone())
        } else {
            Err(Rejection::failed("This coupon is not from our book."))
        }
    }
    fn spends<'e>(&self, code: &'e String) -> Option<Spend<'e>> {
        Some(Spend::of(code))
    }
    fn has_moved(&self, _: &String) -> bool {
        false
    }
    async fn settle(&self, code: &String) -> Fate {
        Fate::Settled(Settlement::new(code))
    }
    async fn reconcile(&self, _: &String) -> Fate {
        Fate::Absent
    }
}
