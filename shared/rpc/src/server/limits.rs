use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tidegate_auth::{Caller, Scope};
use tidegate_types::RequestId;

use super::{
    access::Rule,
    rate::{Rate, RateBucket},
};

/// Calls that one token's subject may make each second unless another rate is set: a chatbot backend speaks for millions of shoppers.
const DEFAULT_CALLER_RATE_PER_SECOND: u32 = 50_000;
/// After a pause a caller may make as many calls at once as in this many seconds.
const CALLER_BURST_SECONDS: u32 = 2;
/// Callers whose rate is counted at once; who comes back after being forgotten starts with a full burst.
const MAX_CALLERS: u64 = 10_000;
/// Health checks and reflection in flight at once.
const MAX_PROBES: usize = 200;

/// What a call is about. Each kind has places of its own, so that a crowd of one kind keeps no other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Placing and cancelling orders, and using coupons for them.
    Orders,
    /// Claiming coupons.
    Claims,
    /// Reading what there is.
    Browsing,
    /// What staff do.
    Staff,
    /// What services ask of each other.
    Inner,
    /// Health and reflection. They do not count among the others: a process that is full is not ill.
    Probes,
}

impl Work {
    pub(super) const ALL: [Self; 6] = [
        Self::Orders,
        Self::Claims,
        Self::Browsing,
        Self::Staff,
        Self::Inner,
        Self::Probes,
    ];
    pub(super) const KINDS: usize = Self::ALL.len();

    /// The kind of an RPC, by what a token must allow for it.
    pub(super) fn of(rule: &Rule) -> Self {
        match rule.scope {
            None => Self::Inner,
            Some(Scope::OrdersWrite) => Self::Orders,
            Some(Scope::ClaimsWrite) => Self::Claims,
            Some(Scope::WalletRead | Scope::OrdersRead) => Self::Browsing,
            Some(
                Scope::CampaignsRead
                | Scope::CampaignsWrite
                | Scope::CouponsWrite
                | Scope::StoresRead
                | Scope::StoresWrite
                | Scope::OrdersFulfil
                | Scope::FeedRead,
            ) => Self::Staff,
        }
    }
}

/// How much of each kind of work is in flight at once, and how often one caller may call.
pub struct Limits {
    most: [usize; Work::KINDS],
    caller_rate: Rate,
    others: Vec<(&'static str, Work)>,
}

impl Default for Limits {
    /// No kind has a limit but that of all kinds together.
    fn default() -> Self {
        let limits = Self {
            most: [usize::MAX; Work::KINDS],
            caller_rate: caller_rate(DEFAULT_CALLER_RATE_PER_SECOND),
            others: Vec::new(),
        };
        limits.at_most(Work::Probes, MAX_PROBES)
    }
}

impl Limits {
    /// Bounds one kind of work.
    pub fn at_most(mut self, work: Work, in_flight: usize) -> Self {
        self.most[work as usize] = in_flight;
        self
    }

    /// Bounds how often each caller may call.
    pub fn caller_rate(self, per_second: u32) -> Self {
        Self {
            caller_rate: caller_rate(per_second),
            ..self
        }
    }

    /// Says what an RPC is about that services call by their certificate alone, so that no scope tells.
    pub fn with_work(mut self, work: Work, paths: &[&'static str]) -> Self {
        self.others.extend(paths.iter().map(|path| (*path, work)));
        self
    }

    pub(super) fn work_of(&self, rule: &Rule) -> Work {
        let said = self.others.iter().find(|(path, _)| *path == rule.path);
        said.map_or_else(|| Work::of(rule), |(_, work)| *work)
    }

    pub(super) fn most(&self, work: Work) -> usize {
        self.most[work as usize]
    }

    pub(super) fn callers(&self) -> CallerRates {
        CallerRates {
            rate: self.caller_rate,
            buckets: Cache::new(MAX_CALLERS),
            began: Instant::now(),
        }
    }
}

fn caller_rate(per_second: u32) -> Rate {
    Rate::new(per_second, per_second.saturating_mul(CALLER_BURST_SECONDS))
}

/// Counts the calls of each token's subject, over however many tokens and connections they come.
pub(super) struct CallerRates {
    rate: Rate,
    buckets: Cache<RequestId, Arc<RateBucket>>,
    began: Instant,
}

impl CallerRates {
    /// Whether the caller may make one more call at `now`.
    pub(super) fn allow(&self, caller: &Caller, now: Instant) -> bool {
        let bucket = self
            .buckets
            .get_with_by_ref(&caller.subject, Arc::<RateBucket>::default);
        let now: Duration = now.saturating_duration_since(self.began);
        bucket.take(self.rate, now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDEEM: &str = "/tidegate.issuance.v1.IssuanceService/RedeemCoupons";

    fn rule(path: &'static str, scope: Option<Scope>) -> Rule {
        Rule {
            path,
            services: &[],
            scope,
        }
    }

    #[test]
    fn the_scope_tells_the_kind_of_work_unless_it_is_said() {
        let limits = Limits::default().with_work(Work::Orders, &[REDEEM]);
        let work = |path, scope| limits.work_of(&rule(path, scope));
        assert_eq!(work("/claim", Some(Scope::ClaimsWrite)), Work::Claims);
        assert_eq!(work("/seal", None), Work::Inner);
        assert_eq!(work(REDEEM, None), Work::Orders);
    }

    #[test]
    fn a_kind_without_a_bound_has_only_that_of_the_whole() {
        let limits = Limits::default().at_most(Work::Claims, 3);
        assert_eq!(limits.most(Work::Claims), 3);
        assert_eq!(limits.most(Work::Orders), usize::MAX);
        assert_eq!(limits.most(Work::Probes), MAX_PROBES);
    }
}
