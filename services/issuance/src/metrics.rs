//! What issuance counts, beside the commit queue's own metrics.

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use tidegate_pg::NotCommitted;
use tidegate_telemetry::{Registry, duration_histogram};
use tidegate_types::{CouponKeyring, Lane};

use crate::error::IssuanceError;

/// Declares metrics: each with its type and how it is made, its name, and what it says.
macro_rules! metrics {
    ($($visible:vis $field:ident: $metric:ty = $new:expr, $name:literal, $help:literal;)*) => {
        /// Issuance's own metrics. Cheap to clone.
        #[derive(Clone)]
        pub struct IssuanceMetrics {
            $(#[doc = $help] $visible $field: $metric,)*
        }

        impl IssuanceMetrics {
            pub fn register(registry: &mut Registry) -> Self {
                let metrics = Self { $($field: $new,)* };
                $(registry.register($name, $help, metrics.$field.clone());)*
                metrics
            }
        }
    };
}

metrics! {
    issued: Family<Label<&'static str>, Counter> = Family::default(),
        "tidegate_coupons_answered", "Claims answered with a coupon, new or replayed";
    refused: Family<Label<&'static str>, Counter> = Family::default(),
        "tidegate_refusals", "Claims, redemptions and releases refused, by reason";
    leases_held: Family<Label<u16>, Gauge> = Family::default(),
        "tidegate_leases_held", "Leases this replica can spend from, by lane";
    stock_held: Family<Label<u16>, Gauge> = Family::default(),
        "tidegate_stock_held", "Coupons left on the leases this replica holds, by lane";
    pub redeemed: Counter = Counter::default(),
        "tidegate_coupons_redeemed", "Redemptions answered with success, repeats included";
    pub seals: Counter = Counter::default(),
        "tidegate_lease_seals", "Leases this replica has sealed";
    pub quota_away: Counter = Counter::default(),
        "tidegate_quota_away", "Questions that no quota replica answered; they are asked again";
    pub acquire_seconds: Histogram = duration_histogram(),
        "tidegate_lease_acquire_seconds", "Time from asking for a lease to the answer";
    pub heartbeats_missed: Counter = Counter::default(),
        "tidegate_heartbeats_missed", "Heartbeats that no quota replica heard";
    pub fence_refusals: Counter = Counter::default(),
        "tidegate_fence_refusals", "Claims that a sealed or overdrawn lease did not yield a coupon for, although this replica believed it had stock";
    unknown_commits: Counter = Counter::default(),
        "tidegate_unknown_commits", "Callers told that the outcome is not known, because the database was lost during the commit";
    pub leases_archived: Counter = Counter::default(),
        "tidegate_leases_archived", "Settled leases that this replica archived";
    pub revoked: Counter = Counter::default(),
        "tidegate_coupons_revoked", "Revocations answered with success, repeats included";
    coupon_keys: Family<Label<u8>, Gauge> = Family::default(),
        "tidegate_coupon_keys_known", "1 for each coupon key that this replica knows";
    active_coupon_key: Gauge = Gauge::default(),
        "tidegate_coupon_key_active", "The id of the coupon key that new codes are made with";
    pub coupon_keys_file_usable: Gauge = Gauge::default(),
        "tidegate_coupon_keys_file_usable", "0 if the coupon keys file changed and cannot be used, so that older keys stay in use";
}

/// A label and its value.
type Label<V> = [(&'static str, V); 1];

impl IssuanceMetrics {
    /// The coupon keys in use, as their file has them.
    pub fn coupon_keys(&self, keyring: &CouponKeyring) {
        self.coupon_keys.clear();
        for key_id in keyring.key_ids() {
            self.coupon_keys.get_or_create(&[("key_id", key_id)]).set(1);
        }
        self.active_coupon_key.set(keyring.active_key_id().into());
        self.coupon_keys_file_usable.set(1);
    }

    pub fn issued(&self, replayed: bool) {
        let replayed = if replayed { "true" } else { "false" };
        self.issued.get_or_create(&[("replayed", replayed)]).inc();
    }

    pub fn refused(&self, error: &IssuanceError) {
        if matches!(error, IssuanceError::NotCommitted(NotCommitted::Unknown)) {
            self.unknown_commits.inc();
        }
        let reason = error.refusal().reason.name();
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn holding(&self, lane: Lane, leases: usize, coupons: u64) {
        let label = [("lane", lane.get())];
        self.leases_held.get_or_create(&label).set(leases as i64);
        self.stock_held.get_or_create(&label).set(coupons as i64);
    }
}
