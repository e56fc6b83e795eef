//! Whose account a payment is made on, and who gets what of it (Stripe Connect). Never in a challenge.

use mpp_core::Amount;

use crate::api::Form;

/// How a payment is split between a platform and its connected accounts. The seller alone decides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    account: Option<String>,
    fee: Option<Amount>,
    on_behalf_of: Option<String>,
    transfer: Option<Transfer>,
    group: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Transfer {
    to: String,
    amount: Option<Amount>,
}

/// Instructions that Stripe would refuse, or that give away more than is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An account that is empty, or no id: `acct_…`.
    #[error("a connected account is named by its id: letters, digits and _")]
    Account,
    /// A group that is empty, or over 255 characters.
    #[error("a transfer group is 1 to 255 characters")]
    Group,
    /// A fee or a transfer over the whole price.
    #[error("more is given away than is paid")]
    TooMuch,
}

impl Connect {
    /// Nothing of the kind, to be added to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the payment on a connected account (a direct charge): the header `Stripe-Account`.
    pub fn account(self, account: impl Into<String>) -> Self {
        Self { account: Some(account.into()), ..self }
    }

    /// Keeps so much for the platform, in base units.
    pub fn application_fee(self, fee: Amount) -> Self {
        Self { fee: Some(fee), ..self }
    }

    /// Names the connected account that is the business of record.
    pub fn on_behalf_of(self, account: impl Into<String>) -> Self {
        Self { on_behalf_of: Some(account.into()), ..self }
    }

    /// Passes the payment on to a connected account: all of it, or so much in base units.
    pub fn transfer(self, to: impl Into<String>, amount: Option<Amount>) -> Self {
        Self { transfer: Some(Transfer { to: to.into(), amount }), ..self }
    }

    /// Links the payment to transfers that are made by other means. No secret.
    pub fn transfer_group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Whether ids are ids.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let to = self.transfer.as_ref().map(|transfer| &transfer.to);
        let mut ids = [self.account.as_ref(), self.on_behalf_of.as_ref(), to].into_iter().flatten();
        if !ids.all(|id| is_id(id)) {
            return Err(ConnectError::Account);
        }
        let fits = |group: &String| (1..=255).contains(&group.chars().count());
        if self.group.as_ref().is_none_or(fits) { Ok(()) } else { Err(ConnectError::Group) }
    }

    /// Whether a payment of this amount is enough for what is taken out of it.
    pub(super) fn fits(&self, amount: Amount) -> Result<(), ConnectError> {
        let transferred = self.transfer.as_ref().and_then(|transfer| transfer.amount);
        let enough = [self.fee, transferred].into_iter().flatten().all(|part| part <= amount);
        if enough { Ok(()) } else { Err(ConnectError::TooMuch) }
    }

    pub(super) fn stripe_account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Its parameters, in the order in which deployed peers send them.
    pub(super) fn add_to(&self, form: Form) -> Form {
        let form = form
            .maybe("application_fee_amount", self.fee.map(|fee| fee.to_string()))
            .maybe("on_behalf_of", self.on_behalf_of.as_deref());
        let form = match &self.transfer {
            Some(Transfer { to, amount }) => form
                .with("transfer_data[destination]", to)
                .maybe("transfer_data[amount]", amount.map(|amount| amount.to_string())),
            None => form,
        };
        form.maybe("transfer_group", self.group.as_deref())
    }
}

/// What Stripe names things by: nothing in it could mean anything in a URL, a form or a header.
pub(super) fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_order_and_never_exceed_the_whole() {
        let connect = Connect::new()
            .account("acct_1")
            .application_fee(Amount::new(7))
            .on_behalf_of("acct_2")
            .transfer("acct_3", Some(Amount::new(50)))
            .transfer_group("order-1");
        assert_eq!(connect.check(), Ok(()));
        assert_eq!(connect.stripe_account(), Some("acct_1"));
        assert_eq!(connect.fits(Amount::new(50)), Ok(()));
        assert_eq!(connect.fits(Amount::new(49)), Err(ConnectError::TooMuch));
        assert_eq!(
            connect.add_to(Form::new()).encoded(),
            "application_fee_amount=7&on_behalf_of=acct_2&transfer_data%5Bdestination%5D=acct_3&transfer_data%5Bamount%5D=50&transfer_group=order-1"
        );
    }

    #[test]
    fn what_is_no_account_is_refused() {
        for bad in ["", "acct 1", "acct_1\r\nx: y", "acct_1/../2"] {
            for connect in [
                Connect::new().account(bad),
                Connect::new().on_behalf_of(bad),
                Connect::new().transfer(bad, None),
            ] {
                assert_eq!(connect.check(), Err(ConnectError::Account), "{bad}");
            }
        }
        assert_eq!(Connect::new().transfer_group("").check(), Err(ConnectError::Group));
    }
}
