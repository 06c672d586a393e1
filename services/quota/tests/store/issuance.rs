//! An issuance that keeps its leases in memory: the contract's answers to quota, over the suite's own transport.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{
        lease_fence_service_server::{LeaseFenceService, LeaseFenceServiceServer},
        *,
    },
    r#type::v1 as wire_types,
};
use tidegate_quota::{domain::TierCounts, issuance::IssuanceClient};
use tidegate_rpc::{access_rules, client::Replicas, server::Rule};
use tidegate_test_kit::{Credentials, serve_stand_in};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

const LANES: u32 = 4;

const RULES: &[Rule] = access_rules! {
    "tidegate.issuance.v1.LeaseFenceService" {
        SealLeases: Inner, by [Quota];
        InspectLeases: Inner, by [Quota];
        CountCoupons: Inner, by [Quota];
        ApplyControl: Inner, by [Quota];
        RetireCampaign: Inner, by [Quota];
    }
};

/// Served until the test ends.
#[derive(Clone)]
pub struct Issuance {
    state: Arc<Mutex<State>>,
    pub address: SocketAddr,
    pub credentials: Arc<Credentials>,
}

#[derive(Default)]
pub struct State {
    pub leases: BTreeMap<Uuid, Lease>,
    /// Coupons beyond those the leases say were used.
    pub stray_coupons: u64,
    pub mismatches: Vec<LeaseMismatch>,
    /// While true, every call fails as if nobody were there.
    pub is_away: bool,
    pub controls: BTreeMap<u32, wire_types::Campaign>,
    /// The leases of each SealLeases that was answered.
    pub seals: Vec<Vec<Uuid>>,
    /// The leases of each InspectLeases that was answered.
    pub inspections: Vec<Vec<Uuid>>,
    pub retired: BTreeSet<u32>,
    /// What archived leases used, in the first lane.
    pub archived_used: TierCounts,
    pub shoppers_over_limit: u64,
    /// The most coupons that a shopper holds.
    pub most_held: u32,
    /// The next CountCoupons waits for this.
    pub gate: Option<oneshot::Receiver<()>>,
    pub shoppers_paying_twice: u64,
}

#[derive(Clone, Copy, Default)]
pub struct Lease {
    pub lane: u32,
    pub is_sealed: bool,
    pub granted: TierCounts,
    pub used: TierCounts,
}

impl Issuance {
    /// Starts it; the client calls it as quota does.
    pub async fn start() -> (Self, IssuanceClient) {
        let credentials = Credentials::make();
        let state = Arc::<Mutex<State>>::default();
        let routes = Routes::new(LeaseFenceServiceServer::new(Fence(Arc::clone(&state))));
        let address = serve_stand_in(&credentials, Identity::Issuance, RULES, routes).await;
        let issuance = Self {
            state,
            address,
            credentials,
        };
        let client = issuance.client().await;
        (issuance, client)
    }

    pub async fn client(&self) -> IssuanceClient {
        let tls = self.credentials.tls(Identity::Quota);
        let addresses = vec![self.address.to_string()];
        let (replicas, _) = Replicas::find(addresses, Identity::Issuance, tls).await;
        IssuanceClient::new(replicas)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes a lease spendable and spends from it.
    pub fn install(&self, lease_id: Uuid, lane: u32, granted: TierCounts, used: TierCounts) {
        let lease = Lease {
            lane,
            is_sealed: false,
            granted,
            used,
        };
        self.state().leases.insert(lease_id, lease);
    }

    /// Seals a lease as its lease holder would, and tells what was used.
    pub fn seal(&self, lease_id: Uuid) -> TierCounts {
        let mut state = self.state();
        let lease = state.leases.entry(lease_id).or_default();
        lease.is_sealed = true;
        lease.used
    }
}

struct Fence(Arc<Mutex<State>>);

impl Fence {
    fn answering(&self) -> Result<MutexGuard<'_, State>, Status> {
        let state = self.0.lock().unwrap();
        if state.is_away {
            return Err(Status::unavailable("nobody is there"));
        }
        Ok(state)
    }
}

#[tonic::async_trait]
impl LeaseFenceService for Fence {
    async fn seal_leases(
        &self,
        request: Request<SealLeasesRequest>,
    ) -> Result<Response<SealLeasesResponse>, Status> {
        let mut state = self.answering()?;
        let mut seal = SealLeasesResponse::default();
        let mut sealed = Vec::new();
        for asked in request.into_inner().leases {
            let key = asked.lease.unwrap();
            let lease_id = Uuid::parse_str(&key.lease_id).unwrap();
            let was_installed = state.leases.contains_key(&lease_id);
            let lease = state.leases.entry(lease_id).or_default();
            (lease.lane, lease.is_sealed) = (key.lane, true);
            seal.leases.push(SealedLease {
                lease_id: key.lease_id,
                used: counts(&lease.used),
                was_installed,
            });
            sealed.push(lease_id);
        }
        state.seals.push(sealed);
        Ok(Response::new(seal))
    }

    async fn inspect_leases(
        &self,
        request: Request<InspectLeasesRequest>,
    ) -> Result<Response<InspectLeasesResponse>, Status> {
        let mut state = self.answering()?;
        let asked = request.get_ref().leases.iter();
        let asked = asked.map(|key| Uuid::parse_str(&key.lease_id).unwrap());
        let asked = asked.collect();
        state.inspections.push(asked);
        let inspect = |key: LeaseKey| {
            let known = state.leases.get(&Uuid::parse_str(&key.lease_id).unwrap());
            let lease = known.copied().unwrap_or_default();
            InspectedLease {
                lease_id: key.lease_id,
                is_known: known.is_some(),
                is_sealed: lease.is_sealed,
                granted: counts(&lease.granted),
                used: counts(&lease.used),
            }
        };
        let leases = request.into_inner().leases.into_iter().map(inspect);
        Ok(Response::new(InspectLeasesResponse {
            leases: leases.collect(),
        }))
    }

    async fn apply_control(
        &self,
        request: Request<ApplyControlRequest>,
    ) -> Result<Response<ApplyControlResponse>, Status> {
        let mut state = self.answering()?;
        let campaign = request.into_inner().campaign.unwrap();
        let known = state.controls.entry(campaign.campaign_number).or_default();
        if known.revision < campaign.revision {
            *known = campaign;
        }
        Ok(Response::new(ApplyControlResponse {}))
    }

    async fn retire_campaign(
        &self,
        request: Request<RetireCampaignRequest>,
    ) -> Result<Response<RetireCampaignResponse>, Status> {
        let number = request.into_inner().campaign_number;
        self.answering()?.retired.insert(number);
        Ok(Response::new(RetireCampaignResponse {}))
    }

    async fn count_coupons(
        &self,
        request: Request<CountCouponsRequest>,
    ) -> Result<Response<CountCouponsResponse>, Status> {
        let gate = self.0.lock().unwrap().gate.take();
        if let Some(gate) = gate {
            gate.await.unwrap();
        }
        let state = self.answering()?;
        let request = request.into_inner();
        let lane = request.lane;
        let [first, last] = [&request.first_lease_id, &request.last_lease_id]
            .map(|id| Uuid::parse_str(id).unwrap());
        let (mut coupons, mut live) = (TierCounts::default(), TierCounts::default());
        for (_, lease) in state.leases.range(first..=last) {
            if lease.lane == lane {
                coupons = coupons.plus(&lease.used);
            }
            if lease.lane == lane && !lease.is_sealed {
                live = live.plus(&lease.used);
            }
        }
        let mut answer = CountCouponsResponse {
            lanes: LANES,
            coupons: counts(&coupons),
            coupons_on_live_leases: counts(&live),
            ..CountCouponsResponse::default()
        };
        if lane == 0 {
            answer.archived_used = counts(&state.archived_used);
        }
        if lane == 0 && last == Uuid::max() {
            if state.stray_coupons > 0 {
                assert_eq!(
                    answer.coupons,
                    [],
                    "strays are counted in a lane without leases"
                );
                answer.coupons.push(TierCount {
                    tier_number: 0,
                    quantity: state.stray_coupons,
                });
            }
            answer.mismatches = state.mismatches.clone();
            answer.shoppers_over_limit =
                state.shoppers_over_limit + u64::from(request.limit_per_shopper < state.most_held);
            answer.shoppers_paying_twice = state.shoppers_paying_twice;
        }
        Ok(Response::new(answer))
    }
}

fn counts(counts: &TierCounts) -> Vec<TierCount> {
    let count = |(tier, quantity): (tidegate_types::TierNumber, u64)| TierCount {
        tier_number: tier.get().into(),
        quantity,
    };
    counts.some().map(count).collect()
}
