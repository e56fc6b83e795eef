//! Challenges that a server did not issue as they are: everybody's secret is known here, so that each part can be told apart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use mpp_core::{Challenge, Draft, Encoded, Timestamp, binding::Keys, name::MethodName};
use serde_json::{Value, json};

use crate::serve::SECRET;

/// The secret of nobody that plays.
const FOREIGN: &str = "a-secret-of-somebody-else-entirely!!!!";

/// The same, of the same secret, that ends this much later than now.
pub(super) fn ending(challenge: &Challenge, after: Duration) -> anyhow::Result<Challenge> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let end = i64::try_from((now + after).as_secs())?;
    let draft = Draft { expires: Some(Timestamp::from_unix(end, 0)), ..challenge.to_draft() };
    Ok(Keys::new(SECRET)?.seal(draft))
}

/// The same, of the same secret, for half.
pub(super) fn cheaper(challenge: &Challenge) -> anyhow::Result<Challenge> {
    Ok(Keys::new(SECRET)?.seal(cut(challenge)?))
}

/// The same under its old id, for half.
pub(super) fn tampered(challenge: &Challenge) -> anyhow::Result<Challenge> {
    Ok(Challenge::received(challenge.id().clone(), cut(challenge)?))
}

/// The same, of another secret.
pub(super) fn foreign(challenge: &Challenge) -> anyhow::Result<Challenge> {
    Ok(Keys::new(FOREIGN)?.seal(challenge.to_draft()))
}

/// The same, of the same secret, for another method.
pub(super) fn of_method(challenge: &Challenge, method: &str) -> anyhow::Result<Challenge> {
    let draft = Draft { method: MethodName::parse(method)?, ..challenge.to_draft() };
    Ok(Keys::new(SECRET)?.seal(draft))
}

fn cut(challenge: &Challenge) -> anyhow::Result<Draft> {
    let mut request: Value = challenge.request.decode()?;
    let amount = request.get_mut("amount").context("a charge asks an amount")?;
    let asked = amount.as_str().context("an amount is a text")?.parse::<u128>()?;
    *amount = json!((asked / 2).to_string());
    Ok(Draft { request: Encoded::of(&request)?, ..challenge.to_draft() })
}

#[cfg(test)]
mod tests {
    use mpp_core::transport::read_field;

    use super::*;

    #[test]
    fn each_forgery_differs_in_what_it_is_for() {
        let request = Encoded::of(&json!({ "amount": "10000", "currency": "0x20" })).unwrap();
        let field = format!(
            "Payment id=\"i\", realm=\"r\", method=\"tempo\", intent=\"charge\", request=\"{}\"",
            request.as_str()
        );
        let asked = Keys::new(SECRET).unwrap().seal(read_field(&field).unwrap()[0].to_draft());
        let ours = Keys::new(SECRET).unwrap();
        let amount = |c: &Challenge| c.request.decode::<Value>().unwrap()["amount"].clone();
        for (forged, sealed, units) in [
            (ending(&asked, Duration::from_secs(8)).unwrap(), true, "10000"),
            (cheaper(&asked).unwrap(), true, "5000"),
            (tampered(&asked).unwrap(), false, "5000"),
            (foreign(&asked).unwrap(), false, "10000"),
        ] {
            assert_eq!((ours.sealed(&forged), amount(&forged)), (sealed, json!(units)));
        }
    }
}
