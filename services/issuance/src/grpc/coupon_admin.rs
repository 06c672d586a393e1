use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, future::join_all, stream};
use tidegate_proto::issuance::v1::{
    self as proto, coupon_admin_service_server::CouponAdminService, *,
};
use tidegate_rpc::{refusal::or_unreadable, server::CallContext, wire};
use tidegate_types::{
    CampaignId, ChangeReason, RequestId, ShopperId, TierId, TierNumber, Timestamp,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    IssuanceGrpc,
    access::{check_shopper, check_unbound},
    convert::{self, check_count, parsed},
    open,
    status::detached,
};
use crate::{
    coupon_admin::{Grant, RevokeRequest},
    coupon_search::Wanted,
    domain::{campaign::Campaign, coupon::Coupon},
    error::{IssuanceError, Result},
    replica::Replica,
};

/// A stream that brings nothing for this long is ended, so that it does not keep others out.
const MAX_IDLE: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl CouponAdminService for IssuanceGrpc {
    async fn revoke_coupon(
        &self,
        request: Request<RevokeCouponRequest>,
    ) -> Result<Response<RevokeCouponResponse>, Status> {
        let (call, message) = open(request)?;
        let request = revoke_request(message, &call)?;
        let replica = Arc::clone(&self.replica);
        let revoked = detached(async move { replica.revoke(request).await });
        let (coupon, replayed) = revoked.await??;
        let coupon = Some(convert::coupon(&coupon, Timestamp::now_utc()));
        Ok(Response::new(RevokeCouponResponse { coupon, replayed }))
    }

    type GrantCouponsStream =
        Pin<Box<dyn Stream<Item = Result<GrantCouponsResponse, Status>> + Send>>;

    async fn grant_coupons(
        &self,
        request: Request<Streaming<GrantCouponsRequest>>,
    ) -> Result<Response<Self::GrantCouponsStream>, Status> {
        let (call, incoming) = open(request)?;
        let place = self.replica.open_grants()?;
        let grants = Grants {
            incoming,
            replica: Arc::clone(&self.replica),
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
        let wanted = convert::found::wanted(message, self.replica.lanes)?;
        let deadline = call.deadline;
        let found = match wanted {
            Wanted::Code { shopper, code } => {
                check_shopper(&call, &shopper)?;
                self.replica.find_by_code(shopper, &code, deadline).await?
            }
            Wanted::CodeOfAnybody { code, from } => {
                check_unbound(&call)?;
                self.replica.search_code(&code, from, deadline).await?
            }
            Wanted::OfShopper {
                shopper,
                ending,
                from,
            } => {
                check_shopper(&call, &shopper)?;
                let finding = self
                    .replica
                    .find_of_shopper(&shopper, ending, from, deadline);
                finding.await?
            }
        };
        let now = Timestamp::now_utc();
        Ok(Response::new(convert::found::response(found, now)))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let (call, message) = open(request)?;
        check_unbound(&call)?;
        let query = wire::change_query(message.filter, message.page_size, &message.page_token);
        let query = query.map_err(IssuanceError::InvalidFields)?;
        let (changes, next_page_token) = wire::changes(self.replica.changes(&query).await?);
        Ok(Response::new(ListChangesResponse {
            changes,
            next_page_token,
        }))
    }
}

struct Grants {
    incoming: Streaming<GrantCouponsRequest>,
    replica: Arc<Replica>,
    stop: CancellationToken,
    call: CallContext,
    _place: OwnedSemaphorePermit,
}

impl Grants {
    /// The answer to the next message; none at the end of the stream.
    async fn answer_next(&mut self) -> Result<Option<GrantCouponsResponse>, Status> {
        let message = tokio::select! {
            message = timeout(MAX_IDLE, self.incoming.message()) => {
                let idle = IssuanceError::NotNow("the stream of grants was idle for too long");
                message.map_err(|_| idle)?.map_err(or_unreadable)?
            }
            () = self.stop.cancelled() => return Err(IssuanceError::STOPPING.into()),
        };
        let Some(message) = message else {
            return Ok(None);
        };
        let (replica, call) = (Arc::clone(&self.replica), self.call.clone());
        let answer = detached(async move { grant_all(&replica, message, &call).await });
        Ok(Some(answer.await??))
    }
}

async fn grant_all(
    replica: &Replica,
    message: GrantCouponsRequest,
    call: &CallContext,
) -> Result<GrantCouponsResponse> {
    let (campaign_id, reason) = parsed(|bad| {
        let campaign_id = bad.check("campaign_id", CampaignId::parse(&message.campaign_id));
        check_count(bad, "grants", message.grants.len());
        let reason = bad.check("reason", ChangeReason::parse(&message.reason));
        campaign_id.zip(reason)
    })?;
    let granted_by = call.actor().map(|actor| (actor, reason));
    let campaign = replica.campaign_of(&campaign_id).await.ok();
    let grants = message.grants.into_iter().enumerate();
    let results = grants.map(async |(place, asked)| {
        let campaign = campaign.as_ref().ok_or(IssuanceError::CampaignNotFound)?;
        let grant = grant(place, asked, campaign)?;
        check_shopper(call, &grant.shopper)?;
        replica.grant(campaign, grant, granted_by.clone()).await
    });
    let results = join_all(results).await.into_iter();
    let now = Timestamp::now_utc();
    Ok(GrantCouponsResponse {
        results: results.map(|outcome| grant_result(outcome, now)).collect(),
    })
}

fn grant(place: usize, asked: proto::Grant, campaign: &Campaign) -> Result<Grant> {
    parsed(|bad| {
        let field = |name| format!("grants[{place}].{name}");
        let shopper = bad.check(field("shopper_id"), ShopperId::parse(asked.shopper_id));
        let request_id = bad.check(field("request_id"), RequestId::parse(asked.request_id));
        let tier = Some(asked.tier_id).filter(|tier| !tier.is_empty());
        let tier = tier.and_then(|tier| {
            let number = tier_number(&tier, campaign);
            let number = number.ok_or("must be a tier of the campaign, or empty");
            bad.check(field("tier_id"), number)
        });
        Some(Grant {
            shopper: shopper?,
            request_id: request_id?,
            tier,
        })
    })
}

fn tier_number(tier_id: &str, campaign: &Campaign) -> Option<TierNumber> {
    let id = TierId::parse(tier_id).ok()?;
    let place = campaign.tiers.iter().position(|tier| tier.id == id)?;
    TierNumber::new(place as u64).ok()
}

fn revoke_request(message: RevokeCouponRequest, call: &CallContext) -> Result<RevokeRequest> {
    let (shopper, reason) = parsed(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(message.shopper_id));
        let reason = bad.check("reason", ChangeReason::parse(&message.reason));
        shopper.zip(reason)
    })?;
    check_shopper(call, &shopper)?;
    Ok(RevokeRequest {
        shopper,
        code: message.coupon_code,
        reason,
        actor: call.actor(),
        deadline: call.deadline,
    })
}

fn grant_result(outcome: Result<(Coupon, bool)>, now: Timestamp) -> GrantResult {
    let outcome = match outcome {
        Ok((coupon, replayed)) => grant_result::Outcome::Granted(GrantedCoupon {
            coupon: Some(convert::coupon(&coupon, now)),
            replayed,
        }),
        Err(error) => grant_result::Outcome::Refused(error.into()),
    };
    GrantResult {
        outcome: Some(outcome),
    }
}
