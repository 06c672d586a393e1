//! Holding orders against the coupons at issuance, which are in another database.

use std::{str::FromStr as _, time::Instant};

use tidegate_proto::issuance::v1::{
    CodeOfShopper, LookupRedemptionsRequest, LookupRedemptionsResponse,
};
use tidegate_types::Lane;
use uuid::Uuid;

use super::Auditor;
use crate::{
    domain::{OrderBooks, OrderId},
    error::OrderIntakeError,
    issuance::{Batch, Client},
};

pub(super) struct CouponDifferences {
    pub(super) orders_without_coupon: u64,
    pub(super) coupons_not_given_back: u64,
}

impl Auditor {
    /// Compares a page of a lane's orders with their coupons. None if issuance does not answer in
    /// time.
    ///
    /// An order gives its coupon back only after it has ended here. So a paid order that issuance
    /// knows nothing of is read once more: it may have ended between the two reads. An order that
    /// gave its coupon back never gets it again, so there is nothing to read once more.
    pub(super) async fn compare_with_coupons(
        &self,
        lane: Lane,
        page: &[OrderBooks],
        until: Instant,
    ) -> Result<Option<CouponDifferences>, OrderIntakeError> {
        let compared: Vec<_> = page
            .iter()
            .filter(|order| order.is_paid.is_some())
            .collect();
        let Some(paying) = self.orders_paid_by_coupons(lane, &compared, until).await else {
            return Ok(None);
        };
        let differing = compared.into_iter().zip(paying);
        let differing = differing.filter(|(order, paying)| order.differs_from(*paying));
        let (unpaid, kept): (Vec<_>, Vec<_>) =
            differing.partition(|(order, _)| order.is_paid == Some(true));
        let unpaid: Vec<_> = unpaid.iter().map(|(order, _)| order.order_id).collect();
        let still_paid = match unpaid.is_empty() {
            true => Vec::new(),
            false => self.store.still_paid_orders(lane, &unpaid).await?,
        };
        for order in still_paid
            .iter()
            .chain(kept.iter().map(|(order, _)| &order.order_id))
        {
            tracing::error!(%order, "the order and its coupon at issuance do not agree on whether the coupon pays for it");
        }
        Ok(Some(CouponDifferences {
            orders_without_coupon: still_paid.len() as u64,
            coupons_not_given_back: kept.len() as u64,
        }))
    }

    /// The order that each one's coupon pays for at issuance.
    async fn orders_paid_by_coupons(
        &self,
        lane: Lane,
        orders: &[&OrderBooks],
        until: Instant,
    ) -> Option<Vec<Option<OrderId>>> {
        if orders.is_empty() {
            return Some(Vec::new());
        }
        let batch = Batch {
            lane,
            method: "LookupRedemptions",
            items: orders.len(),
            traces: &[],
            deadline: until,
            is_for_callers: false,
        };
        let message = || LookupRedemptionsRequest {
            items: orders.iter().map(|order| item(order)).collect(),
        };
        let send =
            |mut client: Client, request| async move { client.lookup_redemptions(request).await };
        let results = |answer: LookupRedemptionsResponse| answer.order_ids;
        let order_ids = self.issuance.call(batch, message, send, results).await;
        let order_id = |text: String| Uuid::from_str(&text).ok().map(OrderId);
        (!order_ids.is_empty()).then(|| order_ids.into_iter().map(order_id).collect())
    }
}

fn item(order: &OrderBooks) -> CodeOfShopper {
    CodeOfShopper {
        shopper_id: order.shopper.as_str().to_owned(),
        coupon_code: order.coupon_code.reveal(),
    }
}
