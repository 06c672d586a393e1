//! Brings what is known elsewhere into a database as temporary tables, so that one join counts what is missing.

use std::collections::HashSet;

use anyhow::Result;
use sqlx::{Executor, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Subject, answers::read};
use crate::ledger::{Ledger, Told, ToldOrder, ToldStanding};

/// Rows sent to a database in one statement.
const CHUNK: usize = 10_000;

/// Makes `told_coupons` in the issuance database for this session.
pub(super) async fn load_coupons(
    issuance: &mut PgConnection,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    issuance
        .execute(include_str!("../../queries/told_coupons_table.sql"))
        .await?;
    for chunk in told.coupons.chunks(CHUNK) {
        let (campaigns, slots): (Vec<i64>, Vec<i16>) = chunk
            .iter()
            .map(|coupon| read(&coupon.code).unwrap_or((0, -1)))
            .unzip();
        sqlx::query(include_str!("../../queries/told_coupons_insert.sql"))
            .bind(
                chunk
                    .iter()
                    .map(|coupon| ledger.shopper_id(coupon.shopper))
                    .collect::<Vec<_>>(),
            )
            .bind(
                chunk
                    .iter()
                    .map(|coupon| Ledger::claim_request_id(coupon.request))
                    .collect::<Vec<_>>(),
            )
            .bind(campaigns)
            .bind(slots)
            .execute(&mut *issuance)
            .await?;
    }
    issuance.execute("ANALYZE told_coupons").await?;
    Ok(())
}

/// Makes `told_sell_outs` in the issuance database for this session.
pub(super) async fn load_sell_outs(
    issuance: &mut PgConnection,
    subject: &Subject,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    issuance
        .execute(include_str!("../../queries/told_sell_outs_table.sql"))
        .await?;
    for chunk in told.sell_outs.chunks(CHUNK) {
        let shoppers = chunk.iter().map(|told| ledger.shopper_id(told.shopper));
        let requests = chunk
            .iter()
            .map(|told| Ledger::claim_request_id(told.request));
        let moments = chunk.iter().map(|told| subject.started_at + told.asked_at);
        sqlx::query(include_str!("../../queries/told_sell_outs_insert.sql"))
            .bind(shoppers.collect::<Vec<_>>())
            .bind(requests.collect::<Vec<_>>())
            .bind(moments.collect::<Vec<OffsetDateTime>>())
            .execute(&mut *issuance)
            .await?;
    }
    issuance.execute("ANALYZE told_sell_outs").await?;
    Ok(())
}

/// Makes `told_orders` in the order-intake database for this session.
pub(super) async fn load_orders(
    order_intake: &mut PgConnection,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    order_intake
        .execute(include_str!("../../queries/told_orders_table.sql"))
        .await?;
    for chunk in told.orders.chunks(CHUNK) {
        sqlx::query(include_str!("../../queries/told_orders_insert.sql"))
            .bind(
                chunk
                    .iter()
                    .map(|order| ledger.shopper_id(order.shopper))
                    .collect::<Vec<_>>(),
            )
            .bind(chunk.iter().map(|order| order.order_id).collect::<Vec<_>>())
            .bind(standing(chunk, &[ToldStanding::Accepted]))
            .bind(standing(
                chunk,
                &[ToldStanding::CancelAsked, ToldStanding::Cancelled],
            ))
            .bind(standing(chunk, &[ToldStanding::Cancelled]))
            .execute(&mut *order_intake)
            .await?;
    }
    order_intake.execute("ANALYZE told_orders").await?;
    Ok(())
}

/// Which of the answers said one of these.
fn standing(chunk: &[ToldOrder], any_of: &[ToldStanding]) -> Vec<bool> {
    chunk
        .iter()
        .map(|order| any_of.contains(&order.standing))
        .collect()
}

/// Makes `heard_orders` in the order-intake database for this session.
pub(super) async fn load_heard(
    order_intake: &mut PgConnection,
    heard: &HashSet<Uuid>,
) -> Result<()> {
    order_intake
        .execute(include_str!("../../queries/heard_orders_table.sql"))
        .await?;
    let heard: Vec<Uuid> = heard.iter().copied().collect();
    for chunk in heard.chunks(CHUNK) {
        sqlx::query(include_str!("../../queries/heard_orders_insert.sql"))
            .bind(chunk)
            .execute(&mut *order_intake)
            .await?;
    }
    order_intake.execute("ANALYZE heard_orders").await?;
    Ok(())
}

/// Makes `paid_or_cancelled_orders` in the issuance database for this session, from rows (order id, shopper id, whether paid for).
pub(super) async fn load_paid_or_cancelled(
    issuance: &mut PgConnection,
    orders: &[PgRow],
) -> Result<()> {
    issuance
        .execute(include_str!(
            "../../queries/paid_or_cancelled_orders_table.sql"
        ))
        .await?;
    for chunk in orders.chunks(CHUNK) {
        sqlx::query(include_str!(
            "../../queries/paid_or_cancelled_orders_insert.sql"
        ))
        .bind(column::<Uuid>(chunk, 0)?)
        .bind(column::<String>(chunk, 1)?)
        .bind(column::<bool>(chunk, 2)?)
        .execute(&mut *issuance)
        .await?;
    }
    issuance.execute("ANALYZE paid_or_cancelled_orders").await?;
    Ok(())
}

/// Makes `leases_of_quota` in the issuance database for this session, from rows (lease id, tier number, granted, used).
pub(super) async fn load_leases(issuance: &mut PgConnection, leases: &[PgRow]) -> Result<()> {
    issuance
        .execute(include_str!("../../queries/leases_of_quota_table.sql"))
        .await?;
    for chunk in leases.chunks(CHUNK) {
        sqlx::query(include_str!("../../queries/leases_of_quota_insert.sql"))
            .bind(column::<Uuid>(chunk, 0)?)
            .bind(column::<i16>(chunk, 1)?)
            .bind(column::<i64>(chunk, 2)?)
            .bind(column::<Option<i64>>(chunk, 3)?)
            .execute(&mut *issuance)
            .await?;
    }
    issuance.execute("ANALYZE leases_of_quota").await?;
    Ok(())
}

fn column<'r, T>(rows: &'r [PgRow], place: usize) -> Result<Vec<T>>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(rows
        .iter()
        .map(|row| row.try_get(place))
        .collect::<Result<_, _>>()?)
}
