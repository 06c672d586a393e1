//! Auditing again and again, one replica at a time.

use std::time::{Duration, Instant};

use tidegate_types::{ReplicaId, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Auditor, Bounds, Pass};
use crate::{error::OrderIntakeError, metrics::Metrics};

const INTERVAL: Duration = Duration::from_secs(60);
/// A replica that is killed or held still loses the turn to audit after this time.
const TURN: Duration = Duration::from_secs(180);
/// What a round takes for the newest, which it always begins with.
const NEWEST_TIME: Duration = Duration::from_secs(2);
/// What it takes for the pass over all.
const PASS_TIME: Duration = Duration::from_secs(6);

impl Auditor {
    /// Audits again and again until `stop`, whenever no other replica does.
    pub async fn run(self, replica: ReplicaId, metrics: Metrics, stop: CancellationToken) {
        let mut pass = Pass::over_all_of(&self.store);
        while stop.run_until_cancelled(sleep(INTERVAL)).await.is_some() {
            let round = self.round(&replica, &mut pass, &metrics);
            match stop.run_until_cancelled(round).await {
                Some(Err(error)) => {
                    tracing::warn!(%error, "orders could not be audited, so nobody checks now that they and the slots add up; look at the database, the next round comes by itself");
                }
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    /// Compares what is newest, and goes on with the pass over all; what a pass that is through has
    /// covered is shown, and the next one begins.
    async fn round(
        &self,
        replica: &ReplicaId,
        pass: &mut Pass,
        metrics: &Metrics,
    ) -> Result<(), OrderIntakeError> {
        if !self.store.take_audit_turn(replica, TURN).await? {
            return Ok(());
        }
        let now = Timestamp::now_utc();
        let mut newest = Pass::over_all_of(&self.store);
        self.go_on(&mut newest, now, within(NEWEST_TIME)).await?;
        metrics.orders_audited(&newest.audit);
        if newest.is_complete() {
            metrics.all_orders_audited(now);
            return Ok(());
        }
        self.go_on(pass, now, within(PASS_TIME)).await?;
        metrics.orders_audited(&pass.audit);
        if pass.is_complete() {
            metrics.all_orders_audited(now);
            *pass = Pass::over_all_of(&self.store);
        }
        Ok(())
    }
}

fn within(time: Duration) -> Bounds {
    Bounds {
        until: Instant::now() + time,
        rests: true,
    }
}
