//! What is refused, in the shape of Stripe's errors.

use serde_json::{Map, Value, json};

/// An error body and its status.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    kind: &'static str,
    message: String,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
    /// Members that only some errors have: `payment_intent`, `charge`.
    more: Map<String, Value>,
    /// Whether the endpoint had begun, so that this is the result under the idempotency key.
    pub(super) stored: bool,
}

impl Refused {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            code: None,
            decline_code: None,
            param: None,
            more: Map::new(),
            stored: false,
        }
    }

    /// 400: what was asked makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .at(param)
    }

    pub(super) fn unknown(names: &[&str]) -> Self {
        let plural = if names.len() > 1 { "s" } else { "" };
        let first = names.first().copied().unwrap_or_default();
        let message = format!("Received unknown parameter{plural}: {}", names.join(", "));
        Self::invalid(message).code("parameter_unknown").at(first)
    }

    /// An id in a form that names nothing: 400. One in a path is [`Refused::not_found`].
    pub(super) fn no_such(what: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {what}: '{id}'")).code("resource_missing").at(param)
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        let mut this = Self::no_such(what, id, "id");
        this.status = 404;
        this
    }

    pub(super) fn no_url(method: &str, path: &str) -> Self {
        let message =
            format!("Unrecognized request URL ({method}: {path}). Please see the API reference.");
        Self::new(404, "invalid_request_error", message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "invalid_request_error", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "invalid_request_error", message)
    }

    pub(super) fn rate_limited() -> Self {
        let message = "Request rate limit exceeded. Learn more about rate limits.";
        Self::new(429, "invalid_request_error", message).code("rate_limit")
    }

    pub(super) fn server_error() -> Self {
        Self::new(500, "api_error", "An unknown error occurred")
    }

    pub(super) fn idempotency(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, "idempotency_error", message)
    }

    /// 402: the card said no.
    pub(super) fn card(code: &str, decline_code: Option<&str>, message: &str) -> Self {
        let mut this = Self::new(402, "card_error", message).code(code).stored();
        this.decline_code = decline_code.map(str::to_owned);
        this
    }

    pub(super) fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    pub(super) fn at(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    pub(super) const fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    /// What a PaymentIntent keeps as its `last_payment_error`.
    pub(super) fn as_last_error(&self) -> Value {
        Value::Object(self.members())
    }

    /// The whole body. `request` is the id of the request that was refused.
    pub(super) fn body(&self, request: &str) -> Value {
        let mut error = self.members();
        error.extend(self.more.clone());
        if self.status != 401 {
            let log = format!("https://dashboard.stripe.com/test/logs/{request}");
            error.insert("request_log_url".to_owned(), log.into());
        }
        json!({ "error": error })
    }

    fn members(&self) -> Map<String, Value> {
        let mut error = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                error.insert(name.to_owned(), value.into());
            }
        };
        put("type", Some(self.kind));
        put("message", Some(&self.message));
        put("code", self.code.as_deref());
        put("decline_code", self.decline_code.as_deref());
        put("param", self.param.as_deref());
        let doc = self
            .code
            .as_deref()
            .map(|code| format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
        put("doc_url", doc.as_deref());
        error
    }
}
