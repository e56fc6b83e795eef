//! Currencies, and the least that is charged in each.

use super::refused::Refused;

/// Stripe's published minimums, in the currency's smallest unit. Others have none here.
const MINIMUMS: [(&str, i64); 32] = [
    ("aed", 200),
    ("ars", 50),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("cop", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("idr", 50),
    ("ils", 50),
    ("inr", 50),
    ("jpy", 50),
    ("krw", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("php", 50),
    ("pln", 200),
    ("ron", 200),
    ("rub", 50),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
    ("zar", 50),
];

/// Other currencies that are taken.
const OTHERS: [&str; 12] =
    ["bhd", "clp", "isk", "jod", "kwd", "omr", "tnd", "try", "twd", "uah", "vnd", "xof"];

/// The most that is charged.
const MOST: i64 = 99_999_999;

/// A currency in lower case, whatever it was written in.
pub(super) fn currency(text: &str, param: &str) -> Result<String, Refused> {
    let lower = text.to_ascii_lowercase();
    let known = MINIMUMS.iter().any(|(name, _)| *name == lower) || OTHERS.contains(&lower.as_str());
    if known {
        return Ok(lower);
    }
    Err(Refused::invalid(
        "Invalid currency: it must be a three-letter ISO code that Stripe supports",
    )
    .at(param))
}

/// Refuses an amount that is not charged in this currency.
pub(super) fn chargeable(amount: i64, currency: &str) -> Result<(), Refused> {
    if amount < 1 {
        let said = "This value must be greater than or equal to 1.";
        return Err(Refused::invalid(said).code("parameter_invalid_integer").at("amount"));
    }
    if amount > MOST {
        let said = format!("Amount must be no more than {MOST} {currency}");
        return Err(Refused::invalid(said).code("amount_too_large").at("amount"));
    }
    let least = MINIMUMS.iter().find(|(name, _)| *name == currency).map_or(1, |(_, least)| *least);
    if amount < least {
        let said = format!("Amount must be at least {least} {currency}, in its smallest unit");
        return Err(Refused::invalid(said).code("amount_too_small").at("amount"));
    }
    Ok(())
}
