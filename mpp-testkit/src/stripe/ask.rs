//! A request, once it is known who asks.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Call, books::Books, form::Form, refused::Refused, version::Version};

/// Stripe's limit on the length of an idempotency key.
const KEY: usize = 255;

/// A request as it came.
pub(super) struct Incoming {
    pub(super) call: Call,
    pub(super) authorization: Option<String>,
    pub(super) form: Form,
}

/// A request of the account, in a version that makes sense.
pub(super) struct Ask {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) form: Form,
    pub(super) version: Version,
    pub(super) account: Option<String>,
    pub(super) key: Option<String>,
}

impl Ask {
    /// Reads the headers. What is refused here never began.
    pub(super) fn read(books: &Books, id: &str, incoming: &Incoming) -> Result<Self, Refused> {
        authorized(books, incoming.authorization.as_deref())?;
        let call = &incoming.call;
        let version = call.header("stripe-version").unwrap_or(&books.default_version);
        let account = call.header("stripe-account");
        if let Some(account) = account.filter(|account| !is_account(account)) {
            let said = format!(
                "The provided key does not have access to account '{account}' (or that account does not exist)."
            );
            return Err(Refused::forbidden(said).code("account_invalid"));
        }
        let key = call.header("idempotency-key").filter(|key| !key.is_empty());
        if key.is_some_and(|key| key.chars().count() > KEY) {
            let said = format!("Idempotency-Key can have up to {KEY} characters");
            return Err(Refused::invalid(said));
        }
        form_encoded(call)?;
        Ok(Self {
            id: id.to_owned(),
            method: call.method.clone(),
            path: call.path.clone(),
            form: incoming.form.clone(),
            version: Version::read(version)?,
            account: account.map(str::to_owned),
            key: key.map(str::to_owned),
        })
    }

    /// Whether it may change anything.
    pub(super) fn changes(&self) -> bool {
        self.method != "GET"
    }

    /// Refuses parameters that only a preview knows, as parameters that nobody knows.
    pub(super) fn only(&self, known: &[&str], preview: &[&str]) -> Result<(), Refused> {
        let mut all = Vec::from(known);
        all.push("expand[]");
        if self.version.shares_payments() {
            all.extend(preview);
        }
        self.form.only(&all)
    }
}

fn authorized(books: &Books, authorization: Option<&str>) -> Result<(), Refused> {
    let shown = authorization.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(rest.trim().to_owned());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        decoded.strip_suffix(':').map(str::to_owned)
    });
    match shown {
        Some(key) if key == books.secret_key => Ok(()),
        // Stripe shows the ends of a wrong key; this shows nothing of it.
        Some(_) => Err(Refused::unauthorized("Invalid API Key provided: ****")),
        None => Err(Refused::unauthorized(
            "You did not provide an API key. Provide it in the Authorization header, by Bearer auth, \
             or as the username of Basic auth with an empty password.",
        )),
    }
}

fn is_account(text: &str) -> bool {
    text.strip_prefix("acct_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn form_encoded(call: &Call) -> Result<(), Refused> {
    let Some(kind) = call.header("content-type") else { return Ok(()) };
    if call.method == "GET" || kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(Refused::invalid("Invalid request: requests to /v1 are application/x-www-form-urlencoded"))
}
