//! What all servers have in common: they start on a port, are killed, and come back.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    ServiceError,
    keeper::{Keeper, Plan},
};

/// A server with its data.
#[derive(Debug)]
pub(super) struct Instance {
    scratch: PathBuf,
    plan: Plan,
    keeper: Option<Keeper>,
}

impl Instance {
    /// Starts a server whose scratch folder is ready.
    pub(super) async fn start(scratch: PathBuf, plan: Plan) -> Result<Self, ServiceError> {
        let keeper = Some(Keeper::start(&plan, &scratch).await?);
        Ok(Self { scratch, plan, keeper })
    }

    pub(super) async fn kill(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.kill().await;
        }
    }

    /// Starts it again. The children of one that was killed may hold what it needs for a moment.
    pub(super) async fn restart(&mut self) -> Result<(), ServiceError> {
        const DEADLINE: Duration = Duration::from_secs(20);
        self.kill().await;
        let began = Instant::now();
        loop {
            match Keeper::start(&self.plan, &self.scratch).await {
                Ok(keeper) => {
                    self.keeper = Some(keeper);
                    return Ok(());
                }
                Err(ServiceError::Exited { .. }) if began.elapsed() < DEADLINE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn ended(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.ended().await;
        }
    }

    pub(super) async fn stop(mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.stop().await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.keeper.take());
        // Of one that was killed, whose keeper left its data. What cannot be removed is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
