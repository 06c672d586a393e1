//! What staff list and look up, from the contract to the domain.

use tidegate_proto::{order_intake::v1 as proto, r#type::v1 as shared};
use tidegate_rpc::wire;
use tidegate_types::{ChangeQuery, StoreId, Timestamp, Violations};
use time::macros::datetime;
use uuid::Uuid;

use crate::{
    domain::{
        Area, OrderId, PagePosition, PageSize, StateKind, StoreOrdersQuery, StoresQuery,
        to_microsecond,
    },
    error::OrderIntakeError,
};

const NEVER: Timestamp = datetime!(9999-12-31 23:59:59 UTC);
const BAD_MOMENT: &str = "must be a time from year 1 to 9999";
const BAD_STORES_TOKEN: &str = "must be empty or the next_page_token of an earlier page";

pub(in crate::grpc) fn order_id(text: &str) -> Result<OrderId, OrderIntakeError> {
    let mut violations = Violations::default();
    let id = Uuid::try_parse(text).map_err(|_| "must be a UUID");
    violations
        .check("order_id", id)
        .map(OrderId)
        .ok_or(OrderIntakeError::InvalidFields(violations))
}

/// Which stores are asked for.
pub(in crate::grpc) fn stores_query(
    request: &proto::ListStoresRequest,
) -> Result<StoresQuery, OrderIntakeError> {
    let mut violations = Violations::default();
    let area = match &*request.area {
        "" => Some(None),
        area => violations.check("area", Area::parse(area)).map(Some),
    };
    let is_closed = match proto::StoreState::try_from(request.state) {
        Ok(proto::StoreState::Unspecified) => Some(None),
        Ok(proto::StoreState::Open) => Some(Some(false)),
        Ok(proto::StoreState::Closed) => Some(Some(true)),
        Err(_) => violations.check("state", Err("must be a known state")),
    };
    let size = violations.check("page_size", PageSize::new(request.page_size));
    // A page's place is the store that it ended with.
    let after = match &*request.page_token {
        "" => Some(None),
        token => {
            let after = StoreId::parse(token).map_err(|_| BAD_STORES_TOKEN);
            violations.check("page_token", after).map(Some)
        }
    };
    match (area, is_closed, size, after) {
        (Some(area), Some(is_closed), Some(size), Some(after)) => Ok(StoresQuery {
            area,
            is_closed,
            after,
            size,
        }),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

/// Which orders of a store are asked for.
pub(in crate::grpc) fn store_orders_query(
    request: &proto::ListStoreOrdersRequest,
) -> Result<StoreOrdersQuery, OrderIntakeError> {
    let mut violations = Violations::default();
    let store = violations.check("store_id", StoreId::parse(&request.store_id));
    let states = states(&mut violations, &request.states);
    let mut moment = |field, at: Option<_>| {
        let moment = at.map(|at| wire::moment(at).map(to_microsecond).ok_or(BAD_MOMENT));
        violations.check(field, moment.transpose())
    };
    let from = moment("from", request.from);
    let until = moment("until", request.until);
    if let (Some(Some(from)), Some(Some(until))) = (from, until)
        && from >= until
    {
        violations.add("until", "must be later than `from`");
    }
    let size = violations.check("page_size", PageSize::new(request.page_size));
    let token = match &*request.page_token {
        "" => Some(PagePosition::OLDEST),
        token => violations.check("page_token", PagePosition::parse(token)),
    };
    match (store, states, from, until, size, token) {
        (Some(store), Some(states), Some(from), Some(until), Some(size), Some(token))
            if violations.is_empty() =>
        {
            let query = StoreOrdersQuery {
                store,
                states,
                after: token,
                until: until.unwrap_or(NEVER),
                size,
            };
            Ok(match from {
                Some(from) => query.not_before(from),
                None => query,
            })
        }
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

/// All if none is named.
fn states(violations: &mut Violations, numbers: &[i32]) -> Option<Vec<StateKind>> {
    let max = StateKind::ALL.len();
    if numbers.len() > max {
        violations.add("states", format!("must be {max} at most"));
        return None;
    }
    if numbers.is_empty() {
        return Some(StateKind::ALL.to_vec());
    }
    let kinds = numbers.iter().enumerate().map(|(at, number)| {
        let kind = shared::OrderState::try_from(*number).ok().and_then(kind);
        let kind = kind.ok_or("must be a known state");
        violations.check(format_args!("states[{at}]"), kind)
    });
    // Each is looked at, so that every bad one is named.
    let kinds: Vec<_> = kinds.collect();
    kinds.into_iter().collect()
}

fn kind(state: shared::OrderState) -> Option<StateKind> {
    match state {
        shared::OrderState::Unspecified => None,
        shared::OrderState::Pending => Some(StateKind::Pending),
        shared::OrderState::Accepted => Some(StateKind::Accepted),
        shared::OrderState::Rejected => Some(StateKind::Rejected),
        shared::OrderState::InPreparation => Some(StateKind::InPreparation),
        shared::OrderState::Ready => Some(StateKind::Ready),
        shared::OrderState::Completed => Some(StateKind::Completed),
        shared::OrderState::Cancelled => Some(StateKind::Cancelled),
        shared::OrderState::Failed => Some(StateKind::Failed),
    }
}

/// Which changes are asked for.
pub(in crate::grpc) fn change_query(
    request: proto::ListChangesRequest,
) -> Result<ChangeQuery, OrderIntakeError> {
    let (filter, size, token) = (request.filter, request.page_size, request.page_token);
    wire::change_query(filter, size, &token).map_err(OrderIntakeError::InvalidFields)
}
