//! Tills with their types forgotten: what meters, sessions and sweeps ask of an account, whatever its method.

use std::{sync::Arc, time::Duration};

use mpp_core::{
    Receipt,
    name::MethodId,
    problem::Rejection,
    store::BoxFuture,
    teller::{Need, Teller},
};

use super::{
    Engine, Swept, Till,
    books::Desk,
    meter::{Drawn, Held},
};

/// A till with its types forgotten: what needs no credential.
pub(crate) trait ErasedTill: Send + Sync {
    fn id(&self) -> &MethodId;
    fn place(&self) -> &str;
    /// Collects an account, in a task of its own.
    fn collect_soon(self: Arc<Self>, engine: Arc<Engine>, id: String);
    /// Deducts from the credit that is there; whether the account is due to be collected then.
    fn spend(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
    ) -> BoxFuture<'static, Result<bool, Rejection>>;
    /// Gives back what was deducted for something that was not served.
    fn give_back(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        name: Option<String>,
    ) -> BoxFuture<'static, Result<(), Rejection>>;
    /// What a payer is told whose balance does not cover units.
    fn need(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        last: Option<Held>,
    ) -> BoxFuture<'static, Result<Need, Rejection>>;
    /// Sets units aside; `Err(Some)` of the need where none is covered.
    fn hold(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        last: Option<Held>,
    ) -> BoxFuture<'static, Result<Result<Held, Need>, Rejection>>;
    /// Ends a hold.
    fn book(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        held: Held,
    ) -> BoxFuture<'static, Result<(), Rejection>>;
    /// Waits until an account may have changed, for at most so long.
    fn changed(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        needs: Drawn,
        patience: Duration,
    ) -> BoxFuture<'static, Result<bool, Rejection>>;
    /// Waits until nothing can be drawn on an account any more.
    fn ended(self: Arc<Self>, engine: Arc<Engine>, id: String) -> BoxFuture<'static, ()>;
    /// The receipt of an account as it stands.
    fn receipt(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        challenge: String,
    ) -> BoxFuture<'static, Result<Receipt, Rejection>>;
    /// Goes through the accounts once.
    fn sweep(self: Arc<Self>, engine: Arc<Engine>) -> BoxFuture<'static, Result<Swept, Rejection>>;
    /// Collects all that was earned.
    fn settle_all(
        self: Arc<Self>,
        engine: Arc<Engine>,
    ) -> BoxFuture<'static, Result<Swept, Rejection>>;
    /// Closes an account by what its payer proved before.
    fn close(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
    ) -> BoxFuture<'static, Result<Option<Receipt>, Rejection>>;
}

impl<T: Teller> ErasedTill for Till<T> {
    fn id(&self) -> &MethodId {
        &self.id
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn collect_soon(self: Arc<Self>, engine: Arc<Engine>, id: String) {
        let desk = self.desk(&engine);
        if let Ok(at) = desk.at(&id) {
            desk.collect_soon(&at);
        }
    }

    fn spend(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
    ) -> BoxFuture<'static, Result<bool, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            desk.spend(&desk.at(&id)?, drawn).await
        })
    }

    fn give_back(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        name: Option<String>,
    ) -> BoxFuture<'static, Result<(), Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            desk.give_back(&desk.at(&id)?, drawn, name.as_deref()).await
        })
    }

    fn need(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        last: Option<Held>,
    ) -> BoxFuture<'static, Result<Need, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            let at = desk.at(&id)?;
            let entry = desk.found(&at).await?;
            Ok(desk.needed(&at, &entry, last, drawn))
        })
    }

    fn hold(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        drawn: Drawn,
        last: Option<Held>,
    ) -> BoxFuture<'static, Result<Result<Held, Need>, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            desk.hold(&desk.at(&id)?, drawn, last).await
        })
    }

    fn book(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        held: Held,
    ) -> BoxFuture<'static, Result<(), Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            desk.book(&desk.at(&id)?, held).await
        })
    }

    fn changed(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        needs: Drawn,
        patience: Duration,
    ) -> BoxFuture<'static, Result<bool, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            desk.changed(&desk.at(&id)?, needs, patience).await
        })
    }

    fn ended(self: Arc<Self>, engine: Arc<Engine>, id: String) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            if let Ok(at) = desk.at(&id) {
                desk.ended(&at).await;
            }
        })
    }

    fn receipt(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
        challenge: String,
    ) -> BoxFuture<'static, Result<Receipt, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            let entry = desk.found(&desk.at(&id)?).await?;
            Ok(Desk::receipt(&desk, &id, &challenge, &entry.account, None))
        })
    }

    fn sweep(self: Arc<Self>, engine: Arc<Engine>) -> BoxFuture<'static, Result<Swept, Rejection>> {
        Box::pin(async move { self.desk(&engine).sweep().await })
    }

    fn settle_all(
        self: Arc<Self>,
        engine: Arc<Engine>,
    ) -> BoxFuture<'static, Result<Swept, Rejection>> {
        Box::pin(async move { self.desk(&engine).collect_everything().await })
    }

    fn close(
        self: Arc<Self>,
        engine: Arc<Engine>,
        id: String,
    ) -> BoxFuture<'static, Result<Option<Receipt>, Rejection>> {
        Box::pin(async move {
            let desk = self.desk(&engine);
            let at = desk.at(&id)?;
            let done = desk.close_ourselves(&at).await?;
            Ok(done
                .map(|done| Desk::receipt(&desk, &id, "", &done.entry.account, Some(&done.extra))))
        })
    }
}
