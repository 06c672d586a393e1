mod collectors;
mod queues;

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use tidegate_telemetry::Registry;
use tidegate_types::Reason;

use self::{
    collectors::{AuditCollector, LastAudit, WatchCollector},
    queues::{QueueCollector, ShownQueues},
};
use crate::{
    domain::{AuditOutcome, SealedBecause},
    watch::Watch,
};

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

#[derive(Clone, Default)]
pub struct Metrics {
    leases_granted: Counter,
    leases_settled: Counter,
    coupons_leased: Counter,
    coupons_settled: Counter,
    coupons_returned: Counter,
    pub(crate) leases_archived: Counter,
    pub(crate) leases_forgotten: Counter,
    refusals: Labelled,
    leases_reclaimed: Labelled,
    pub(crate) reclaim_failures: Counter,
    pub(crate) silent_holders: Gauge,
    audit_runs: Labelled,
    pub(crate) audits_here: Gauge,
    pub(crate) last_audit: LastAudit,
    pub(crate) shown_queues: ShownQueues,
}

impl Metrics {
    pub fn register(registry: &mut Registry, watch: Watch) -> Self {
        let metrics = Self::default();
        metrics.register_leases(registry);
        let help = "Calls refused, by reason";
        registry.register("tidegate_refusals", help, metrics.refusals.clone());
        let help = "Audits of one campaign by this replica's auditor, by outcome: sound, partial (what was covered is sound), different or failed";
        registry.register("tidegate_audit_runs", help, metrics.audit_runs.clone());
        let help = "1 while it is this replica's turn to audit; one replica at a time has it";
        registry.register("tidegate_audits_here", help, metrics.audits_here.clone());
        registry.register_collector(Box::new(AuditCollector(metrics.last_audit.clone())));
        registry.register_collector(Box::new(QueueCollector {
            queues: metrics.shown_queues.clone(),
            watch: watch.clone(),
        }));
        registry.register_collector(Box::new(WatchCollector(watch)));
        metrics
    }

    fn register_leases(&self, registry: &mut Registry) {
        let mut count = |name, help, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        let help = "Leases granted, repeats not counted";
        count("tidegate_leases_granted", help, &self.leases_granted);
        let help = "Leases settled, repeats not counted";
        count("tidegate_leases_settled", help, &self.leases_settled);
        let help = "Coupons moved from the pool to leases";
        count("tidegate_coupons_leased", help, &self.coupons_leased);
        let help = "Coupons of settled leases that were used";
        count("tidegate_coupons_settled", help, &self.coupons_settled);
        let help = "Coupons of settled leases that went back to the pool";
        count("tidegate_coupons_returned", help, &self.coupons_returned);
        let help = "Settled leases that this replica archived";
        count("tidegate_leases_archived", help, &self.leases_archived);
        let help = "Leases of retired campaigns that this replica forgot";
        count("tidegate_leases_forgotten", help, &self.leases_forgotten);
        let help = "Rounds in which some lease could not be taken back; its stock stays on lease";
        count("tidegate_reclaim_failures", help, &self.reclaim_failures);
        let reclaimed = self.leases_reclaimed.clone();
        let help = "Leases this replica sealed and settled without their holder, by why";
        registry.register("tidegate_leases_reclaimed", help, reclaimed);
        let help = "Holders of leases that give no sign of life";
        registry.register("tidegate_silent_holders", help, self.silent_holders.clone());
    }

    pub(crate) fn leased(&self, coupons: u64) {
        self.leases_granted.inc();
        self.coupons_leased.inc_by(coupons);
    }

    pub(crate) fn settled(&self, used: u64, returned: u64) {
        self.leases_settled.inc();
        self.coupons_settled.inc_by(used);
        self.coupons_returned.inc_by(returned);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let label = [("reason", reason.name())];
        self.refusals.get_or_create(&label).inc();
    }

    pub(crate) fn reclaimed(&self, because: SealedBecause) {
        let label = [("because", because.name())];
        self.leases_reclaimed.get_or_create(&label).inc();
    }

    pub(crate) fn audited(&self, outcome: AuditOutcome) {
        let label = [("outcome", outcome.name())];
        self.audit_runs.get_or_create(&label).inc();
    }
}
