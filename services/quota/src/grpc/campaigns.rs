use std::pin::Pin;

use futures_util::{Stream, stream};
use tidegate_proto::quota::v1::{
    self as proto, campaign_service_server, watch_campaigns_response::Event as WireEvent,
};
use tidegate_rpc::wire;
use tonic::{Request, Response, Status};

use super::{
    convert,
    status::{self, Answer, Answers},
};
use crate::{
    audit::Auditor,
    campaigns::Campaigns,
    control::Controls,
    told,
    watch::{Event, Watch},
};

#[derive(Clone)]
pub(super) struct CampaignGrpc {
    pub(super) campaigns: Campaigns,
    pub(super) controls: Controls,
    pub(super) auditor: Auditor,
    pub(super) watch: Watch,
    pub(super) answers: Answers,
}

#[tonic::async_trait]
impl campaign_service_server::CampaignService for CampaignGrpc {
    async fn create_campaign(
        &self,
        request: Request<proto::CreateCampaignRequest>,
    ) -> Answer<proto::CreateCampaignResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let (terms, reason) = convert::campaign_terms(request.into_inner())?;
            let campaign = service
                .campaigns
                .create(&terms, reason.as_ref(), &call)
                .await?;
            Ok(proto::CreateCampaignResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn get_campaign(
        &self,
        request: Request<proto::GetCampaignRequest>,
    ) -> Answer<proto::GetCampaignResponse> {
        let read = async {
            let id = convert::campaign_id(&request.get_ref().campaign_id)?;
            let campaign = self.campaigns.get(&id).await?;
            Ok(proto::GetCampaignResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of(read.await)
    }

    async fn list_campaigns(
        &self,
        request: Request<proto::ListCampaignsRequest>,
    ) -> Answer<proto::ListCampaignsResponse> {
        let read = async {
            let (before, size) = convert::page(request.get_ref())?;
            let page = self.campaigns.list(before, size).await?;
            Ok(proto::ListCampaignsResponse {
                campaigns: page.campaigns.iter().map(told::campaign).collect(),
                next_page_token: convert::page_token(page.next),
            })
        };
        self.answers.of(read.await)
    }

    async fn add_budget(
        &self,
        request: Request<proto::AddBudgetRequest>,
    ) -> Answer<proto::AddBudgetResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let addition = convert::budget_addition(&request.into_inner())?;
            let (campaign, replayed) = service.campaigns.add_budget(&addition, &call).await?;
            Ok(proto::AddBudgetResponse {
                campaign: Some(told::campaign(&campaign)),
                replayed,
            })
        };
        self.answers.of_detached(work).await
    }

    async fn set_campaign_control(
        &self,
        request: Request<proto::SetCampaignControlRequest>,
    ) -> Answer<proto::SetCampaignControlResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let wanted = convert::control_request(&request.into_inner())?;
            let campaign = service.controls.set(&wanted, &call).await?;
            Ok(proto::SetCampaignControlResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn extend_validity(
        &self,
        request: Request<proto::ExtendValidityRequest>,
    ) -> Answer<proto::ExtendValidityResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let (id, until) = convert::validity_extension(&request.into_inner())?;
            let campaign = service.controls.extend_validity(&id, until, &call).await?;
            Ok(proto::ExtendValidityResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn update_campaign(
        &self,
        request: Request<proto::UpdateCampaignRequest>,
    ) -> Answer<proto::UpdateCampaignResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let update = convert::update_request(&request.into_inner())?;
            let campaign = service.campaigns.update(update, &call).await?;
            Ok(proto::UpdateCampaignResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn end_campaign(
        &self,
        request: Request<proto::EndCampaignRequest>,
    ) -> Answer<proto::EndCampaignResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let end = convert::end_request(&request.into_inner())?;
            let campaign = service.controls.end(&end, &call).await?;
            Ok(proto::EndCampaignResponse {
                campaign: Some(told::campaign(&campaign)),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn halt_all_campaigns(
        &self,
        request: Request<proto::HaltAllCampaignsRequest>,
    ) -> Answer<proto::HaltAllCampaignsResponse> {
        let call = status::staff_call_of(&request)?;
        let service = self.clone();
        let work = async move {
            let halt = convert::halt(&request.into_inner())?;
            let halted = service.controls.halt_all(&halt, &call).await?;
            Ok(convert::halted(&halted))
        };
        self.answers.of_detached(work).await
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Answer<proto::ListChangesResponse> {
        let read = async {
            let query = convert::change_query(request.into_inner())?;
            let (changes, next_page_token) = wire::changes(self.campaigns.changes(&query).await?);
            Ok(proto::ListChangesResponse {
                changes,
                next_page_token,
            })
        };
        self.answers.of(read.await)
    }

    async fn audit_campaign(
        &self,
        request: Request<proto::AuditCampaignRequest>,
    ) -> Answer<proto::AuditCampaignResponse> {
        let call = status::call_of(&request)?;
        let audit = async {
            let id = convert::campaign_id(&request.get_ref().campaign_id)?;
            let audited = self.auditor.audit(&id, call.deadline, call.trace).await;
            audited.map(|(campaign, report)| convert::audit_report(&campaign, report))
        };
        self.answers.of(audit.await)
    }

    async fn lookup_campaigns(
        &self,
        request: Request<proto::LookupCampaignsRequest>,
    ) -> Answer<proto::LookupCampaignsResponse> {
        let read = async {
            let wanted = convert::wanted_campaigns(request.get_ref())?;
            let found = self.campaigns.lookup(&wanted).await?;
            let campaigns = found.campaigns.iter().map(told::campaign).collect();
            Ok(convert::found_campaigns(campaigns, &found.unknown))
        };
        self.answers.of(read.await)
    }

    type WatchCampaignsStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchCampaignsResponse, Status>> + Send>>;

    async fn watch_campaigns(
        &self,
        _request: Request<proto::WatchCampaignsRequest>,
    ) -> Answer<Self::WatchCampaignsStream> {
        let subscription = self.answers.of(self.watch.subscribe())?.into_inner();
        let events = stream::unfold(subscription, |mut subscription| async {
            let event = match subscription.next().await? {
                Event::Campaign(changed) => WireEvent::Campaign(told::campaign(&changed)),
                Event::Synced => WireEvent::Synced(proto::Synced {}),
            };
            let step = proto::WatchCampaignsResponse { event: Some(event) };
            Some((Ok(step), subscription))
        });
        Ok(Response::new(Box::pin(events)))
    }
}
