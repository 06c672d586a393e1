use std::pin::Pin;

use futures_util::{Stream, stream};
use tidegate_proto::quota::v1::{
    self as proto, campaign_service_server::CampaignService,
    watch_campaigns_response::Event as WireEvent,
};
use tidegate_rpc::wire;
use tonic::{Request, Response, Status};

use super::{
    UseCases, answers,
    calls::{Answer, call_of, staff_call_of},
    requests,
};
use crate::{told, watch::Event};

#[tonic::async_trait]
impl CampaignService for UseCases {
    async fn create_campaign(
        &self,
        request: Request<proto::CreateCampaignRequest>,
    ) -> Answer<proto::CreateCampaignResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let (terms, reason) = requests::campaign_terms(&asked)?;
            let created = quota.campaigns.create(&terms, reason.as_ref(), &call);
            let campaign = Some(told::campaign(&created.await?));
            Ok(proto::CreateCampaignResponse { campaign })
        })
        .await
    }

    async fn get_campaign(
        &self,
        request: Request<proto::GetCampaignRequest>,
    ) -> Answer<proto::GetCampaignResponse> {
        let read = async {
            let id = requests::campaign_id(&request.get_ref().campaign_id)?;
            let campaign = Some(told::campaign(&self.campaigns.get(&id).await?));
            Ok(proto::GetCampaignResponse { campaign })
        };
        self.answer(read.await)
    }

    async fn list_campaigns(
        &self,
        request: Request<proto::ListCampaignsRequest>,
    ) -> Answer<proto::ListCampaignsResponse> {
        let read = async {
            let (before, size) = requests::page(request.get_ref())?;
            let page = self.campaigns.list(before, size).await?;
            Ok(proto::ListCampaignsResponse {
                campaigns: page.campaigns.iter().map(told::campaign).collect(),
                next_page_token: requests::page_token(page.next),
            })
        };
        self.answer(read.await)
    }

    async fn add_budget(
        &self,
        request: Request<proto::AddBudgetRequest>,
    ) -> Answer<proto::AddBudgetResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let addition = requests::budget_addition(&asked)?;
            let (campaign, replayed) = quota.campaigns.add_budget(&addition, &call).await?;
            let campaign = Some(told::campaign(&campaign));
            Ok(proto::AddBudgetResponse { campaign, replayed })
        })
        .await
    }

    async fn set_campaign_control(
        &self,
        request: Request<proto::SetCampaignControlRequest>,
    ) -> Answer<proto::SetCampaignControlResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let wanted = requests::control(&asked)?;
            let campaign = Some(told::campaign(&quota.controls.set(&wanted, &call).await?));
            Ok(proto::SetCampaignControlResponse { campaign })
        })
        .await
    }

    async fn extend_validity(
        &self,
        request: Request<proto::ExtendValidityRequest>,
    ) -> Answer<proto::ExtendValidityResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let (id, until) = requests::validity_extension(&asked)?;
            let changed = quota.controls.extend_validity(&id, until, &call);
            let campaign = Some(told::campaign(&changed.await?));
            Ok(proto::ExtendValidityResponse { campaign })
        })
        .await
    }

    async fn update_campaign(
        &self,
        request: Request<proto::UpdateCampaignRequest>,
    ) -> Answer<proto::UpdateCampaignResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let update = requests::update(&asked)?;
            let changed = quota.campaigns.update(update, &call);
            let campaign = Some(told::campaign(&changed.await?));
            Ok(proto::UpdateCampaignResponse { campaign })
        })
        .await
    }

    async fn end_campaign(
        &self,
        request: Request<proto::EndCampaignRequest>,
    ) -> Answer<proto::EndCampaignResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let end = requests::end(&asked)?;
            let changed = quota.controls.end(&end, &call);
            let campaign = Some(told::campaign(&changed.await?));
            Ok(proto::EndCampaignResponse { campaign })
        })
        .await
    }

    async fn halt_all_campaigns(
        &self,
        request: Request<proto::HaltAllCampaignsRequest>,
    ) -> Answer<proto::HaltAllCampaignsResponse> {
        self.change(request, staff_call_of, |quota, asked, call| async move {
            let halt = requests::halt(&asked)?;
            let halted = quota.controls.halt_all(&halt, &call).await?;
            Ok(answers::halted(&halted))
        })
        .await
    }

    async fn list_changes(
        &self,
        request: Request<proto::ListChangesRequest>,
    ) -> Answer<proto::ListChangesResponse> {
        let read = async {
            let asked = request.into_inner();
            let query = wire::change_query(asked.filter, asked.page_size, &asked.page_token)?;
            let (changes, next_page_token) = wire::changes(self.campaigns.changes(&query).await?);
            Ok(proto::ListChangesResponse {
                changes,
                next_page_token,
            })
        };
        self.answer(read.await)
    }

    async fn audit_campaign(
        &self,
        request: Request<proto::AuditCampaignRequest>,
    ) -> Answer<proto::AuditCampaignResponse> {
        let call = call_of(&request)?;
        let audit = async {
            let id = requests::campaign_id(&request.get_ref().campaign_id)?;
            let audited = self.auditor.audit(&id, call.deadline).await;
            audited.map(|(campaign, report)| answers::audit_report(&campaign, report))
        };
        self.answer(audit.await)
    }

    async fn lookup_campaigns(
        &self,
        request: Request<proto::LookupCampaignsRequest>,
    ) -> Answer<proto::LookupCampaignsResponse> {
        let read = async {
            let wanted = requests::wanted_campaigns(request.get_ref())?;
            Ok(answers::found(&self.campaigns.lookup(&wanted).await?))
        };
        self.answer(read.await)
    }

    type WatchCampaignsStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchCampaignsResponse, Status>> + Send>>;

    async fn watch_campaigns(
        &self,
        _request: Request<proto::WatchCampaignsRequest>,
    ) -> Answer<Self::WatchCampaignsStream> {
        let subscription = self.answer(self.watch.subscribe())?.into_inner();
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
