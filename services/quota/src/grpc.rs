//! The gRPC services: decode, call, encode.

mod convert;
mod status;

use std::pin::Pin;

use futures_util::{Stream, stream};
use tidegate_auth::{Identity, Scope};
use tidegate_proto::quota::v1::{
    self as proto, campaign_service_server, campaign_service_server::CampaignServiceServer,
    lease_service_server, lease_service_server::LeaseServiceServer,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::Rule};
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status, service::Routes};

use self::status::Answers;
use crate::{Metrics, campaigns::Campaigns, leases::Leases, watch::Watch};

/// Full names of the gRPC services.
pub(crate) const SERVICE_NAMES: &[&str] = &[
    campaign_service_server::SERVICE_NAME,
    lease_service_server::SERVICE_NAME,
];

const fn staff(path: &'static str, scope: Scope) -> Rule {
    Rule {
        path,
        services: &[],
        scope: Some(scope),
    }
}

const fn issuance(path: &'static str) -> Rule {
    Rule {
        path,
        services: &[Identity::Issuance],
        scope: None,
    }
}

/// Who may call what: staff by their token, services by their certificate.
pub const RULES: &[Rule] = &[
    staff(
        "/tidegate.quota.v1.CampaignService/CreateCampaign",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/AddBudget",
        Scope::CampaignsWrite,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/GetCampaign",
        Scope::CampaignsRead,
    ),
    staff(
        "/tidegate.quota.v1.CampaignService/ListCampaigns",
        Scope::CampaignsRead,
    ),
    Rule {
        services: &[Identity::Gateway, Identity::Issuance, Identity::OrderIntake],
        ..staff(
            "/tidegate.quota.v1.CampaignService/WatchCampaigns",
            Scope::CampaignsRead,
        )
    },
    issuance("/tidegate.quota.v1.LeaseService/AcquireLease"),
    issuance("/tidegate.quota.v1.LeaseService/ReturnLease"),
];

/// Adds both services.
pub(crate) fn add(
    routes: Routes,
    campaigns: Campaigns,
    leases: Leases,
    watch: Watch,
    metrics: Metrics,
) -> Routes {
    let answers = Answers::new(metrics);
    let campaigns = CampaignServiceServer::new(CampaignGrpc {
        campaigns,
        watch,
        answers: answers.clone(),
    });
    let leases = LeaseServiceServer::new(LeaseGrpc { leases, answers });
    routes
        .add_service(
            campaigns
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            leases
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
}

struct CampaignGrpc {
    campaigns: Campaigns,
    watch: Watch,
    answers: Answers,
}

#[tonic::async_trait]
impl campaign_service_server::CampaignService for CampaignGrpc {
    async fn create_campaign(
        &self,
        request: Request<proto::CreateCampaignRequest>,
    ) -> Result<Response<proto::CreateCampaignResponse>, Status> {
        let call = status::call_of(&request)?;
        let terms = self
            .answers
            .of(convert::campaign_terms(request.into_inner()))?;
        let campaigns = self.campaigns.clone();
        let campaign = self
            .answers
            .of_detached(async move {
                campaigns
                    .create(&terms, Timestamp::now_utc(), call.deadline)
                    .await
            })
            .await?;
        Ok(Response::new(proto::CreateCampaignResponse {
            campaign: Some(convert::campaign(&campaign)),
        }))
    }

    async fn get_campaign(
        &self,
        request: Request<proto::GetCampaignRequest>,
    ) -> Result<Response<proto::GetCampaignResponse>, Status> {
        let id = self
            .answers
            .of(convert::campaign_id(&request.into_inner()))?;
        let campaign = self.answers.of(self.campaigns.get(&id).await)?;
        Ok(Response::new(proto::GetCampaignResponse {
            campaign: Some(convert::campaign(&campaign)),
        }))
    }

    async fn list_campaigns(
        &self,
        request: Request<proto::ListCampaignsRequest>,
    ) -> Result<Response<proto::ListCampaignsResponse>, Status> {
        let (before, size) = self.answers.of(convert::page(&request.into_inner()))?;
        let page = self.answers.of(self.campaigns.list(before, size).await)?;
        Ok(Response::new(convert::campaigns(&page)))
    }

    async fn add_budget(
        &self,
        request: Request<proto::AddBudgetRequest>,
    ) -> Result<Response<proto::AddBudgetResponse>, Status> {
        let call = status::call_of(&request)?;
        let addition = self
            .answers
            .of(convert::budget_addition(&request.into_inner()))?;
        let campaigns = self.campaigns.clone();
        let (campaign, replayed) = self
            .answers
            .of_detached(async move {
                campaigns
                    .add_budget(&addition, Timestamp::now_utc(), call.deadline)
                    .await
            })
            .await?;
        Ok(Response::new(proto::AddBudgetResponse {
            campaign: Some(convert::campaign(&campaign)),
            replayed,
        }))
    }

    type WatchCampaignsStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchCampaignsResponse, Status>> + Send>>;

    async fn watch_campaigns(
        &self,
        _request: Request<proto::WatchCampaignsRequest>,
    ) -> Result<Response<Self::WatchCampaignsStream>, Status> {
        let subscription = self.answers.of(self.watch.subscribe())?;
        let events = stream::unfold(subscription, |mut subscription| async move {
            let event = subscription.next().await?;
            Some((Ok(convert::event(event)), subscription))
        });
        Ok(Response::new(Box::pin(events)))
    }
}

struct LeaseGrpc {
    leases: Leases,
    answers: Answers,
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
                    .settle(lease_id, &used, now, call.deadline, call.trace)
                    .await
            })
            .await?;
        Ok(Response::new(proto::ReturnLeaseResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        let files = FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = BTreeSet::new();
        for file in &files.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                if SERVICE_NAMES.contains(&name.as_str()) {
                    methods.extend(
                        service
                            .method
                            .iter()
                            .map(|method| format!("/{name}/{}", method.name())),
                    );
                }
            }
        }
        let ruled: BTreeSet<_> = RULES.iter().map(|rule| rule.path.to_owned()).collect();
        assert_eq!(methods, ruled);
        assert_eq!(ruled.len(), RULES.len());
        let in_package = files
            .file
            .iter()
            .filter(|file| file.package() == "tidegate.quota.v1")
            .map(|file| file.service.len());
        assert_eq!(in_package.sum::<usize>(), SERVICE_NAMES.len());
    }

    #[test]
    fn only_issuance_moves_stock_and_no_token_opens_that() {
        let lease_rules = RULES
            .iter()
            .filter(|rule| rule.path.contains("LeaseService"));
        for rule in lease_rules {
            assert_eq!(rule.services, [Identity::Issuance]);
            assert_eq!(rule.scope, None);
        }
    }
}
