//! A quota that keeps one campaign and its leases in memory: the contract's answers, over the suite's own transport.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{
        campaign_service_server::{CampaignService, CampaignServiceServer},
        lease_service_server::{LeaseService, LeaseServiceServer},
        watch_campaigns_response::Event,
        *,
    },
    r#type::v1::{Campaign, CampaignControl, IssuanceControl, RedemptionControl, Tier, TierStock},
};
use tidegate_rpc::{access_rules, refusal, server::Rule, wire};
use tidegate_test_kit::{Credentials, never_asked, serve_stand_in};
use tidegate_types::{Reason, Refusal, Timestamp};
use tokio::sync::watch;
use tonic::{Request, Response, Status, service::Routes};

pub const CAMPAIGN: u32 = 7;
pub const STOCK: u64 = 1_000;

const RULES: &[Rule] = access_rules! {
    "tidegate.quota.v1.CampaignService" {
        WatchCampaigns: Streams, by [Issuance];
        LookupCampaigns: Inner, by [Issuance];
    }
    "tidegate.quota.v1.LeaseService" {
        AcquireLease: Inner, by [Issuance];
        ReturnLease: Inner, by [Issuance];
        RenewLeases: Inner, by [Issuance];
    }
};

#[derive(Clone)]
pub struct Quota {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

pub struct State {
    pub campaign: Campaign,
    /// Whether the watch tells of the campaign; whoever asks for it hears of it in any case.
    pub watched: bool,
    /// By lease: who holds it, on which lane, and what was granted.
    pub granted: BTreeMap<String, Lent>,
    /// By lease: what was used.
    pub returned: BTreeMap<String, u64>,
    pub beats: BTreeMap<String, u64>,
}

#[derive(Clone)]
pub struct Lent {
    pub holder_id: String,
    pub lane: u32,
    pub quantity: u64,
}

impl Quota {
    pub async fn start(credentials: &Credentials) -> (Self, SocketAddr) {
        let state = State {
            campaign: campaign(),
            watched: true,
            granted: BTreeMap::new(),
            returned: BTreeMap::new(),
            beats: BTreeMap::new(),
        };
        let quota = Self {
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(()),
        };
        let routes = Routes::new(CampaignServiceServer::new(quota.clone()))
            .add_service(LeaseServiceServer::new(quota.clone()));
        let address = serve_stand_in(credentials, Identity::Quota, RULES, routes).await;
        (quota, address)
    }

    pub fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }

    /// Changes the campaign's terms or control, and tells whoever watches.
    pub fn change(&self, change: impl FnOnce(&mut Campaign)) {
        let mut state = self.state.lock().unwrap();
        change(&mut state.campaign);
        state.campaign.revision += 1;
        drop(state);
        self.changed.send_replace(());
    }

    /// Changes the campaign as it is known to quota alone.
    pub fn change_silently(&self, change: impl FnOnce(&mut Campaign)) {
        change(&mut self.state.lock().unwrap().campaign);
    }

    /// Sets what staff want of issuing and redeeming, and tells whoever watches.
    pub fn control(&self, issuance: IssuanceControl, redemption: RedemptionControl) {
        self.change(|campaign| campaign.control = Some(control(issuance, redemption)));
    }

    /// Lets the watch tell nothing of the campaign.
    pub fn keep_from_watch(&self) {
        self.state.lock().unwrap().watched = false;
    }

    /// Changes only how much is free.
    pub fn set_free(&self, free: u64) {
        self.state.lock().unwrap().campaign.stock[0].free = free;
        self.changed.send_replace(());
    }
}

pub fn control(issuance: IssuanceControl, redemption: RedemptionControl) -> CampaignControl {
    CampaignControl {
        issuance: issuance.into(),
        redemption: redemption.into(),
        ..CampaignControl::default()
    }
}

pub fn opens_in(campaign: &mut Campaign, seconds: i64) {
    campaign.opens_at = Some(wire::timestamp(from_now(seconds)));
}

pub fn closes_in(campaign: &mut Campaign, seconds: i64) {
    campaign.closes_at = Some(wire::timestamp(from_now(seconds)));
}

fn from_now(seconds: i64) -> Timestamp {
    Timestamp::now_utc().truncate_to_second() + time::Duration::seconds(seconds)
}

fn campaign() -> Campaign {
    let now = Timestamp::now_utc();
    Campaign {
        campaign_id: "spring".to_owned(),
        campaign_number: CAMPAIGN,
        currency_code: "CNY".to_owned(),
        tiers: vec![Tier {
            tier_id: "milk-tea".to_owned(),
            face_value_minor_units: 1_500,
            stock: STOCK,
            terms: None,
        }],
        limit_per_shopper: 1,
        opens_at: Some(wire::timestamp(now - Duration::from_secs(60))),
        closes_at: Some(wire::timestamp(now + Duration::from_secs(3_600))),
        coupon_validity: Some(wire::duration(Duration::from_secs(600))),
        stock: vec![TierStock {
            tier_id: "milk-tea".to_owned(),
            stock: STOCK,
            free: STOCK,
            ..TierStock::default()
        }],
        revision: 1,
        control: Some(control(IssuanceControl::Open, RedemptionControl::Open)),
        ..Campaign::default()
    }
}

#[tonic::async_trait]
impl LeaseService for Quota {
    async fn acquire_lease(
        &self,
        request: Request<AcquireLeaseRequest>,
    ) -> Result<Response<AcquireLeaseResponse>, Status> {
        let asked = request.into_inner();
        let mut state = self.state.lock().unwrap();
        let never = |reason| Err(refusal::to_status(&Refusal::never(reason)));
        let control = state.campaign.control.clone().unwrap_or_default();
        if control.issuance() == IssuanceControl::Halted {
            return never(Reason::IssuanceHalted);
        }
        let closes_at = state.campaign.closes_at.and_then(wire::moment);
        if closes_at.is_some_and(|closes_at| closes_at <= Timestamp::now_utc()) {
            return never(Reason::CampaignClosed);
        }
        let out: u64 = state.granted.values().map(|lent| lent.quantity).sum();
        let wanted =
            asked.wanted_of_any_tier + asked.wanted.first().map_or(0, |tier| tier.quantity);
        let quantity = wanted.min(STOCK.saturating_sub(out)).min(100);
        let lent = Lent {
            holder_id: asked.holder_id,
            lane: asked.lane,
            quantity,
        };
        let lent = state.granted.entry(asked.lease_id).or_insert(lent);
        Ok(Response::new(AcquireLeaseResponse {
            granted: vec![TierQuantity {
                tier_number: 0,
                quantity: lent.quantity,
            }],
            availability: Availability::Granted.into(),
            tier_availability: vec![Availability::Granted.into()],
        }))
    }

    async fn return_lease(
        &self,
        request: Request<ReturnLeaseRequest>,
    ) -> Result<Response<ReturnLeaseResponse>, Status> {
        let told = request.into_inner();
        let used = told.used.iter().map(|tier| tier.quantity).sum();
        let mut state = self.state.lock().unwrap();
        state.returned.insert(told.lease_id, used);
        Ok(Response::new(ReturnLeaseResponse {}))
    }

    async fn renew_leases(
        &self,
        request: Request<RenewLeasesRequest>,
    ) -> Result<Response<RenewLeasesResponse>, Status> {
        let holder = request.into_inner().holder_id;
        *self.state.lock().unwrap().beats.entry(holder).or_default() += 1;
        Ok(Response::new(RenewLeasesResponse {}))
    }
}

#[tonic::async_trait]
impl CampaignService for Quota {
    type WatchCampaignsStream =
        Pin<Box<dyn Stream<Item = Result<WatchCampaignsResponse, Status>> + Send>>;

    async fn watch_campaigns(
        &self,
        _: Request<WatchCampaignsRequest>,
    ) -> Result<Response<Self::WatchCampaignsStream>, Status> {
        let mut changes = self.changed.subscribe();
        changes.mark_changed();
        let state = Arc::clone(&self.state);
        let synced = Event::Synced(Synced {});
        let events = stream::unfold((changes, state, Some(synced)), async |rest| {
            let (mut changes, state, synced) = rest;
            changes.changed().await.ok()?;
            let told = {
                let state = state.lock().unwrap();
                state
                    .watched
                    .then(|| Event::Campaign(state.campaign.clone()))
            };
            let events = [told, synced].into_iter().flatten();
            let events = events.map(|event| Ok(WatchCampaignsResponse { event: Some(event) }));
            let events: Vec<_> = events.collect();
            Some((stream::iter(events), (changes, state, None)))
        });
        Ok(Response::new(Box::pin(events.flatten())))
    }

    async fn lookup_campaigns(
        &self,
        request: Request<LookupCampaignsRequest>,
    ) -> Result<Response<LookupCampaignsResponse>, Status> {
        let asked = request.into_inner();
        let campaign = self.state.lock().unwrap().campaign.clone();
        let (mut ids, mut numbers) = (asked.campaign_ids, asked.campaign_numbers);
        let count = ids.len() + numbers.len();
        ids.retain(|id| *id != campaign.campaign_id);
        numbers.retain(|number| *number != campaign.campaign_number);
        let is_asked_for = ids.len() + numbers.len() < count;
        Ok(Response::new(LookupCampaignsResponse {
            campaigns: is_asked_for.then_some(campaign).into_iter().collect(),
            unknown_campaign_ids: ids,
            unknown_campaign_numbers: numbers,
        }))
    }

    never_asked! {
        create_campaign(CreateCampaignRequest) -> CreateCampaignResponse;
        get_campaign(GetCampaignRequest) -> GetCampaignResponse;
        list_campaigns(ListCampaignsRequest) -> ListCampaignsResponse;
        add_budget(AddBudgetRequest) -> AddBudgetResponse;
        set_campaign_control(SetCampaignControlRequest) -> SetCampaignControlResponse;
        extend_validity(ExtendValidityRequest) -> ExtendValidityResponse;
        update_campaign(UpdateCampaignRequest) -> UpdateCampaignResponse;
        end_campaign(EndCampaignRequest) -> EndCampaignResponse;
        halt_all_campaigns(HaltAllCampaignsRequest) -> HaltAllCampaignsResponse;
        list_changes(ListChangesRequest) -> ListChangesResponse;
        audit_campaign(AuditCampaignRequest) -> AuditCampaignResponse;
    }
}
