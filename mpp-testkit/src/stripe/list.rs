//! Reading objects: one, a page of them, a search, and what an answer is expanded with.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    books::{Books, id_of},
    form::Form,
    invoices,
    refused::Refused,
};

/// How deep an answer is expanded.
const DEPTH: usize = 4;

/// An object by its id.
pub(super) fn get(books: &Books, ask: &Ask, kind: &str, id: &str) -> Result<Value, Refused> {
    ask.only(&["client_secret"], &[])?;
    Ok(books.find(kind, id, ask)?.value.clone())
}

/// A page, newest first. `filters` are members that must equal what is asked.
pub(super) fn list(
    books: &Books,
    ask: &Ask,
    kind: &str,
    filters: &[&str],
) -> Result<Value, Refused> {
    let mut known = vec![
        "limit",
        "starting_after",
        "ending_before",
        "created",
        "created[gt]",
        "created[gte]",
        "created[lt]",
        "created[lte]",
    ];
    known.extend(filters);
    ask.only(&known, &[])?;
    let found = books.seen(kind, ask).map(|record| &record.value);
    let found = Vec::from_iter(found.filter(|value| fits(&ask.form, value, filters)));
    page(ask, found)
}

/// Whether every filter that is asked for holds.
pub(super) fn fits(form: &Form, value: &Value, filters: &[&str]) -> bool {
    filters.iter().all(|name| match form.text(name) {
        Some(text) => value.get(name).is_some_and(|member| member_is(member, text)),
        None => true,
    })
}

/// A page of these, which are newest first.
pub(super) fn page(ask: &Ask, found: Vec<&Value>) -> Result<Value, Refused> {
    let form = &ask.form;
    let limit = limit(ask)?;
    let bounds = [
        ("created[gt]", i64::gt as fn(&i64, &i64) -> bool),
        ("created[gte]", i64::ge),
        ("created[lt]", i64::lt),
        ("created[lte]", i64::le),
        ("created", i64::eq),
    ];
    let mut found = found;
    for (name, holds) in bounds {
        if let Some(bound) = form.integer(name)? {
            found.retain(|value| holds(&created(value), &bound));
        }
    }
    let at = |id: &str, param: &str| {
        let place = found.iter().position(|value| id_of(value) == id);
        place.ok_or_else(|| Refused::no_such("object", id, param))
    };
    let (from, to) = match (form.text("starting_after"), form.text("ending_before")) {
        (Some(id), _) => (at(id, "starting_after")? + 1, found.len()),
        (None, Some(id)) => {
            let end = at(id, "ending_before")?;
            (end.saturating_sub(limit), end)
        }
        (None, None) => (0, found.len()),
    };
    let rest = found.get(from..to).unwrap_or_default();
    let data = Vec::from_iter(rest.iter().take(limit));
    Ok(
        json!({ "object": "list", "url": ask.path, "has_more": rest.len() > data.len(), "data": data }),
    )
}

/// What a search finds: `metadata['k']:'v'`, `status:"succeeded"`, and several with `AND`.
pub(super) fn search(books: &Books, ask: &Ask, kind: &str) -> Result<Value, Refused> {
    ask.only(&["query", "limit", "page"], &[])?;
    let terms = terms(ask.form.required("query")?)
        .ok_or_else(|| Refused::invalid("We were unable to parse your search query").at("query"))?;
    let newest = books.now().saturating_sub(books.search_lag);
    let hit = |value: &Value| {
        (books.search_lag == 0 || created(value) <= newest)
            && terms.iter().all(|(path, wanted)| {
                let found = path.iter().try_fold(value, |value, name| value.get(name));
                found.is_some_and(|member| member_is(member, wanted))
            })
    };
    let found = Vec::from_iter(
        books.seen(kind, ask).map(|record| &record.value).filter(|value| hit(value)),
    );
    let limit = limit(ask)?;
    let data = Vec::from_iter(found.iter().take(limit));
    let more = found.len() > data.len();
    Ok(
        json!({ "object": "search_result", "url": ask.path, "has_more": more, "next_page": null, "data": data }),
    )
}

/// The members that a query names, and what they must be.
fn terms(query: &str) -> Option<Vec<(Vec<String>, String)>> {
    let mut terms = Vec::new();
    let mut rest = query.trim();
    while !rest.is_empty() {
        let (path, after) = field(rest)?;
        let (value, after) = quoted(after.strip_prefix(':')?)?;
        terms.push((path, value));
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix("AND ").or_else(|| rest.strip_prefix("and "))?.trim_start();
            if rest.is_empty() {
                return None;
            }
        }
    }
    (!terms.is_empty()).then_some(terms)
}

fn field(text: &str) -> Option<(Vec<String>, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|end| *end > 0)?;
    let (name, rest) = text.split_at(end);
    let Some(inner) = rest.strip_prefix('[') else { return Some((vec![name.to_owned()], rest)) };
    let (key, after) = quoted(inner)?;
    Some((vec![name.to_owned(), key], after.strip_prefix(']')?))
}

/// A text in quotes, in which a backslash keeps the next letter as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next().filter(|(_, quote)| matches!(quote, '\'' | '"'))?;
    let mut value = String::new();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            _ if letter == quote => return Some((value, text.get(place + 1..)?)),
            _ => value.push(letter),
        }
    }
    None
}

fn member_is(member: &Value, text: &str) -> bool {
    match member {
        Value::String(member) => member == text,
        Value::Bool(member) => text.parse() == Ok(*member),
        Value::Number(member) => text.parse().is_ok_and(|number| member.as_i64() == Some(number)),
        Value::Null | Value::Object(_) | Value::Array(_) => false,
    }
}

fn limit(ask: &Ask) -> Result<usize, Refused> {
    let limit = ask.form.integer("limit")?.unwrap_or(10);
    let usable = usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit));
    usable.ok_or_else(|| Refused::invalid("limit must be between 1 and 100").at("limit"))
}

fn created(value: &Value) -> i64 {
    value.get("created").and_then(Value::as_i64).unwrap_or_default()
}

/// Puts objects where their ids are, as `expand[]` asks.
pub(super) fn expand(books: &Books, ask: &Ask, mut value: Value) -> Result<Value, Refused> {
    for path in ask.form.list("expand") {
        let names = Vec::from_iter(path.split('.'));
        if names.len() > DEPTH || !put(books, ask, &mut value, &names) {
            let said = format!("This property cannot be expanded ({path}).");
            // The work is done by now: this is its result.
            return Err(Refused::invalid(said).at("expand").stored());
        }
    }
    Ok(value)
}

fn put(books: &Books, ask: &Ask, value: &mut Value, names: &[&str]) -> bool {
    let Some((name, rest)) = names.split_first() else { return true };
    if let Value::Array(values) = value {
        return values.iter_mut().all(|value| put(books, ask, value, names));
    }
    if value.get("object").is_some_and(|kind| kind == "invoice") && *name == "payments" {
        // A list that stands in an invoice only where it is asked for.
        value["payments"] = invoices::payments(books, id_of(value));
    }
    let Some(member) = value.get_mut(name) else { return false };
    if let Value::String(id) = member {
        match books.any(id, ask) {
            Some(object) => *member = object.clone(),
            None => return false,
        }
    }
    member.is_null() || put(books, ask, member, rest)
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn queries_are_read_as_stripe_writes_them() {
        let one = terms("metadata['mpp_challenge_id']:'a\\'b' AND status:\"succeeded\"").unwrap();
        assert_eq!(one[0].0, ["metadata", "mpp_challenge_id"]);
        assert_eq!(one[0].1, "a'b");
        assert_eq!(one[1], (vec!["status".to_owned()], "succeeded".to_owned()));
        for bad in [
            "",
            "metadata",
            "metadata['k']",
            "metadata['k']:'v' AND",
            "metadata[k]:'v'",
            "status:'x",
            "é:'v'",
            "'",
        ] {
            assert!(terms(bad).is_none(), "{bad}");
        }
    }
}
