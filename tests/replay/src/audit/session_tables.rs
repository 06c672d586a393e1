//! Brings what is known elsewhere into a database as temporary tables, so that one join counts what is missing.

use std::collections::HashSet;

use anyhow::Result;
use sqlx::{Executor, PgConnection, Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use super::{Subject, answers::read};
use crate::ledger::{Ledger, Told, ToldCoupon, ToldStanding};

/// Rows sent to a database in one statement.
const CHUNK: usize = 10_000;

/// A table for one session: its name, and the statements that make and fill it.
struct Table(&'static str, &'static str, &'static str);

const TOLD_COUPONS: Table = Table(
    "told_coupons",
    include_str!("../../queries/told_coupons_table.sql"),
    include_str!("../../queries/told_coupons_insert.sql"),
);
const TOLD_SELL_OUTS: Table = Table(
    "told_sell_outs",
    include_str!("../../queries/told_sell_outs_table.sql"),
    include_str!("../../queries/told_sell_outs_insert.sql"),
);
const TOLD_ORDERS: Table = Table(
    "told_orders",
    include_str!("../../queries/told_orders_table.sql"),
    include_str!("../../queries/told_orders_insert.sql"),
);
const HEARD_ORDERS: Table = Table(
    "heard_orders",
    include_str!("../../queries/heard_orders_table.sql"),
    include_str!("../../queries/heard_orders_insert.sql"),
);
const PAID_OR_CANCELLED_ORDERS: Table = Table(
    "paid_or_cancelled_orders",
    include_str!("../../queries/paid_or_cancelled_orders_table.sql"),
    include_str!("../../queries/paid_or_cancelled_orders_insert.sql"),
);
const LEASES_OF_QUOTA: Table = Table(
    "leases_of_quota",
    include_str!("../../queries/leases_of_quota_table.sql"),
    include_str!("../../queries/leases_of_quota_insert.sql"),
);

type Insert<'q> = Query<'q, Postgres, PgArguments>;

impl Table {
    /// Makes the table and fills it. `bind` gives the statement the columns of some rows.
    async fn load<'q, T>(
        &self,
        connection: &mut PgConnection,
        rows: &'q [T],
        bind: impl Fn(Insert<'q>, &'q [T]) -> Insert<'q>,
    ) -> Result<()> {
        connection.execute(self.1).await?;
        for chunk in rows.chunks(CHUNK) {
            let insert = bind(sqlx::query(self.2), chunk);
            insert.execute(&mut *connection).await?;
        }
        connection.execute(&*format!("ANALYZE {}", self.0)).await?;
        Ok(())
    }
}

fn each<T, C>(rows: &[T], column: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(column).collect()
}

/// In the issuance database.
pub(super) async fn load_coupons(
    issuance: &mut PgConnection,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    TOLD_COUPONS
        .load(issuance, &told.coupons, |insert, rows| {
            let opened = |told: &ToldCoupon| read(&told.code).unwrap_or((0, -1));
            let (campaigns, slots): (Vec<i64>, Vec<i16>) = rows.iter().map(opened).unzip();
            insert
                .bind(each(rows, |told| ledger.shopper_id(told.shopper)))
                .bind(each(rows, |told| Ledger::claim_request_id(told.request)))
                .bind(campaigns)
                .bind(slots)
        })
        .await
}

/// In the issuance database.
pub(super) async fn load_sell_outs(
    issuance: &mut PgConnection,
    subject: &Subject,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    TOLD_SELL_OUTS
        .load(issuance, &told.sell_outs, |insert, rows| {
            insert
                .bind(each(rows, |told| ledger.shopper_id(told.shopper)))
                .bind(each(rows, |told| Ledger::claim_request_id(told.request)))
                .bind(each(rows, |told| subject.started_at + told.asked_at))
        })
        .await
}

/// In the order-intake database.
pub(super) async fn load_orders(
    order_intake: &mut PgConnection,
    ledger: &Ledger,
    told: &Told,
) -> Result<()> {
    TOLD_ORDERS
        .load(order_intake, &told.orders, |insert, rows| {
            let said = |any_of: &[ToldStanding]| each(rows, |told| any_of.contains(&told.standing));
            insert
                .bind(each(rows, |told| ledger.shopper_id(told.shopper)))
                .bind(each(rows, |told| told.order_id))
                .bind(said(&[ToldStanding::Accepted]))
                .bind(said(&[ToldStanding::CancelAsked, ToldStanding::Cancelled]))
                .bind(said(&[ToldStanding::Cancelled]))
        })
        .await
}

/// In the order-intake database.
pub(super) async fn load_heard(
    order_intake: &mut PgConnection,
    heard: &HashSet<Uuid>,
) -> Result<()> {
    let heard: Vec<Uuid> = heard.iter().copied().collect();
    HEARD_ORDERS
        .load(order_intake, &heard, |insert, rows| insert.bind(rows))
        .await
}

/// An order's id, its shopper's id, and whether it is paid for.
pub(super) type PaidOrCancelled = (Uuid, String, bool);

/// In the issuance database.
pub(super) async fn load_paid_or_cancelled(
    issuance: &mut PgConnection,
    orders: &[PaidOrCancelled],
) -> Result<()> {
    PAID_OR_CANCELLED_ORDERS
        .load(issuance, orders, |insert, rows| {
            insert
                .bind(each(rows, |order| order.0))
                .bind(each(rows, |order| order.1.clone()))
                .bind(each(rows, |order| order.2))
        })
        .await
}

/// A lease's id, its tier's number, how much was granted and how much is used.
pub(super) type Lease = (Uuid, i16, i64, Option<i64>);

/// In the issuance database.
pub(super) async fn load_leases(issuance: &mut PgConnection, leases: &[Lease]) -> Result<()> {
    LEASES_OF_QUOTA
        .load(issuance, leases, |insert, rows| {
            insert
                .bind(each(rows, |lease| lease.0))
                .bind(each(rows, |lease| lease.1))
                .bind(each(rows, |lease| lease.2))
                .bind(each(rows, |lease| lease.3))
        })
        .await
}
