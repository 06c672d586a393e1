use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, future::join_all, stream};
use tidegate_proto::issuance::v1::{
    self as proto, FindCouponsRequest, FindCouponsResponse, GrantCouponsRequest,
    GrantCouponsResponse, GrantResult, GrantedCoupon, ListChangesRequest, ListChangesResponse,
    RevokeCouponRequest, RevokeCouponResponse, coupon_desk_service_server::CouponDeskService,
    grant_result,
};
use tidegate_rpc::{refusal::or_unreadable, server::CallContext, wire};
use tidegate_types::{
    CampaignId, ChangeReason, RequestId, ShopperId, TierId, TierNumber, Timestamp, Violations,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    MAX_ITEMS,
    access::{check_shopper, check_unbound},
    convert, open,
    status::{ended, to_status},
};
use crate::{
    coupon_desk::{CouponDesk, Grant, RevokeRequest},
    coupon_search::{CouponSearch, Wanted},
    domain::{campaign::Campaign, coupon::Coupon},
    error::IssuanceError,
};

/// A stream that brings nothing for this long is ended, so that it does not keep others out.
const MAX_IDLE: Duration = Duration::from_secs(60);

pub struct CouponDeskGrpc {
    desk: CouponDesk,
    search: CouponSearch,
    stop: CancellationToken,
}

impl CouponDeskGrpc {
    /// Serves with this. Streams end once `stop` is cancelled, so that they do not hold up a process that is stopping.
    pub fn new(desk: CouponDesk, search: CouponSearch, stop: CancellationToken) -> Self {
        Self { desk, search, stop }
    }
}

#[tonic::async_trait]
impl CouponDeskService for CouponDeskGrpc {
    async fn revoke_coupon(
        &self,
        request: Request<RevokeCouponRequest>,
    ) -> Result<Response<RevokeCouponResponse>, Status> {
        let (call, message) = open(request)?;
        let request = revoke_request(message, &call).map_err(|error| to_status(&error))?;
        let desk = self.desk.clone();
        // The caller may hang up; what it asked for goes on.
        let work = tokio::spawn(async move { desk.revoke(request).await });
        let (coupon, replayed) = work
            .await
            .map_err(ended)?
            .map_err(|error| to_status(&error))?;
        Ok(Response::new(RevokeCouponResponse {
            coupon: Some(convert::coupon(&coupon, Timestamp::now_utc())),
            replayed,
        }))
    }

    type GrantCouponsStream =
        Pin<Box<dyn Stream<Item = Result<GrantCouponsResponse, Status>> + Send>>;

    async fn grant_coupons(
        &self,
        request: Request<Streaming<GrantCouponsRequest>>,
    ) -> Result<Response<Self::GrantCouponsStream>, Status> {
        let (call, incoming) = open(request)?;
        let place = self.desk.open_stream().map_err(|error| to_status(&error))?;
        let grants = Grants {
            incoming,
            desk: self.desk.clone(),
            stop: self.stop.clone(),
            call,
            _place: place,
        };
        let answers = stream::try_unfold(grants, |mut grants| async move {
            let answer = grants.answer_next().await?;
            Ok(answer.map(|answer| (answer, grants)))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn find_coupons(
        &self,
        request: Request<FindCouponsRequest>,
    ) -> Result<Response<FindCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let wanted = convert::found::wanted(message, self.search.lanes());
        let wanted = wanted.and_then(|wanted| check_wanted(&call, &wanted).map(|()| wanted));
        let wanted = wanted.map_err(|error| to_status(&error))?;
        let found = self.search.find(wanted, call.deadline).await;
        let found = found.map_err(|error| to_status(&error))?;
        let now = Timestamp::now_utc();
        Ok(Response::new(convert::found::response(found, now)))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let (call, message) = open(request)?;
        check_unbound(&call).map_err(|error| to_status(&error))?;
        let query = wire::change_query(message.filter, message.page_size, &message.page_token);
        let query = query.map_err(|bad| to_status(&IssuanceError::InvalidFields(bad)))?;
        let changes = self.desk.changes(&query).await;
        let changes = changes.map_err(|error| to_status(&error))?;
        let (changes, next_page_token) = wire::changes(changes);
        Ok(Response::new(ListChangesResponse {
            changes,
            next_page_token,
        }))
    }
}

struct Grants {
    incoming: Streaming<GrantCouponsRequest>,
    desk: CouponDesk,
    stop: CancellationToken,
    call: CallContext,
    _place: OwnedSemaphorePermit,
}

impl Grants {
    /// The answer to the next message; none at the end of the stream.
    async fn answer_next(&mut self) -> Result<Option<GrantCouponsResponse>, Status> {
        let message = tokio::select! {
            message = timeout(MAX_IDLE, self.incoming.message()) => {
                let message = message.map_err(|_| to_status(&IssuanceError::GrantStreamIdle))?;
                message.map_err(or_unreadable)?
            }
            () = self.stop.cancelled() => return Err(to_status(&IssuanceError::Stopping)),
        };
        let Some(message) = message else {
            return Ok(None);
        };
        let desk = self.desk.clone();
        let call = self.call.clone();
        // The caller may hang up; what it asked for goes on.
        let work = tokio::spawn(async move { grant_all(&desk, message, &call).await });
        let answer = work.await.map_err(ended)?;
        answer.map(Some).map_err(|error| to_status(&error))
    }
}

async fn grant_all(
    desk: &CouponDesk,
    message: GrantCouponsRequest,
    call: &CallContext,
) -> Result<GrantCouponsResponse, IssuanceError> {
    let mut bad = Violations::default();
    let campaign_id = bad.check("campaign_id", CampaignId::parse(&message.campaign_id));
    if !(1..=MAX_ITEMS).contains(&message.grants.len()) {
        bad.add("grants", format_args!("must be 1 to {MAX_ITEMS}"));
    }
    let reason = bad.check("reason", ChangeReason::parse(&message.reason));
    let asked = campaign_id.zip(reason).filter(|_| bad.is_empty());
    let (campaign_id, reason) = asked.ok_or(IssuanceError::InvalidFields(bad))?;
    let granted_by = call.actor().map(|actor| (actor, reason));
    let campaign = desk.campaign(&campaign_id).await.ok();
    let results = message
        .grants
        .into_iter()
        .enumerate()
        .map(async |(place, asked)| {
            let campaign = campaign.as_ref().ok_or(IssuanceError::CampaignNotFound)?;
            let grant = grant(place, asked, campaign)?;
            check_shopper(call, &grant.shopper)?;
            desk.grant(campaign, grant, (granted_by.clone(), call.trace))
                .await
        });
    let results = join_all(results).await;
    let now = Timestamp::now_utc();
    Ok(GrantCouponsResponse {
        results: results
            .into_iter()
            .map(|outcome| grant_result(outcome, now))
            .collect(),
    })
}

fn grant(
    place: usize,
    asked: proto::Grant,
    campaign: &Arc<Campaign>,
) -> Result<Grant, IssuanceError> {
    let mut bad = Violations::default();
    let shopper = bad.check(
        format_args!("grants[{place}].shopper_id"),
        ShopperId::parse(asked.shopper_id),
    );
    let request_id = bad.check(
        format_args!("grants[{place}].request_id"),
        RequestId::parse(asked.request_id),
    );
    let tier = Some(asked.tier_id).filter(|tier| !tier.is_empty());
    let tier = tier.map(|tier| {
        bad.check(
            format_args!("grants[{place}].tier_id"),
            tier_number(&tier, campaign).ok_or("must be a tier of the campaign, or empty"),
        )
    });
    match (shopper, request_id, tier) {
        (Some(shopper), Some(request_id), None | Some(Some(_))) => Ok(Grant {
            shopper,
            request_id,
            tier: tier.flatten(),
        }),
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

fn tier_number(tier_id: &str, campaign: &Campaign) -> Option<TierNumber> {
    let id = TierId::parse(tier_id).ok()?;
    let place = campaign.tiers.iter().position(|tier| tier.id == id)?;
    TierNumber::new(place as u64).ok()
}

fn revoke_request(
    message: RevokeCouponRequest,
    call: &CallContext,
) -> Result<RevokeRequest, IssuanceError> {
    let mut bad = Violations::default();
    let shopper = bad.check("shopper_id", ShopperId::parse(message.shopper_id));
    let reason = bad.check("reason", ChangeReason::parse(&message.reason));
    let (Some(shopper), Some(reason)) = (shopper, reason) else {
        return Err(IssuanceError::InvalidFields(bad));
    };
    check_shopper(call, &shopper)?;
    Ok(RevokeRequest {
        shopper,
        code: message.coupon_code,
        reason,
        actor: call.actor(),
        trace: call.trace,
        deadline: call.deadline,
    })
}

fn check_wanted(call: &CallContext, wanted: &Wanted) -> Result<(), IssuanceError> {
    match wanted {
        Wanted::Code { shopper, .. } | Wanted::OfShopper { shopper, .. } => {
            check_shopper(call, shopper)
        }
        Wanted::CodeOfAnybody { .. } => check_unbound(call),
    }
}

fn grant_result(outcome: Result<(Coupon, bool), IssuanceError>, now: Timestamp) -> GrantResult {
    let outcome = match outcome {
        Ok((coupon, replayed)) => grant_result::Outcome::Granted(GrantedCoupon {
            coupon: Some(convert::coupon(&coupon, now)),
            replayed,
        }),
        Err(error) => grant_result::Outcome::Refused(wire::refusal(&error.refusal())),
    };
    GrantResult {
        outcome: Some(outcome),
    }
}
