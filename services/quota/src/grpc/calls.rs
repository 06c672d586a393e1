//! How calls are answered, and the services of leases and queues.

use std::time::Instant;

use tidegate_proto::quota::v1::{
    AcquireLeaseRequest, AcquireLeaseResponse, GetQueueRequest, GetQueueResponse,
    RenewLeasesRequest, RenewLeasesResponse, ReportQueuesRequest, ReportQueuesResponse,
    ReturnLeaseRequest, ReturnLeaseResponse, lease_service_server::LeaseService,
    queue_service_server::QueueService,
};
use tidegate_rpc::{refusal, server::CallContext};
use tidegate_telemetry::FutureExt as _;
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{UseCases, answers, requests};
use crate::{domain::SealedBecause, error::Result, staff::StaffCall};

pub(super) type Answer<T> = Result<Response<T>, Status>;

impl UseCases {
    pub(super) fn answer<T>(&self, outcome: Result<T>) -> Answer<T> {
        outcome.map(Response::new).map_err(|error| match error.refusal() {
            Some(refusal) => {
                self.metrics.refused(refusal.reason);
                refusal::to_status(&refusal)
            }
            None => {
                tracing::error!(%error, "a call failed for a reason that should not occur; nothing was committed, and the text says which statement or row to look at");
                refusal::defect()
            }
        })
    }

    /// The answer to work that goes on when its caller hangs up: a cancelled call must not cancel a commit.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Answer<T> {
        match tokio::spawn(work.with_current_context()).await {
            Ok(outcome) => self.answer(outcome),
            Err(ended) if ended.is_panic() => Err(refusal::defect()),
            // The process is ending under the task, so the outcome is not known.
            Err(_) => Err(refusal::to_status(&refusal::out_of_time())),
        }
    }

    /// The answer to a call that changes something, given how to read by whom and until when it is made.
    pub(super) async fn change<Asked, Call, T: Send + 'static, Work>(
        &self,
        request: Request<Asked>,
        call: fn(&Request<Asked>) -> Result<Call, Status>,
        work: impl FnOnce(Self, Asked, Call) -> Work,
    ) -> Answer<T>
    where
        Work: Future<Output = Result<T>> + Send + 'static,
    {
        let call = call(&request)?;
        self.detached(work(self.clone(), request.into_inner(), call))
            .await
    }
}

pub(super) fn call_of<T>(request: &Request<T>) -> Result<CallContext, Status> {
    let call = request.extensions().get::<CallContext>().cloned();
    call.ok_or_else(|| {
        tracing::error!("a call came past the call layer; the service is wired wrongly");
        refusal::defect()
    })
}

pub(super) fn staff_call_of<T>(request: &Request<T>) -> Result<StaffCall, Status> {
    let call = call_of(request)?;
    Ok(StaffCall {
        actor: call.actor(),
        came_at: Timestamp::now_utc(),
        began: Instant::now(),
        deadline: call.deadline,
    })
}

#[tonic::async_trait]
impl LeaseService for UseCases {
    async fn acquire_lease(
        &self,
        request: Request<AcquireLeaseRequest>,
    ) -> Answer<AcquireLeaseResponse> {
        self.change(request, call_of, |quota, asked, call| async move {
            let (request, now) = (requests::lease(&asked)?, Timestamp::now_utc());
            let leases = quota.leases;
            let acquired = leases.acquire(&request, now, call.deadline);
            Ok(answers::lease(&acquired.await?))
        })
        .await
    }

    async fn return_lease(
        &self,
        request: Request<ReturnLeaseRequest>,
    ) -> Answer<ReturnLeaseResponse> {
        self.change(request, call_of, |quota, asked, call| async move {
            let (id, used) = requests::returned_lease(&asked)?;
            let (because, now) = (SealedBecause::Returned, Timestamp::now_utc());
            let leases = quota.leases;
            let settled = leases.settle(id, &used, because, now, call.deadline);
            settled.await?;
            Ok(ReturnLeaseResponse {})
        })
        .await
    }

    async fn renew_leases(
        &self,
        request: Request<RenewLeasesRequest>,
    ) -> Answer<RenewLeasesResponse> {
        self.change(request, call_of, |quota, asked, call| async move {
            let holder = requests::lease_holder(&asked)?;
            quota.leases.renew(&holder, call.deadline).await?;
            Ok(RenewLeasesResponse {})
        })
        .await
    }
}

#[tonic::async_trait]
impl QueueService for UseCases {
    async fn report_queues(
        &self,
        request: Request<ReportQueuesRequest>,
    ) -> Answer<ReportQueuesResponse> {
        self.change(request, call_of, |quota, asked, call| async move {
            let (report, now) = (requests::gateway_report(&asked)?, Timestamp::now_utc());
            let reported = quota.queues.report(&report, now, call.deadline);
            let queues = answers::queue_snapshots(&reported.await?);
            Ok(ReportQueuesResponse { queues })
        })
        .await
    }

    async fn get_queue(&self, request: Request<GetQueueRequest>) -> Answer<GetQueueResponse> {
        let read = async {
            let id = requests::campaign_id(&request.get_ref().campaign_id)?;
            let (standing, reports) = self.queues.standing(&id, Timestamp::now_utc()).await?;
            Ok(answers::queue_standing(&standing, &reports))
        };
        self.answer(read.await)
    }
}
