//! What the databases have of one campaign, read by a superuser past every proxy.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, postgres::PgRow};
use tidegate_local::stack::{Service, Stack};
use tidegate_proto::r#type::v1::OrderState;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const POLL: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, FromRow)]
pub struct Coupon {
    pub shopper_id: String,
    pub request_id: String,
    pub slot: i16,
    pub tier_number: i16,
    pub lease_id: Uuid,
    pub issued_at_ms: i64,
    pub order_id: Option<Uuid>,
}

#[derive(Debug, Clone, FromRow)]
pub struct SpentLease {
    pub lease_id: Uuid,
    pub tier_number: i16,
    pub granted: i64,
    pub used: i64,
}

#[derive(Debug, Clone, FromRow)]
pub struct LentLease {
    pub lease_id: Uuid,
    pub tier_number: i16,
    pub granted: i64,
    pub used: Option<i64>,
    pub is_settled: bool,
    pub is_reclaimed: bool,
}

#[derive(Debug, Clone, FromRow)]
pub struct TierBooks {
    pub tier_number: i16,
    pub tier_id: String,
    pub stock: i64,
    pub free: i64,
    pub leased: i64,
    pub settled: i64,
}

#[derive(Debug, Clone, FromRow)]
pub struct Order {
    pub shopper_id: String,
    pub request_id: String,
    pub order_id: Uuid,
    pub state: i16,
    pub coupon_code: String,
}

impl Order {
    pub fn state(&self) -> OrderState {
        OrderState::try_from(i32::from(self.state)).unwrap_or_default()
    }

    /// Whether it was given up, so that no coupon may pay for it.
    pub fn is_given_up(&self) -> bool {
        use OrderState::{Cancelled, Failed, Rejected};
        matches!(self.state(), Rejected | Cancelled | Failed)
    }
}

/// A slot whose bookings are not those of its orders.
#[derive(Debug, Clone, FromRow)]
pub struct WrongSlot {
    pub store_id: String,
    pub slot_starts_at: String,
    pub booked: i64,
    pub capacity_when_booked: i64,
    pub orders: i64,
}

impl fmt::Display for WrongSlot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the slot at {} has {} booked of {}, and {} orders",
            self.slot_starts_at, self.booked, self.capacity_when_booked, self.orders
        )
    }
}

#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub coupons: Vec<Coupon>,
    pub spent: Vec<SpentLease>,
    pub lent: Vec<LentLease>,
    pub tiers: Vec<TierBooks>,
    pub orders: Vec<Order>,
}

impl Facts {
    pub fn reclaimed(&self) -> u64 {
        self.lent.iter().filter(|lease| lease.is_reclaimed).count() as u64
    }
}

#[derive(Debug)]
pub struct Books {
    quota: PgConnection,
    issuance: PgConnection,
    order_intake: PgConnection,
}

impl Books {
    pub async fn open(stack: &Stack) -> Result<Self> {
        let connect = async |service: Service| {
            let connection = crate::suite::database(stack, service).connect().await;
            connection.with_context(|| format!("{service:?} cannot be reached for the check"))
        };
        Ok(Self {
            quota: connect(Service::Quota).await?,
            issuance: connect(Service::Issuance).await?,
            order_intake: connect(Service::OrderIntake).await?,
        })
    }

    /// Waits until every order is decided and every cancelled one has given its coupon back, but
    /// not longer than `limit`: what is left then will be found.
    pub async fn wait_for_orders(&mut self, limit: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < limit {
            let unsettled: i64 =
                sqlx::query_scalar(include_str!("../../queries/orders_unsettled.sql"))
                    .fetch_one(&mut self.order_intake)
                    .await?;
            if unsettled == 0 {
                break;
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Reads which slots have not the orders that are booked, or more than they have room for.
    pub async fn wrong_slots(&mut self) -> Result<Vec<WrongSlot>> {
        let query = sqlx::query_as(include_str!("../../queries/stores_over_capacity.sql"));
        Ok(query.fetch_all(&mut self.order_intake).await?)
    }

    /// Reads a campaign. Nobody may be claiming of it.
    pub async fn read(&mut self, campaign_number: i32, shopper_prefix: &str) -> Result<Facts> {
        // Leases are still being returned: each database is read as it was at one instant. Issuance
        // comes first, since a lease is granted before it is installed.
        let mut issuance = self.issuance.begin_with(SNAPSHOT).await?;
        let coupons = include_str!("../../queries/coupons_of_campaign.sql");
        let coupons = all(&mut issuance, coupons, campaign_number).await?;
        let spent = include_str!("../../queries/leases_of_issuance.sql");
        let spent = all(&mut issuance, spent, campaign_number).await?;
        issuance.rollback().await?;
        let mut quota = self.quota.begin_with(SNAPSHOT).await?;
        let lent = include_str!("../../queries/leases_of_quota.sql");
        let lent = all(&mut quota, lent, campaign_number).await?;
        let tiers = include_str!("../../queries/tiers_of_campaign.sql");
        let tiers = all(&mut quota, tiers, campaign_number).await?;
        quota.rollback().await?;
        Ok(Facts {
            coupons,
            spent,
            lent,
            tiers,
            orders: sqlx::query_as(include_str!("../../queries/orders_of_shoppers.sql"))
                .bind(shopper_prefix)
                .fetch_all(&mut self.order_intake)
                .await?,
        })
    }
}

async fn all<Row>(connection: &mut PgConnection, query: &str, campaign: i32) -> Result<Vec<Row>>
where
    Row: Send + Unpin + for<'r> FromRow<'r, PgRow>,
{
    let query = sqlx::query_as(query).bind(campaign);
    Ok(query.fetch_all(connection).await?)
}
