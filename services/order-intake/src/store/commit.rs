use std::{collections::HashMap, sync::Arc, time::SystemTime};

use sqlx::{PgConnection, postgres::PgArguments, query::QueryAs};
use tidegate_pg::{Commit, Queued};
use tidegate_telemetry::{Span, TraceContext};
use tidegate_types::{Lane, RequestId, ShopperId, Timestamp};

use super::{
    Placed, lane_number,
    rows::{CommittedRow, lines_to_json, metadata_to_json, state_number},
};
use crate::{
    domain::{Draft, OrderId, OrderState, Rejection, to_microsecond},
    error::OrderIntakeError,
};

/// Commits the batches of one lane.
pub(super) struct Commits {
    lane: Lane,
}

/// One thing to be committed.
pub(super) enum Change {
    /// A draft becomes an order.
    Place(Placement),
    /// A PENDING order gets its outcome.
    Settle(Settlement),
}

pub(super) struct Placement {
    /// The order's id, should there be no earlier one.
    pub(super) order_id: OrderId,
    pub(super) draft: Arc<Draft>,
    /// What the order's later steps belong to.
    pub(super) trace: TraceContext,
}

pub(super) struct Settlement {
    pub(super) order_id: OrderId,
    pub(super) draft: Arc<Draft>,
    pub(super) state: OrderState,
}

impl Change {
    fn draft(&self) -> &Draft {
        match self {
            Self::Place(placement) => &placement.draft,
            Self::Settle(settlement) => &settlement.draft,
        }
    }
}

impl Commits {
    pub(super) fn of(lane: Lane) -> Self {
        Self { lane }
    }
}

impl Commit for Commits {
    type Item = Change;
    type Outcome = Result<Placed, OrderIntakeError>;
    type Key = (ShopperId, RequestId);

    fn key(item: &Change) -> Self::Key {
        let draft = item.draft();
        (draft.shopper.clone(), draft.request_id.clone())
    }

    /// An outcome goes first: its coupon is spent, and somebody has waited longest for it.
    fn urgent(item: &Change) -> bool {
        match item {
            Change::Place(_) => false,
            Change::Settle(_) => true,
        }
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &[Queued<Change>],
        span: &mut Span,
    ) -> Result<Vec<Self::Outcome>, sqlx::Error> {
        let (mut placements, mut settlements) = (Placements::default(), Settlements::default());
        for queued in items {
            match &queued.item {
                Change::Place(placement) => placements.push(placement),
                Change::Settle(settlement) => settlements.push(settlement),
            }
        }
        span.attribute("tidegate.lane", i64::from(self.lane.get()));
        span.attribute("tidegate.placed", placements.order_id.len() as i64);
        span.attribute("tidegate.settled", settlements.state.len() as i64);
        let now = to_microsecond(Timestamp::from(SystemTime::now()));
        let query = sqlx::query_as(include_str!("../../queries/commit_orders.sql"))
            .bind(lane_number(self.lane))
            .bind(now);
        let rows = settlements
            .bind(placements.bind(query))
            .fetch_all(connection)
            .await?;
        in_order_of(items, rows)
    }
}

/// The row of each item. Items come sorted by key, and SQL promises no order.
fn in_order_of(
    items: &[Queued<Change>],
    mut rows: Vec<CommittedRow>,
) -> Result<Vec<Result<Placed, OrderIntakeError>>, sqlx::Error> {
    rows.sort_by(|one, other| one.key().cmp(&other.key()));
    let mut rows = rows.into_iter().peekable();
    items
        .iter()
        .map(|queued| {
            let draft = queued.item.draft();
            let key = (draft.shopper.as_str(), draft.request_id.as_str());
            match rows.next_if(|row| row.key() == key) {
                Some(row) => row.into_outcome(),
                // Only an outcome can meet no order, and only if somebody deleted it.
                None => Ok(Err(OrderIntakeError::OrderNotFound)),
            }
        })
        .collect()
}

type Statement<'q> = QueryAs<'q, sqlx::Postgres, CommittedRow, PgArguments>;

/// New orders, column by column.
#[derive(Default)]
struct Placements {
    shopper_id: Vec<String>,
    request_id: Vec<String>,
    order_id: Vec<uuid::Uuid>,
    store_id: Vec<String>,
    coupon_code: Vec<String>,
    lines: Vec<String>,
    content_hash: Vec<Vec<u8>>,
    latest_acceptable_at: Vec<Option<Timestamp>>,
    traceparent: Vec<String>,
}

impl Placements {
    fn push(&mut self, placement: &Placement) {
        let draft = &*placement.draft;
        self.shopper_id.push(draft.shopper.as_str().to_owned());
        self.request_id.push(draft.request_id.as_str().to_owned());
        self.order_id.push(placement.order_id.0);
        self.store_id.push(draft.store.as_str().to_owned());
        self.coupon_code.push(draft.coupon_code.reveal());
        self.lines.push(lines_to_json(&draft.lines));
        self.content_hash.push(draft.content_hash().to_vec());
        self.latest_acceptable_at.push(draft.latest_acceptable_at);
        self.traceparent.push(placement.trace.traceparent());
    }

    fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query
            .bind(self.shopper_id)
            .bind(self.request_id)
            .bind(self.order_id)
            .bind(self.store_id)
            .bind(self.coupon_code)
            .bind(self.lines)
            .bind(self.content_hash)
            .bind(self.latest_acceptable_at)
            .bind(self.traceparent)
    }
}

/// Outcomes, column by column.
#[derive(Default)]
struct Settlements {
    shopper_id: Vec<String>,
    request_id: Vec<String>,
    coupon_code: Vec<String>,
    state: Vec<i16>,
    rejected_because: Vec<Option<&'static str>>,
    rejection_metadata: Vec<Option<String>>,
    /// What each coupon pays for in this batch: the statement's own look-up sees only what was committed before it.
    paid: HashMap<String, OrderId>,
}

impl Settlements {
    fn push(&mut self, settlement: &Settlement) {
        let draft = &*settlement.draft;
        let code = draft.coupon_code.reveal();
        let mut state = settlement.state.clone();
        if state == OrderState::Accepted {
            let first = *self.paid.entry(code.clone()).or_insert(settlement.order_id);
            if first != settlement.order_id {
                state = OrderState::Rejected(Rejection::coupon_redeemed(first));
            }
        }
        let rejection = match &state {
            OrderState::Rejected(rejection) => Some(rejection),
            OrderState::Pending | OrderState::Accepted => None,
        };
        self.shopper_id.push(draft.shopper.as_str().to_owned());
        self.request_id.push(draft.request_id.as_str().to_owned());
        self.coupon_code.push(code);
        self.state.push(state_number(&state));
        self.rejected_because
            .push(rejection.map(|rejection| rejection.because().name()));
        self.rejection_metadata
            .push(rejection.map(|rejection| metadata_to_json(rejection.metadata())));
    }

    fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query
            .bind(self.shopper_id)
            .bind(self.request_id)
            .bind(self.coupon_code)
            .bind(self.state)
            .bind(self.rejected_because)
            .bind(self.rejection_metadata)
    }
}
