use std::pin::Pin;

use futures_util::{Stream, stream};
use tidegate_proto::{
    quota::v1::{
        self as proto, campaign_service_server, watch_campaigns_response::Event as WireEvent,
    },
    r#type::v1 as wire_types,
};
use tidegate_rpc::wire;
use tonic::{Request, Response, Status};

use super::{convert, status, status::Answers};
use crate::{
    audit::Auditor,
    campaigns::Campaigns,
    control::Controls,
    domain::Campaign,
    told,
    watch::{Event, Watch},
};

/// What staff call, and what everybody watches.
#[derive(Clone)]
pub(super) struct CampaignGrpc {
    pub(super) campaigns: Campaigns,
    pub(super) controls: Controls,
    pub(super) auditor: Auditor,
    pub(super) watch: Watch,
    pub(super) answers: Answers,
    #[cfg(feature = "mutations")]
    pub(super) mutation: Option<crate::mutation::Mutation>,
}

impl CampaignGrpc {
    /// A campaign as callers and watchers are told of it.
    fn told(&self, campaign: &Campaign) -> wire_types::Campaign {
        #[cfg(feature = "mutations")]
        if let Some(mutation) = self.mutation {
            let mut told = told::campaign(campaign);
            mutation.tell(&mut told);
            return told;
        }
        told::campaign(campaign)
    }
}

#[tonic::async_trait]
impl campaign_service_server::CampaignService for CampaignGrpc {
    async fn create_campaign(
        &self,
        request: Request<proto::CreateCampaignRequest>,
    ) -> Result<Response<proto::CreateCampaignResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let (terms, reason) = self
            .answers
            .of(convert::campaign_terms(request.into_inner()))?;
        let campaigns = self.campaigns.clone();
        let campaign = self
            .answers
            .of_detached(async move { campaigns.create(&terms, reason.as_ref(), &call).await })
            .await?;
        Ok(Response::new(proto::CreateCampaignResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn get_campaign(
        &self,
        request: Request<proto::GetCampaignRequest>,
    ) -> Result<Response<proto::GetCampaignResponse>, Status> {
        let id = self
            .answers
            .of(convert::campaign_id(&request.into_inner().campaign_id))?;
        let campaign = self.answers.of(self.campaigns.get(&id).await)?;
        Ok(Response::new(proto::GetCampaignResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn list_campaigns(
        &self,
        request: Request<proto::ListCampaignsRequest>,
    ) -> Result<Response<proto::ListCampaignsResponse>, Status> {
        let (before, size) = self.answers.of(convert::page(&request.into_inner()))?;
        let page = self.answers.of(self.campaigns.list(before, size).await)?;
        Ok(Response::new(proto::ListCampaignsResponse {
            campaigns: page
                .campaigns
                .iter()
                .map(|campaign| self.told(campaign))
                .collect(),
            next_page_token: convert::page_token(page.next),
        }))
    }

    async fn add_budget(
        &self,
        request: Request<proto::AddBudgetRequest>,
    ) -> Result<Response<proto::AddBudgetResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let addition = self
            .answers
            .of(convert::budget_addition(&request.into_inner()))?;
        let campaigns = self.campaigns.clone();
        let (campaign, replayed) = self
            .answers
            .of_detached(async move { campaigns.add_budget(&addition, &call).await })
            .await?;
        Ok(Response::new(proto::AddBudgetResponse {
            campaign: Some(self.told(&campaign)),
            replayed,
        }))
    }

    async fn set_campaign_control(
        &self,
        request: Request<proto::SetCampaignControlRequest>,
    ) -> Result<Response<proto::SetCampaignControlResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let wanted = self
            .answers
            .of(convert::control_request(&request.into_inner()))?;
        let controls = self.controls.clone();
        let campaign = self
            .answers
            .of_detached(async move { controls.set(&wanted, &call).await })
            .await?;
        Ok(Response::new(proto::SetCampaignControlResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn extend_validity(
        &self,
        request: Request<proto::ExtendValidityRequest>,
    ) -> Result<Response<proto::ExtendValidityResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let (id, valid_until) = self
            .answers
            .of(convert::validity_extension(&request.into_inner()))?;
        let controls = self.controls.clone();
        let campaign = self
            .answers
            .of_detached(async move { controls.extend_validity(&id, valid_until, &call).await })
            .await?;
        Ok(Response::new(proto::ExtendValidityResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn update_campaign(
        &self,
        request: Request<proto::UpdateCampaignRequest>,
    ) -> Result<Response<proto::UpdateCampaignResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let update = self
            .answers
            .of(convert::update_request(&request.into_inner()))?;
        let campaigns = self.campaigns.clone();
        let campaign = self
            .answers
            .of_detached(async move { campaigns.update(update, &call).await })
            .await?;
        Ok(Response::new(proto::UpdateCampaignResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn end_campaign(
        &self,
        request: Request<proto::EndCampaignRequest>,
    ) -> Result<Response<proto::EndCampaignResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let end = self
            .answers
            .of(convert::end_request(&request.into_inner()))?;
        let controls = self.controls.clone();
        let campaign = self
            .answers
            .of_detached(async move { controls.end(&end, &call).await })
            .await?;
        Ok(Response::new(proto::EndCampaignResponse {
            campaign: Some(self.told(&campaign)),
        }))
    }

    async fn halt_all_campaigns(
        &self,
        request: Request<proto::HaltAllCampaignsRequest>,
    ) -> Result<Response<proto::HaltAllCampaignsResponse>, Status> {
        let call = status::staff_call_of(&request)?;
        let halt = self.answers.of(convert::halt(&request.into_inner()))?;
        let controls = self.controls.clone();
        let halted = self
            .answers
            .of_detached(async move { controls.halt_all(&halt, &call).await })
            .await?;
        Ok(Response::new(convert::halted(&halted)))
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Result<Response<proto::ListChangesResponse>, Status> {
        let query = self
            .answers
            .of(convert::change_query(request.into_inner()))?;
        let page = self.answers.of(self.campaigns.changes(&query).await)?;
        let (changes, next_page_token) = wire::changes(page);
        Ok(Response::new(proto::ListChangesResponse {
            changes,
            next_page_token,
        }))
    }

    async fn audit_campaign(
        &self,
        request: Request<proto::AuditCampaignRequest>,
    ) -> Result<Response<proto::AuditCampaignResponse>, Status> {
        let call = status::call_of(&request)?;
        let id = self
            .answers
            .of(convert::campaign_id(&request.into_inner().campaign_id))?;
        let audited = self.auditor.audit(&id, call.deadline, call.trace).await;
        let (campaign, report) = self.answers.of(audited)?;
        Ok(Response::new(convert::audit_report(&campaign, report)))
    }

    async fn lookup_campaigns(
        &self,
        request: Request<proto::LookupCampaignsRequest>,
    ) -> Result<Response<proto::LookupCampaignsResponse>, Status> {
        let request = request.into_inner();
        let wanted = self.answers.of(convert::wanted_campaigns(&request))?;
        let found = self.answers.of(self.campaigns.lookup(&wanted).await)?;
        let campaigns = found.campaigns.iter();
        let campaigns = campaigns.map(|campaign| self.told(campaign)).collect();
        let answer = convert::found_campaigns(campaigns, &found.unknown);
        Ok(Response::new(answer))
    }

    type WatchCampaignsStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchCampaignsResponse, Status>> + Send>>;

    async fn watch_campaigns(
        &self,
        _request: Request<proto::WatchCampaignsRequest>,
    ) -> Result<Response<Self::WatchCampaignsStream>, Status> {
        let subscription = self.answers.of(self.watch.subscribe())?;
        let service = self.clone();
        let events = stream::unfold(
            (subscription, service),
            |(mut subscription, service)| async {
                let event = match subscription.next().await? {
                    Event::Campaign(changed) => WireEvent::Campaign(service.told(&changed)),
                    Event::Synced => WireEvent::Synced(proto::Synced {}),
                };
                let step = proto::WatchCampaignsResponse { event: Some(event) };
                Some((Ok(step), (subscription, service)))
            },
        );
        Ok(Response::new(Box::pin(events)))
    }
}
