//! What issuance counts, beside the commit queue's own metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tidegate_pg::NotCommitted;
use tidegate_telemetry::{Registry, duration_histogram};
use tidegate_types::{CouponKeyring, Lane};

use crate::error::IssuanceError;

/// Issuance's own metrics. Cheap to clone.
#[derive(Clone)]
pub struct IssuanceMetrics {
    issued: Family<ReplayedLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    leases_held: Family<LaneLabel, Gauge>,
    stock_held: Family<LaneLabel, Gauge>,
    /// Coupons used for orders, repeats included.
    pub redeemed: Counter,
    pub seals: Counter,
    /// Calls that no quota replica answered.
    pub quota_away: Counter,
    /// Time from asking for a lease to the answer.
    pub acquire_seconds: Histogram,
    /// Heartbeats that no quota replica heard.
    pub heartbeats_missed: Counter,
    /// Spends that the database refused although the book had stock.
    pub fence_refusals: Counter,
    /// Coupons withdrawn by staff, repeats included.
    pub revoked: Counter,
    /// Whether the coupon keys in use are those of their file.
    pub coupon_keys_file_usable: Gauge,
    coupon_keys: Family<KeyLabel, Gauge>,
    active_coupon_key: Gauge,
    /// Settled leases that were archived.
    pub leases_archived: Counter,
    unknown_commits: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReplayedLabel {
    replayed: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LaneLabel {
    lane: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KeyLabel {
    key_id: u8,
}

impl IssuanceMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            issued: Family::default(),
            refused: Family::default(),
            leases_held: Family::default(),
            stock_held: Family::default(),
            redeemed: Counter::default(),
            seals: Counter::default(),
            quota_away: Counter::default(),
            acquire_seconds: duration_histogram(),
            heartbeats_missed: Counter::default(),
            fence_refusals: Counter::default(),
            revoked: Counter::default(),
            coupon_keys_file_usable: Gauge::default(),
            coupon_keys: Family::default(),
            active_coupon_key: Gauge::default(),
            leases_archived: Counter::default(),
            unknown_commits: Counter::default(),
        };
        registry.register(
            "tidegate_coupons_answered",
            "Claims answered with a coupon, new or replayed",
            metrics.issued.clone(),
        );
        registry.register(
            "tidegate_refusals",
            "Claims, redemptions and releases refused, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "tidegate_leases_held",
            "Leases this replica can spend from, by lane",
            metrics.leases_held.clone(),
        );
        registry.register(
            "tidegate_stock_held",
            "Coupons left on the leases this replica holds, by lane",
            metrics.stock_held.clone(),
        );
        registry.register(
            "tidegate_coupons_redeemed",
            "Redemptions answered with success, repeats included",
            metrics.redeemed.clone(),
        );
        registry.register(
            "tidegate_lease_seals",
            "Leases this replica has sealed",
            metrics.seals.clone(),
        );
        registry.register(
            "tidegate_quota_away",
            "Questions that no quota replica answered; they are asked again",
            metrics.quota_away.clone(),
        );
        registry.register(
            "tidegate_lease_acquire_seconds",
            "Time from asking for a lease to the answer",
            metrics.acquire_seconds.clone(),
        );
        metrics.register_fence(registry);
        metrics.register_coupon_keys(registry);
        metrics
    }

    fn register_fence(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_heartbeats_missed",
            "Heartbeats that no quota replica heard",
            self.heartbeats_missed.clone(),
        );
        registry.register(
            "tidegate_fence_refusals",
            "Claims that a sealed or overdrawn lease did not yield a coupon for, although this replica believed it had stock",
            self.fence_refusals.clone(),
        );
        registry.register(
            "tidegate_unknown_commits",
            "Callers told that the outcome is not known, because the database was lost during the commit",
            self.unknown_commits.clone(),
        );
        registry.register(
            "tidegate_leases_archived",
            "Settled leases that this replica archived",
            self.leases_archived.clone(),
        );
        registry.register(
            "tidegate_coupons_revoked",
            "Revocations answered with success, repeats included",
            self.revoked.clone(),
        );
    }

    fn register_coupon_keys(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_coupon_keys_known",
            "1 for each coupon key that this replica knows",
            self.coupon_keys.clone(),
        );
        registry.register(
            "tidegate_coupon_key_active",
            "The id of the coupon key that new codes are made with",
            self.active_coupon_key.clone(),
        );
        registry.register(
            "tidegate_coupon_keys_file_usable",
            "0 if the coupon keys file changed and cannot be used, so that older keys stay in use",
            self.coupon_keys_file_usable.clone(),
        );
    }

    /// The coupon keys in use, as their file has them.
    pub fn coupon_keys(&self, keyring: &CouponKeyring) {
        self.coupon_keys.clear();
        for key_id in keyring.key_ids() {
            self.coupon_keys.get_or_create(&KeyLabel { key_id }).set(1);
        }
        self.active_coupon_key.set(keyring.active_key_id().into());
        self.coupon_keys_file_usable.set(1);
    }

    /// A claim was answered with a coupon.
    pub fn issued(&self, replayed: bool) {
        self.issued
            .get_or_create(&ReplayedLabel {
                replayed: if replayed { "true" } else { "false" },
            })
            .inc();
    }

    pub fn refused(&self, error: &IssuanceError) {
        if matches!(error, IssuanceError::NotCommitted(NotCommitted::Unknown)) {
            self.unknown_commits.inc();
        }
        self.refused
            .get_or_create(&ReasonLabel {
                reason: error.refusal().reason.name(),
            })
            .inc();
    }

    pub fn holding(&self, lane: Lane, leases: usize, coupons: u64) {
        let label = LaneLabel { lane: lane.get() };
        self.leases_held.get_or_create(&label).set(leases as i64);
        self.stock_held.get_or_create(&label).set(coupons as i64);
    }
}
