//! Whose payment method it is: nobody is subscribed as somebody else's customer.

use mpp_core::problem::{ProblemType, Reason, Rejection};

use super::Verifier;
use crate::{
    Currency,
    api::{ApiError, Form},
    subscription::{billing::read::Read, id::is_id},
};

/// A payment method, as Stripe has it.
pub(super) struct Method {
    pub(super) id: String,
    /// Whom it belongs to.
    pub(super) customer: Option<String>,
}

/// Where in the metadata of a customer stands the payment method that it was made for.
pub(super) const MADE_FOR: &str = "mpp_payment_method";

impl Verifier {
    /// The payment method, where it exists and is of a type that is taken.
    pub(super) async fn method(&self, id: &str) -> Result<Method, Rejection> {
        if !is_id("pm_", id) {
            return Err(Rejection::failed("This is no payment method."));
        }
        let path = format!("/v1/payment_methods/{id}");
        let found = self.billing.get(&path, Form::new()).await.map_err(unread)?;
        let taken = found.text("type").is_some_and(|kind| self.types.iter().any(|t| t == kind));
        let Some(id) = found.id_of("id", "pm_").filter(|_| taken) else {
            return Err(Rejection::failed("Payment methods of this type are not taken here."));
        };
        let customer = found.id_of("customer", "cus_").map(str::to_owned);
        Ok(Method { id: id.to_owned(), customer })
    }

    /// The customer a payment method belongs to, where it is the payer's to show: whom the payer named, or the one that was made
    /// for it here before. `None`: it belongs to nobody yet.
    ///
    /// Else whoever knows ids could have somebody else's card charged, or use up somebody else's credit with a card of their own.
    pub(super) async fn owner(
        &self,
        method: &Method,
        named: Option<&str>,
    ) -> Result<Option<String>, Rejection> {
        match (&method.customer, named) {
            (None, None) => Ok(None),
            (Some(owner), Some(named)) if owner == named => Ok(Some(owner.clone())),
            (Some(owner), None) if self.made_for(owner, &method.id).await? => {
                Ok(Some(owner.clone()))
            }
            _ => {
                let detail = "The payment method does not belong to the customer that was named.";
                Err(Rejection::new(ProblemType::VERIFICATION_FAILED, Reason::BAD_PROOF, detail))
            }
        }
    }

    async fn made_for(&self, customer: &str, method: &str) -> Result<bool, Rejection> {
        let path = format!("/v1/customers/{customer}");
        let found = self.billing.get(&path, Form::new()).await.map_err(unread)?;
        Ok(found.noted(MADE_FOR) == Some(method))
    }

    /// Whether nothing but the price would be on a customer's invoice: no credit, no discount, nothing that waits for it.
    pub(super) async fn is_plain(
        &self,
        customer: &str,
        currency: Currency,
    ) -> Result<(), Rejection> {
        let path = format!("/v1/customers/{customer}");
        let found = self.billing.get(&path, Form::new()).await.map_err(unread)?;
        let same = found.text("currency").is_none_or(|code| code == currency.as_str());
        let plain = ["deleted", "balance", "discount"].into_iter().all(|name| found.nothing(name));
        if plain && same && self.waiting(customer).await.map_err(unread)?.is_empty() {
            return Ok(());
        }
        let detail = "This customer has a credit, a discount or open items, which a subscription here cannot have.";
        Err(Rejection::failed(detail))
    }

    /// What waits to be put on a customer's next invoice.
    pub(super) async fn waiting(&self, customer: &str) -> Result<Vec<String>, ApiError> {
        let form = Form::new().with("customer", customer).with("pending", "true");
        let items = self.billing.list("/v1/invoiceitems", form).await?;
        let ids = items.iter().filter_map(|item| item.id_of("id", "ii_"));
        Ok(ids.map(str::to_owned).collect())
    }
}

/// A read that came to nothing: what does not exist is the payer's matter, all else is ours or not known.
pub(super) fn unread(error: ApiError) -> Rejection {
    match error {
        ApiError::Refused(no)
            if no.status == 404 || no.code.as_deref() == Some("resource_missing") =>
        {
            Rejection::failed("There is no such payment method or customer here.")
                .because(ApiError::Refused(no))
        }
        ApiError::Refused(no) => Rejection::internal(ApiError::Refused(no)),
        lost => Rejection::unknown(lost),
    }
}
