use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use http::HeaderMap;
use tidegate_auth::{Caller, Identity, TokenVerifier};
use tidegate_types::{Reason, Refusal};

use super::{
    limits::{CallerRates, Limits, Work},
    rule::Rule,
    status,
};

/// The rules of one service, with what is needed to apply them: who may call what, and how much of it.
pub struct AccessRules {
    rules: HashMap<&'static str, (Rule, Work)>,
    tokens: Option<Arc<TokenVerifier>>,
    token_peers: Option<Identity>,
    limits: Limits,
    callers: CallerRates,
}

/// Open to every connection: load balancers and tools look here before they have a token.
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";
pub(super) const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION_PREFIX: &str = "/grpc.reflection.";

/// How metrics name what is open to all.
const PROBE: &str = "health or reflection";

/// What came of applying the rules.
pub(super) enum Access {
    /// Go on: a service of the suite, by its certificate.
    ToService,
    /// Go on: a caller, by its token.
    ToCaller(Arc<Caller>),
    /// Go on: whoever it is.
    ToAll,
    /// There is no such RPC.
    NoSuchMethod,
    /// The token's subject calls more often than it may.
    TooOften,
    /// Refused.
    Refused(Refusal),
}

impl AccessRules {
    /// Rules for a service that takes no tokens.
    pub fn services_only(rules: &[Rule]) -> Self {
        Self::new(rules, None, None)
    }

    /// Rules for a service that takes tokens. If `token_peers` is set, a token counts only over a connection of that identity.
    pub fn with_tokens(
        rules: &[Rule],
        tokens: Arc<TokenVerifier>,
        token_peers: Option<Identity>,
    ) -> Self {
        Self::new(rules, Some(tokens), token_peers)
    }

    fn new(
        rules: &[Rule],
        tokens: Option<Arc<TokenVerifier>>,
        token_peers: Option<Identity>,
    ) -> Self {
        let limits = Limits::default();
        let rules = rules
            .iter()
            .chain(&status::RULES)
            .map(|rule| (rule.path, (*rule, limits.work_of(rule))));
        Self {
            rules: rules.collect(),
            tokens,
            token_peers,
            callers: limits.callers(),
            limits,
        }
    }

    /// The same rules with these limits.
    pub fn limited(mut self, limits: Limits) -> Self {
        for (rule, work) in self.rules.values_mut() {
            *work = limits.work_of(rule);
        }
        Self {
            callers: limits.callers(),
            limits,
            ..self
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the one who calls decides that a story is recorded: a service always, a caller now and then, a stranger never.
    pub(super) fn may_decide_to_record(&self, access: &Access, now: Instant) -> bool {
        match access {
            Access::ToService => true,
            Access::ToCaller(caller) => self.callers.may_decide(&caller.subject, now),
            Access::ToAll | Access::NoSuchMethod | Access::TooOften | Access::Refused(_) => false,
        }
    }

    /// The method's name for metrics and spans, from the closed set of those there are, what it is about, and whether the call may go on.
    pub(super) fn check(
        &self,
        path: &str,
        peer: Option<Identity>,
        headers: &HeaderMap,
        now: Instant,
    ) -> (&'static str, Work, Access) {
        match self.rules.get(path) {
            Some((rule, work)) => (
                rule.path.trim_start_matches('/'),
                *work,
                self.apply(rule, peer, headers, now),
            ),
            None if path == HEALTH_WATCH || path.starts_with(REFLECTION_PREFIX) => {
                let work = match peer {
                    Some(_) => Work::ProbeStreams,
                    None => Work::StrangerStreams,
                };
                (PROBE, work, Access::ToAll)
            }
            None if path.starts_with(HEALTH_PREFIX) => (PROBE, Work::Probes, Access::ToAll),
            None => ("no such method", Work::Inner, Access::NoSuchMethod),
        }
    }

    fn apply(
        &self,
        rule: &Rule,
        peer: Option<Identity>,
        headers: &HeaderMap,
        now: Instant,
    ) -> Access {
        if peer.is_some_and(|peer| rule.services.contains(&peer)) {
            return Access::ToService;
        }
        let (Some(tokens), Some(scope)) = (&self.tokens, rule.scope) else {
            return denied("this certificate may not make this call");
        };
        if self
            .token_peers
            .is_some_and(|required| peer != Some(required))
        {
            return denied("this certificate may not make this call");
        }
        let authorization = headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match tokens.verify(authorization, SystemTime::now()) {
            Ok(caller) if caller.has(scope) => {
                if self.callers.allow(&caller, now) {
                    Access::ToCaller(caller)
                } else {
                    Access::TooOften
                }
            }
            Ok(_) => denied(format!("the token lacks the scope {}", scope.name())),
            Err(error) => {
                Access::Refused(Refusal::never(Reason::Unauthenticated).with("detail", error))
            }
        }
    }
}

fn denied(detail: impl std::fmt::Display) -> Access {
    Access::Refused(Refusal::never(Reason::PermissionDenied).with("detail", detail))
}
