//! Whether answers were honest: complete in themselves, and true by the books.

use std::time::Duration;

use anyhow::Result;
use time::OffsetDateTime;

use super::{Books, Finding, Subject, count, queue, session_tables::fill};
use crate::ledger::{Ledger, Told};

impl Books {
    /// Relies on `told_coupons` having been filled in this session.
    pub(super) async fn honest_answer(
        &mut self,
        subject: &Subject,
        ledger: &Ledger,
        told: &Told,
    ) -> Result<Finding> {
        let sell_outs = told.sell_outs.iter().map(|told| {
            let shopper = ledger.shopper_id(told.shopper);
            let request = Ledger::claim_request_id(told.request);
            format!(
                "{shopper}\t{request}\t{}",
                subject.started_at + told.asked_at
            )
        });
        fill(&mut self.issuance, "told_sell_outs", sell_outs).await?;
        let holders = sqlx::query(include_str!("../../queries/sell_outs_told_to_holders.sql"))
            .bind(subject.campaign_number);
        let mut finding = queue::words_and_estimates(told);
        finding.absorb(count(&mut self.issuance, holders).await?);
        let sold_out_at = self.sold_out_at(subject).await?;
        finding.absorb(queue::left_waiting(told, sold_out_at));
        Ok(finding)
    }

    /// When the last coupon of the stock was made, as a moment of the replay; none if some are left.
    async fn sold_out_at(&mut self, subject: &Subject) -> Result<Option<Duration>> {
        let last = sqlx::query_as(include_str!("../../queries/last_coupon.sql"))
            .bind(subject.campaign_number);
        let (coupons, last): (i64, Option<OffsetDateTime>) =
            last.fetch_one(&mut self.issuance).await?;
        let last = last.filter(|_| coupons >= subject.stock);
        let since_start = |last| Duration::try_from(last - subject.started_at);
        Ok(last.map(|last| since_start(last).unwrap_or_default()))
    }
}
