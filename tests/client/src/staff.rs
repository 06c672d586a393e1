//! Staff, with a certificate and a token.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use futures_util::stream;
use tidegate_local::{
    credentials::{Identity, Scope},
    stack::Stack,
};
use tidegate_proto::{
    issuance::v1::{
        Grant, GrantCouponsRequest, GrantResult,
        coupon_admin_service_client::CouponAdminServiceClient,
    },
    order_intake::v1::{
        Store, UpsertStoresRequest, UpsertStoresResponse, store_service_client::StoreServiceClient,
    },
    quota::v1::{
        AddBudgetRequest, AddBudgetResponse, AuditCampaignRequest, AuditCampaignResponse,
        CreateCampaignRequest, EndCampaignRequest, EndCampaignResponse, ExtendValidityRequest,
        GetCampaignRequest, SetCampaignControlRequest, UpdateCampaignRequest,
        campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::{Campaign, CampaignControl, IssuanceControl, RedemptionControl, Tier},
};
use tonic::{Request, Status, transport::Channel};

use crate::{Bearer, Gateway, part, soon};

pub const HOUR: Duration = Duration::from_secs(3_600);
const WHY: &str = "tried out";

#[derive(Debug, Clone)]
pub struct CampaignTerms {
    pub id: String,
    /// Name and stock of each tier, in the order in which claims that name none are served.
    pub tiers: Vec<(&'static str, u64)>,
    pub limit_per_shopper: u32,
    pub opens_at: SystemTime,
    pub open_for: Duration,
    pub validity: Duration,
}

impl CampaignTerms {
    /// Open now, one coupon a shopper, valid for a day.
    pub fn open(id: impl Into<String>, stock: u64) -> Self {
        Self {
            id: id.into(),
            tiers: vec![("tea", stock)],
            limit_per_shopper: 1,
            opens_at: SystemTime::now(),
            open_for: HOUR,
            validity: 24 * HOUR,
        }
    }

    pub fn opening_in(self, wait: Duration) -> Self {
        Self {
            opens_at: SystemTime::now() + wait,
            ..self
        }
    }

    pub fn closing_after(self, open_for: Duration) -> Self {
        Self { open_for, ..self }
    }

    pub fn valid_for(self, validity: Duration) -> Self {
        Self { validity, ..self }
    }

    pub fn limited_to(self, limit_per_shopper: u32) -> Self {
        Self {
            limit_per_shopper,
            ..self
        }
    }

    /// Large and small teas, in place of the one tier.
    pub fn with_sizes(self, large: u64, small: u64) -> Self {
        Self {
            tiers: vec![("large", large), ("small", small)],
            ..self
        }
    }

    pub fn request(&self) -> CreateCampaignRequest {
        let tier = |(tier_id, stock): &(&str, u64)| Tier {
            tier_id: (*tier_id).into(),
            face_value_minor_units: 2_500,
            stock: *stock,
            ..Tier::default()
        };
        CreateCampaignRequest {
            campaign_id: self.id.clone(),
            currency_code: "CNY".into(),
            tiers: self.tiers.iter().map(tier).collect(),
            limit_per_shopper: self.limit_per_shopper,
            opens_at: Some(self.opens_at.into()),
            closes_at: Some((self.opens_at + self.open_for).into()),
            coupon_validity: prost_types::Duration::try_from(self.validity).ok(),
            ..CreateCampaignRequest::default()
        }
    }
}

/// A store of the centre that makes so many orders in each slot.
pub fn store_of(store_id: impl Into<String>, orders_per_slot: u32) -> Store {
    let store_id = store_id.into();
    Store {
        display_name: format!("Milk tea at {store_id}"),
        store_id,
        area: "centre".into(),
        orders_per_slot: Some(orders_per_slot),
        ..Store::default()
    }
}

#[derive(Debug, Clone)]
pub struct Staff {
    bearer: Bearer,
    quota: Channel,
    issuance: Channel,
    order_intake: Channel,
    gateways: Vec<Gateway>,
}

impl Staff {
    /// Staff of a stack, who call the first replica of each service.
    pub fn of(stack: &Stack) -> Result<Self> {
        Self::who_call(stack, "quota-0", "order-intake-0")
    }

    /// Staff of a stack, who call these replicas.
    pub fn who_call(stack: &Stack, quota: &str, order_intake: &str) -> Result<Self> {
        let channel = |replica| stack.channel(Some(Identity::Staff), replica);
        Ok(Self {
            bearer: Bearer::sign(stack.credentials(), "staff", &Scope::STAFF)?,
            quota: channel(quota)?,
            issuance: channel("issuance-0")?,
            order_intake: channel(order_intake)?,
            gateways: Gateway::all(stack)?,
        })
    }

    pub fn within(self, deadline: Duration) -> Self {
        Self {
            bearer: self.bearer.within(deadline),
            ..self
        }
    }

    pub fn request<M>(&self, message: M) -> Request<M> {
        self.bearer.request(message)
    }

    pub fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.quota.clone())
    }

    pub fn coupon_admin(&self) -> CouponAdminServiceClient<Channel> {
        CouponAdminServiceClient::new(self.issuance.clone())
    }

    pub fn stores(&self) -> StoreServiceClient<Channel> {
        StoreServiceClient::new(self.order_intake.clone())
    }

    /// Makes a campaign, without waiting for anybody to know it.
    pub async fn make(&self, terms: &CampaignTerms) -> Result<Campaign, Status> {
        self.create(terms.request()).await
    }

    pub async fn create(&self, message: CreateCampaignRequest) -> Result<Campaign, Status> {
        let request = self.request(message);
        let answer = self.campaigns().create_campaign(request).await?;
        part(answer.into_inner().campaign, "create_campaign")
    }

    /// Makes a campaign and waits until every gateway knows it.
    pub async fn open(&self, terms: CampaignTerms) -> Result<Campaign> {
        let campaign = self.make(&terms).await?;
        self.wait_until_known(&terms.id).await?;
        Ok(campaign)
    }

    /// Waits until every gateway knows a campaign: until then it would refuse the first shoppers.
    pub async fn wait_until_known(&self, campaign: &str) -> Result<()> {
        for gateway in &self.gateways {
            let known = soon(|| gateway.knows(campaign)).await;
            known.map_err(|said| anyhow!("a gateway does not learn of {campaign}: {said}"))?;
        }
        Ok(())
    }

    /// Sets both controls of a campaign, on the epoch it has now; answers with how far they are.
    pub async fn control(
        &self,
        campaign: &str,
        issuance: IssuanceControl,
        redemption: RedemptionControl,
    ) -> Result<CampaignControl, Status> {
        let control = self.read(campaign).await?.control;
        let epoch = part(control, "get_campaign")?.epoch;
        let request = self.request(SetCampaignControlRequest {
            campaign_id: campaign.into(),
            issuance: issuance.into(),
            redemption: redemption.into(),
            reason: WHY.into(),
            resume_at: None,
            epoch,
        });
        let answer = self.campaigns().set_campaign_control(request).await?;
        let control = answer.into_inner().campaign;
        let control = control.and_then(|campaign| campaign.control);
        part(control, "set_campaign_control")
    }

    /// Sets whether there are coupons, while those there are may be used.
    pub async fn issuing(
        &self,
        campaign: &str,
        issuance: IssuanceControl,
    ) -> Result<CampaignControl, Status> {
        let redemption = RedemptionControl::Open;
        self.control(campaign, issuance, redemption).await
    }

    /// Sets whether coupons may be used, while there are more.
    pub async fn redeeming(
        &self,
        campaign: &str,
        redemption: RedemptionControl,
    ) -> Result<CampaignControl, Status> {
        let issuance = IssuanceControl::Open;
        self.control(campaign, issuance, redemption).await
    }

    pub async fn update(&self, change: UpdateCampaignRequest) -> Result<(), Status> {
        let request = self.request(change);
        self.campaigns().update_campaign(request).await.map(drop)
    }

    pub async fn extend(&self, campaign: &str, until: SystemTime) -> Result<Campaign, Status> {
        let request = self.request(ExtendValidityRequest {
            campaign_id: campaign.into(),
            valid_until: Some(until.into()),
        });
        let answer = self.campaigns().extend_validity(request).await?;
        part(answer.into_inner().campaign, "extend_validity")
    }

    /// Every difference that the services' own audit finds.
    pub async fn differences(&self, campaign: &str) -> Result<Vec<String>, Status> {
        let found = self.audit(campaign).await?.differences.into_iter();
        Ok(found
            .map(|difference| format!("{}: {}", difference.kind, difference.description))
            .collect())
    }

    /// Gives coupons to shoppers, all with the same request id.
    pub async fn grant(
        &self,
        campaign: &str,
        request_id: &str,
        shoppers: impl IntoIterator<Item = String>,
    ) -> Result<Vec<GrantResult>, Status> {
        let grant = |shopper_id| Grant {
            shopper_id,
            request_id: request_id.into(),
            tier_id: String::new(),
        };
        let request = self.request(stream::iter([GrantCouponsRequest {
            campaign_id: campaign.into(),
            grants: shoppers.into_iter().map(grant).collect(),
            reason: WHY.into(),
        }]));
        let answer = self.coupon_admin().grant_coupons(request).await?;
        let page = answer.into_inner().message().await?;
        Ok(part(page, "grant_coupons")?.results)
    }

    /// Makes `store-1`, which is never full.
    pub async fn make_store(&self) -> Result<(), Status> {
        self.put_stores(vec![store_of("store-1", 10_000)]).await?;
        Ok(())
    }

    pub async fn put_stores(&self, stores: Vec<Store>) -> Result<UpsertStoresResponse, Status> {
        let request = self.request(stream::iter([UpsertStoresRequest {
            stores,
            reason: WHY.into(),
        }]));
        let answer = self.stores().upsert_stores(request).await?;
        let page = answer.into_inner().message().await?;
        part(page, "upsert_stores")
    }

    calls! {
        read(campaign_id: &str) = campaigns.get_campaign(GetCampaignRequest).campaign -> Campaign;
        audit(campaign_id: &str)
            = campaigns.audit_campaign(AuditCampaignRequest) -> AuditCampaignResponse;
        /// Adds to the stock of a tier, once for each request id.
        add_budget(campaign_id: &str, tier_id: &str, request_id: &str, additional_stock: u64;
            reason = WHY) = campaigns.add_budget(AddBudgetRequest) -> AddBudgetResponse;
        end(campaign_id: &str; reason = WHY)
            = campaigns.end_campaign(EndCampaignRequest) -> EndCampaignResponse;
    }
}
