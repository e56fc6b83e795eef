//! The calls of Stripe Billing that subscriptions are made of, each made once.

pub(crate) mod contract;
pub(crate) mod invoice;
pub(crate) mod read;

use reqwest::Method;
use serde_json::Value;

use self::{
    contract::Contract,
    invoice::{Invoice, Status},
    read::Read,
};
use super::id::is_id;
use crate::api::{Api, ApiError, Call, Form, Told};

/// Stripe Billing, for one account of one key.
#[derive(Clone, Debug)]
pub(crate) struct Billing {
    pub(crate) api: Api,
    /// The connected account it is used for.
    pub(crate) account: Option<String>,
}

/// Objects on a page, and pages of a list: nobody subscribes one customer more often.
const PAGE: &str = "100";
const PAGES: usize = 20;

impl Billing {
    pub(crate) async fn get(&self, path: &str, form: Form) -> Result<Value, ApiError> {
        let call = Call::get(path, &form).on_behalf_of(self.account.as_deref());
        Ok(self.api.call(call).await?.body)
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        form: Form,
        key: Option<&str>,
    ) -> Result<Told, ApiError> {
        let call = Call::post(path, &form).on_behalf_of(self.account.as_deref());
        self.api.tell(Call { idempotency: key, ..call }).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        let form = Form::new();
        let call = Call { method: Method::DELETE, ..Call::get(path, &form) };
        Ok(self.api.call(call.on_behalf_of(self.account.as_deref())).await?.body)
    }

    /// A whole list, newest first.
    pub(crate) async fn list(&self, path: &str, form: Form) -> Result<Vec<Value>, ApiError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let page = form.clone().with("limit", PAGE).maybe("starting_after", after);
            let body = self.get(path, page).await?;
            let data = body.get("data").and_then(Value::as_array).ok_or_else(odd)?;
            all.extend(data.iter().cloned());
            if body.flag("has_more") != Some(true) {
                return Ok(all);
            }
            let last = data.last().and_then(|last| last.text("id")).filter(|id| is_id("", id));
            after = Some(last.ok_or_else(odd)?.to_owned());
        }
        Err(odd())
    }

    pub(crate) async fn contract(&self, id: &str) -> Result<Contract, ApiError> {
        let body = self.get(&format!("/v1/subscriptions/{id}"), Form::new()).await?;
        Contract::read(body).ok_or_else(odd)
    }

    /// What a customer has subscribed to, ended or not.
    pub(crate) async fn contracts_of(&self, customer: &str) -> Result<Vec<Contract>, ApiError> {
        let form = Form::new().with("customer", customer).with("status", "all");
        let all = self.list("/v1/subscriptions", form).await?;
        all.into_iter().map(|body| Contract::read(body).ok_or_else(odd)).collect()
    }

    /// By what it was begun with. A search lags behind by minutes: only of use long afterwards.
    pub(crate) async fn contract_begun_by(
        &self,
        challenge: &str,
    ) -> Result<Option<Contract>, ApiError> {
        let query = format!("metadata['mpp_challenge_id']:'{challenge}'");
        let body = self.get("/v1/subscriptions/search", Form::new().with("query", query)).await?;
        let found = body.get("data").and_then(Value::as_array).ok_or_else(odd)?;
        let read = |body: &Value| Contract::read(body.clone()).ok_or_else(odd);
        found.first().map(read).transpose()
    }

    pub(crate) async fn invoice(&self, id: &str) -> Result<Invoice, ApiError> {
        let form = Form::new().with("expand[]", "payments");
        let body = self.get(&format!("/v1/invoices/{id}"), form).await?;
        Invoice::read(body).ok_or_else(odd)
    }

    /// The newest invoices of a subscription. Older ones were of periods long over.
    pub(crate) async fn invoices_of(&self, contract: &str) -> Result<Vec<Invoice>, ApiError> {
        let form = Form::new().with("subscription", contract).with("limit", PAGE);
        let body = self.get("/v1/invoices", form).await?;
        let data = body.get("data").and_then(Value::as_array).ok_or_else(odd)?;
        data.iter().map(|body| Invoice::read(body.clone()).ok_or_else(odd)).collect()
    }

    /// Voids an invoice, where it still can be, and says how it stands then. A draft is made final before, and not collected.
    pub(crate) async fn voided(&self, invoice: &Invoice) -> Result<Invoice, ApiError> {
        let id = &invoice.id;
        if invoice.status == Status::Draft {
            let form = Form::new().with("auto_advance", "false");
            self.step(&format!("/v1/invoices/{id}/finalize"), form).await?;
        }
        self.step(&format!("/v1/invoices/{id}/void"), Form::new()).await?;
        self.invoice(id).await
    }

    /// A step whose refusal means that the invoice has moved on meanwhile: how it stands afterwards tells.
    pub(crate) async fn step(&self, path: &str, form: Form) -> Result<(), ApiError> {
        match self.post(path, form, None).await {
            Ok(_) | Err(ApiError::Refused(_)) => Ok(()),
            Err(lost) => Err(lost),
        }
    }

    /// Ends a subscription at once: nothing is collected for it any more, and nothing is prorated.
    pub(crate) async fn end_now(&self, contract: &Contract) -> Result<(), ApiError> {
        if contract.has_ended() {
            return Ok(());
        }
        match self.delete(&format!("/v1/subscriptions/{}", contract.id)).await {
            Err(ApiError::Refused(_)) if self.contract(&contract.id).await?.has_ended() => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// An answer of no shape that Stripe publishes.
pub(crate) fn odd() -> ApiError {
    ApiError::Unclear { status: 200, request: None }
}

#[cfg(test)]
mod tests;
