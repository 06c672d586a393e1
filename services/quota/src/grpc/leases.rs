use tidegate_proto::quota::v1::{self as proto, lease_service_server};
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{convert, status, status::Answers};
use crate::{domain::SealedBecause, leases::Leases};

pub(super) struct LeaseGrpc {
    pub(super) leases: Leases,
    pub(super) answers: Answers,
}

#[tonic::async_trait]
impl lease_service_server::LeaseService for LeaseGrpc {
    async fn acquire_lease(
        &self,
        request: Request<proto::AcquireLeaseRequest>,
    ) -> Result<Response<proto::AcquireLeaseResponse>, Status> {
        let call = status::call_of(&request)?;
        let request = self
            .answers
            .of(convert::lease_request(&request.into_inner()))?;
        let leases = self.leases.clone();
        let answer = self
            .answers
            .of_detached(async move {
                let now = Timestamp::now_utc();
                leases
                    .acquire(&request, now, call.deadline, call.trace)
                    .await
            })
            .await?;
        Ok(Response::new(convert::lease_answer(&answer)))
    }

    async fn return_lease(
        &self,
        request: Request<proto::ReturnLeaseRequest>,
    ) -> Result<Response<proto::ReturnLeaseResponse>, Status> {
        let call = status::call_of(&request)?;
        let (lease_id, used) = self
            .answers
            .of(convert::returned_lease(&request.into_inner()))?;
        let leases = self.leases.clone();
        self.answers
            .of_detached(async move {
                let now = Timestamp::now_utc();
                leases
                    .settle(
                        lease_id,
                        &used,
                        SealedBecause::Returned,
                        now,
                        call.deadline,
                        call.trace,
                    )
                    .await
            })
            .await?;
        Ok(Response::new(proto::ReturnLeaseResponse {}))
    }

    async fn renew_leases(
        &self,
        request: Request<proto::RenewLeasesRequest>,
    ) -> Result<Response<proto::RenewLeasesResponse>, Status> {
        let call = status::call_of(&request)?;
        let holder = self.answers.of(convert::holder(&request.into_inner()))?;
        let leases = self.leases.clone();
        self.answers
            .of_detached(async move { leases.renew(&holder, call.deadline).await })
            .await?;
        Ok(Response::new(proto::RenewLeasesResponse {}))
    }
}
