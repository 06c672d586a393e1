use tidegate_proto::quota::v1::{self as proto, lease_service_server};
use tidegate_types::Timestamp;
use tonic::Request;

use super::{
    convert,
    status::{self, Answer, Answers},
};
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
    ) -> Answer<proto::AcquireLeaseResponse> {
        let call = status::call_of(&request)?;
        let leases = self.leases.clone();
        let work = async move {
            let request = convert::lease_request(request.get_ref())?;
            let now = Timestamp::now_utc();
            let acquired = leases.acquire(&request, now, call.deadline, call.trace);
            Ok(convert::lease_answer(&acquired.await?))
        };
        self.answers.of_detached(work).await
    }

    async fn return_lease(
        &self,
        request: Request<proto::ReturnLeaseRequest>,
    ) -> Answer<proto::ReturnLeaseResponse> {
        let call = status::call_of(&request)?;
        let leases = self.leases.clone();
        let work = async move {
            let (id, used) = convert::returned_lease(request.get_ref())?;
            let (because, now) = (SealedBecause::Returned, Timestamp::now_utc());
            let settled = leases.settle(id, &used, because, now, call.deadline, call.trace);
            settled.await?;
            Ok(proto::ReturnLeaseResponse {})
        };
        self.answers.of_detached(work).await
    }

    async fn renew_leases(
        &self,
        request: Request<proto::RenewLeasesRequest>,
    ) -> Answer<proto::RenewLeasesResponse> {
        let call = status::call_of(&request)?;
        let leases = self.leases.clone();
        let work = async move {
            let holder = convert::holder(request.get_ref())?;
            leases.renew(&holder, call.deadline).await?;
            Ok(proto::RenewLeasesResponse {})
        };
        self.answers.of_detached(work).await
    }
}
