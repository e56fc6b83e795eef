//! Products and prices.

use serde_json::{Map, Value, json};

use super::{
    ask::Ask,
    books::{Books, Hidden, id_of, with_nulls},
    currency::currency,
    customers::merge,
    list,
    period::Every,
    refused::Refused,
};

const PRODUCT: &str = "product";
const PRICE: &str = "price";

/// `POST /v1/products`.
pub(super) fn create_product(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(&["name", "description", "metadata[*]", "active"], &[])?;
    let name = ask.form.required("name")?;
    let metadata = ask.form.metadata("metadata")?;
    Ok(keep_product(books, ask, name, ask.form.text("description"), metadata))
}

fn keep_product(
    books: &mut Books,
    ask: &Ask,
    name: &str,
    description: Option<&str>,
    metadata: Map<String, Value>,
) -> Value {
    const NULLS: [&str; 7] = [
        "default_price",
        "package_dimensions",
        "shippable",
        "statement_descriptor",
        "tax_code",
        "unit_label",
        "url",
    ];
    let (id, now) = (books.fresh("prod_"), books.now());
    let value = with_nulls(
        &NULLS,
        json!({
            "active": true, "created": now, "description": description, "id": id, "images": [], "livemode": false,
            "marketing_features": [], "metadata": metadata, "name": name, "object": PRODUCT, "type": "service",
            "updated": now,
        }),
    );
    books.keep(PRODUCT, ask.account.clone(), value.clone(), Hidden::default());
    value
}

/// `POST /v1/prices`.
pub(super) fn create_price(books: &mut Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(
        &[
            "currency",
            "unit_amount",
            "recurring[interval]",
            "recurring[interval_count]",
            "recurring[usage_type]",
            "product",
            "product_data[name]",
            "product_data[metadata][*]",
            "lookup_key",
            "transfer_lookup_key",
            "nickname",
            "metadata[*]",
            "tax_behavior",
            "active",
            "billing_scheme",
        ],
        &[],
    )?;
    let form = &ask.form;
    let metadata = form.metadata("metadata")?;
    let terms = Terms::read(ask, "")?;
    let key = form.text("lookup_key");
    let taken = key.and_then(|key| {
        let mut prices = books.seen(PRICE, ask).map(|record| &record.value);
        prices.find(|price| price["lookup_key"] == key).map(|price| id_of(price).to_owned())
    });
    if let Some(taken) = taken {
        if form.flag("transfer_lookup_key")? != Some(true) {
            let said = format!("A price (`{taken}`) already uses that lookup key.");
            return Err(Refused::invalid(said).code("resource_already_exists").at("lookup_key"));
        }
        books.change(PRICE, &taken, |price| price["lookup_key"] = Value::Null);
    }
    let product = product(books, ask)?;
    let value = keep_price(books, ask, &terms, &product);
    Ok(books.change(PRICE, id_of(&value), |price| {
        price["lookup_key"] = key.into();
        price["nickname"] = form.text("nickname").into();
        price["metadata"] = Value::Object(metadata);
    }))
}

fn product(books: &mut Books, ask: &Ask) -> Result<String, Refused> {
    let form = &ask.form;
    match (form.text("product"), form.text("product_data[name]")) {
        (Some(product), None) if books.find(PRODUCT, product, ask).is_ok() => {
            Ok(product.to_owned())
        }
        (Some(product), None) => Err(Refused::no_such(PRODUCT, product, "product")),
        (None, Some(name)) => {
            let metadata = form.metadata("product_data[metadata]")?;
            Ok(id_of(&keep_product(books, ask, name, None, metadata)).to_owned())
        }
        (None, None) => Err(Refused::missing("product")),
        (Some(_), Some(_)) => Err(Refused::invalid(
            "You may only specify one of these parameters: product, product_data.",
        )
        .at("product")),
    }
}

/// What a price asks.
pub(super) struct Terms {
    currency: String,
    amount: i64,
    every: Option<Every>,
}

impl Terms {
    /// Reads them from a form, in which their names may stand within others: `items[0][price_data]`.
    pub(super) fn read(ask: &Ask, within: &str) -> Result<Self, Refused> {
        let name = |member: &str| match (within, member.split_once('[')) {
            ("", _) => member.to_owned(),
            (_, None) => format!("{within}[{member}]"),
            (_, Some((top, rest))) => format!("{within}[{top}][{rest}"),
        };
        let form = &ask.form;
        let code = name("currency");
        let currency = currency(form.required(&code)?, &code)?;
        let amount = form.required_integer(&name("unit_amount"))?;
        if amount < 0 {
            return Err(Refused::invalid("Invalid non-negative integer").at(&name("unit_amount")));
        }
        let every = match form.text(&name("recurring[interval]")) {
            None => None,
            Some(interval) => {
                let count = form.integer(&name("recurring[interval_count]"))?.unwrap_or(1);
                let refused =
                    || Refused::invalid("Invalid interval").at(&name("recurring[interval]"));
                Some(Every::read(interval, count).ok_or_else(refused)?)
            }
        };
        Ok(Self { currency, amount, every })
    }
}

/// Makes a price.
pub(super) fn keep_price(books: &mut Books, ask: &Ask, terms: &Terms, product: &str) -> Value {
    const NULLS: [&str; 5] =
        ["custom_unit_amount", "lookup_key", "nickname", "tiers_mode", "transform_quantity"];
    let recurring = terms.every.map(|every| {
        json!({
            "interval": every.interval(), "interval_count": every.count(), "meter": null, "trial_period_days": null,
            "usage_type": "licensed",
        })
    });
    let id = books.fresh("price_");
    let value = with_nulls(
        &NULLS,
        json!({
            "active": true, "billing_scheme": "per_unit", "created": books.now(), "currency": terms.currency, "id": id,
            "livemode": false, "metadata": {}, "object": PRICE, "product": product, "recurring": recurring,
            "tax_behavior": "unspecified", "type": if terms.every.is_some() { "recurring" } else { "one_time" },
            "unit_amount": terms.amount, "unit_amount_decimal": terms.amount.to_string(),
        }),
    );
    books.keep(PRICE, ask.account.clone(), value.clone(), Hidden::default());
    value
}

/// `GET /v1/prices`.
pub(super) fn list_prices(books: &Books, ask: &Ask) -> Result<Value, Refused> {
    ask.only(
        &[
            "limit",
            "starting_after",
            "ending_before",
            "lookup_keys[]",
            "product",
            "active",
            "currency",
            "type",
        ],
        &[],
    )?;
    let form = &ask.form;
    let keys = form.list("lookup_keys");
    let wanted = |price: &Value| {
        let key = price["lookup_key"].as_str();
        (keys.is_empty() || key.is_some_and(|key| keys.contains(&key)))
            && list::fits(form, price, &["product", "active", "currency", "type"])
    };
    let prices = books.seen(PRICE, ask).map(|record| &record.value);
    list::page(ask, prices.filter(|price| wanted(price)).collect())
}

/// `POST /v1/prices/:id`, `POST /v1/products/:id`.
pub(super) fn update(
    books: &mut Books,
    ask: &Ask,
    kind: &'static str,
    id: &str,
) -> Result<Value, Refused> {
    ask.only(&["active", "metadata[*]", "nickname", "name", "description"], &[])?;
    books.find(kind, id, ask)?;
    let (active, metadata) = (ask.form.flag("active")?, ask.form.metadata("metadata")?);
    Ok(books.change(kind, id, |object| {
        if let Some(active) = active {
            object["active"] = active.into();
        }
        for name in ["nickname", "name", "description"] {
            if let (Some(text), Some(member)) = (ask.form.text(name), object.get_mut(name)) {
                *member = text.into();
            }
        }
        merge(&mut object["metadata"], metadata);
    }))
}
