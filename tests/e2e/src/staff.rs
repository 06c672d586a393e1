use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use futures_util::stream;
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    stack::{Service, Stack},
};
use tidegate_proto::{
    gateway::v1::{GetClaimRequest, claim_service_client::ClaimServiceClient},
    issuance::v1::coupon_admin_service_client::CouponAdminServiceClient,
    order_intake::v1::{
        CloseStoresRequest, CloseStoresResponse, SetStoreStateRequest, Store, StoreState,
        UpsertStoresRequest, UpsertStoresResponse, store_service_client::StoreServiceClient,
    },
    quota::v1::{
        AuditCampaignRequest, CreateCampaignRequest, GetCampaignRequest, ListChangesRequest,
        SetCampaignControlRequest, campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::{
        Campaign, CampaignControl, Change, ChangeFilter, IssuanceControl, RedemptionControl, Tier,
    },
};
use tonic::{Status, transport::Channel};

use crate::{eventually, refused, with_token};

const KNOWN_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub struct CampaignTerms {
    pub id: &'static str,
    /// Name and stock of each tier.
    pub tiers: Vec<(&'static str, u64)>,
    /// Coupons a shopper may hold.
    pub limit: u32,
    /// When it opens, from now.
    pub opens_in: Duration,
    /// When it closes, after its opening.
    pub open_for: Duration,
    /// How long coupons are valid.
    pub validity: Duration,
}

impl CampaignTerms {
    /// Open now, one coupon a shopper, valid for a day.
    pub fn open(id: &'static str, stock: u64) -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            id,
            tiers: vec![("tea", stock)],
            limit: 1,
            opens_in: Duration::ZERO,
            open_for: hour,
            validity: 24 * hour,
        }
    }
}

/// Staff with a certificate and a token.
pub struct StaffDesk {
    token: String,
    quota: Channel,
    issuance: Channel,
    order_intake: Channel,
    gateways: Vec<Channel>,
    chatbot: String,
}

impl StaffDesk {
    pub(crate) fn new(stack: &Stack) -> Result<Self> {
        let gateways = stack
            .replicas()
            .iter()
            .filter(|replica| replica.service() == Service::Gateway);
        Ok(Self {
            token: stack
                .credentials()
                .sign(&Token::new("staff", &Scope::STAFF))?,
            quota: stack.channel(Some(Identity::Staff), "quota-0")?,
            issuance: stack.channel(Some(Identity::Staff), "issuance-0")?,
            order_intake: stack.channel(Some(Identity::Staff), "order-intake-0")?,
            gateways: gateways
                .map(|gateway| stack.channel(None, gateway.name()))
                .collect::<Result<_>>()?,
            chatbot: stack
                .credentials()
                .sign(&Token::new("chatbot", &Scope::CHATBOT))?,
        })
    }

    /// Makes a campaign, without waiting for anybody to know it.
    pub async fn make(&self, terms: &CampaignTerms) -> Result<Campaign, Status> {
        let opens_at = SystemTime::now() + terms.opens_in;
        let message = CreateCampaignRequest {
            campaign_id: terms.id.into(),
            currency_code: "CNY".into(),
            tiers: terms
                .tiers
                .iter()
                .map(|(id, stock)| Tier {
                    tier_id: (*id).into(),
                    face_value_minor_units: 2_500,
                    stock: *stock,
                    ..Tier::default()
                })
                .collect(),
            limit_per_shopper: terms.limit,
            opens_at: Some(opens_at.into()),
            closes_at: Some((opens_at + terms.open_for).into()),
            coupon_validity: prost_types::Duration::try_from(terms.validity).ok(),
            ..CreateCampaignRequest::default()
        };
        let response = CampaignServiceClient::new(self.quota.clone())
            .create_campaign(with_token(message, &self.token))
            .await?;
        response
            .into_inner()
            .campaign
            .ok_or_else(|| Status::internal("the answer holds no campaign"))
    }

    /// Makes a campaign and waits until every gateway knows it.
    pub async fn open(&self, terms: CampaignTerms) -> Result<Campaign> {
        let campaign = self.make(&terms).await?;
        for gateway in &self.gateways {
            eventually(KNOWN_WITHIN, || async {
                let message = GetClaimRequest {
                    campaign_id: terms.id.into(),
                    shopper_id: "nobody".into(),
                    request_id: "known".into(),
                };
                let answer = ClaimServiceClient::new(gateway.clone())
                    .get_claim(with_token(message, &self.chatbot))
                    .await;
                let reason = answer.err().map(|status| refused(&status).reason);
                if reason.as_deref() == Some("CLAIM_NOT_FOUND") {
                    Ok(())
                } else {
                    Err(reason)
                }
            })
            .await
            .ok()
            .with_context(|| format!("a gateway does not learn of {}", terms.id))?;
        }
        Ok(campaign)
    }

    /// The campaign as quota has it.
    pub fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.quota.clone())
    }

    pub fn coupon_admin(&self) -> CouponAdminServiceClient<Channel> {
        CouponAdminServiceClient::new(self.issuance.clone())
    }

    /// The campaign as it is now.
    pub async fn read(&self, campaign: &str) -> Result<Campaign, Status> {
        let message = GetCampaignRequest {
            campaign_id: campaign.into(),
        };
        let response = self.campaigns().get_campaign(self.request(message)).await?;
        response
            .into_inner()
            .campaign
            .ok_or_else(|| Status::internal("the answer holds no campaign"))
    }

    /// Sets both controls of a campaign, on the epoch it has now; answers with its control afterwards.
    pub async fn control(
        &self,
        campaign: &str,
        issuance: IssuanceControl,
        redemption: RedemptionControl,
    ) -> Result<CampaignControl, Status> {
        let epoch = self.read(campaign).await?.control.unwrap_or_default().epoch;
        let message = SetCampaignControlRequest {
            campaign_id: campaign.into(),
            issuance: issuance.into(),
            redemption: redemption.into(),
            reason: "tried out".into(),
            resume_at: None,
            epoch,
        };
        let response = self
            .campaigns()
            .set_campaign_control(self.request(message))
            .await?;
        let campaign = response.into_inner().campaign.unwrap_or_default();
        Ok(campaign.control.unwrap_or_default())
    }

    /// Every difference the services' own audit finds.
    pub async fn audit(&self, campaign: &str) -> Result<Vec<String>, Status> {
        let message = AuditCampaignRequest {
            campaign_id: campaign.into(),
        };
        let response = self
            .campaigns()
            .audit_campaign(self.request(message))
            .await?;
        let found = response.into_inner().differences.into_iter();
        Ok(found
            .map(|difference| format!("{}: {}", difference.kind, difference.description))
            .collect())
    }

    /// A request with the staff token.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        with_token(message, &self.token)
    }

    /// What staff changed of a campaign, the newest first.
    pub async fn changes_of_campaign(&self, campaign: &str) -> Result<Vec<Change>, Status> {
        let filter = ChangeFilter {
            resource_kind: "campaign".into(),
            resource_id: campaign.into(),
            ..ChangeFilter::default()
        };
        let message = ListChangesRequest {
            filter: Some(filter),
            ..ListChangesRequest::default()
        };
        let answer = self.campaigns().list_changes(self.request(message)).await?;
        Ok(answer.into_inner().changes)
    }

    /// Makes store-1, which is never full.
    pub async fn make_store(&self) -> Result<()> {
        self.put_stores(vec![store_of("store-1", 10_000)]).await?;
        Ok(())
    }

    pub async fn put_stores(&self, stores: Vec<Store>) -> Result<UpsertStoresResponse, Status> {
        let message = UpsertStoresRequest {
            stores,
            ..UpsertStoresRequest::default()
        };
        let mut answers = self
            .stores()
            .upsert_stores(self.request(stream::iter([message])))
            .await?
            .into_inner();
        answers
            .message()
            .await?
            .ok_or_else(|| Status::internal("the stores have no answer"))
    }

    /// Closes a store for a reason, or opens it if there is none.
    pub async fn set_store_state(&self, store_id: &str, reason: &str) -> Result<Store, Status> {
        let state = if reason.is_empty() {
            StoreState::Open
        } else {
            StoreState::Closed
        };
        let message = SetStoreStateRequest {
            store_id: store_id.into(),
            state: state.into(),
            reason: reason.into(),
        };
        let response = self.stores().set_store_state(self.request(message)).await?;
        Ok(response.into_inner().store.unwrap_or_default())
    }

    /// Closes stores, and keeps or fails their orders.
    pub async fn close_stores(
        &self,
        message: CloseStoresRequest,
    ) -> Result<CloseStoresResponse, Status> {
        let response = self.stores().close_stores(self.request(message)).await?;
        Ok(response.into_inner())
    }

    pub fn stores(&self) -> StoreServiceClient<Channel> {
        StoreServiceClient::new(self.order_intake.clone())
    }
}

/// A store of the centre that makes so many orders in ten minutes.
pub fn store_of(store_id: &str, orders_per_slot: u32) -> Store {
    Store {
        store_id: store_id.into(),
        display_name: format!("Milk tea at {store_id}"),
        area: "centre".into(),
        orders_per_slot: Some(orders_per_slot),
        ..Store::default()
    }
}
