use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tidegate_auth::{Caller, Identity, TokenVerifier};
use tidegate_types::{Reason, Refusal};
use tonic::Status;

use super::{
    answer::Answer,
    call::{Call, Incoming},
    caller_rates::CallerRates,
    concern::Concern,
    limits::Limits,
    ready::ReadyRefusal,
    rule::Rule,
    spans, status,
    work::Work,
};
use crate::refusal::{self, ASKED_TOO_OFTEN};

/// The rules of one service, with what is needed to apply them: who may call what, and how much of it.
pub struct AccessRules {
    rules: HashMap<&'static str, Rule>,
    tokens: Option<Arc<TokenVerifier>>,
    token_peers: Option<Identity>,
    limits: Limits,
    callers: CallerRates,
}

/// Open to every connection: load balancers and tools look here before they have a token.
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";
pub(super) const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION_PREFIX: &str = "/grpc.reflection.";

const NO_SUCH_METHOD: &str = "there is no such method; reflection lists those there are";
const RETRY_WHEN_TOO_OFTEN: Duration = Duration::from_secs(1);

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

/// Refuses who may not call.
#[derive(Clone)]
pub(super) struct AccessControl {
    too_often: Arc<ReadyRefusal>,
}

impl AccessControl {
    pub(super) fn new() -> Self {
        let too_often = Refusal::after(Reason::Overloaded, RETRY_WHEN_TOO_OFTEN)
            .with("detail", ASKED_TOO_OFTEN)
            .with("who", "caller");
        Self {
            too_often: Arc::new(ReadyRefusal::new(&too_often)),
        }
    }
}

impl Concern for AccessControl {
    type Open = ();

    fn begin<I: Incoming>(&self, call: &Call<I>) -> Result<(), Box<I::Answer>> {
        let answer = match &call.access {
            Access::ToService | Access::ToCaller(_) | Access::ToAll => return Ok(()),
            Access::TooOften => self.too_often.answer(),
            Access::Refused(refusal) => I::Answer::of(refusal::to_status(refusal)),
            Access::NoSuchMethod => I::Answer::of(Status::unimplemented(NO_SUCH_METHOD)),
        };
        Err(spans::refused(call, answer))
    }

    fn end<A: Answer>((): (), answer: A) -> A {
        answer
    }
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
        let rules = rules.iter().chain(status::RULES);
        Self {
            rules: rules.map(|rule| (rule.path, *rule)).collect(),
            tokens,
            token_peers,
            callers: CallerRates::new(limits.caller_rate_per_second),
            limits,
        }
    }

    /// The same rules with these limits.
    pub fn limited(self, limits: Limits) -> Self {
        Self {
            callers: CallerRates::new(limits.caller_rate_per_second),
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
        authorization: Option<&str>,
        now: Instant,
    ) -> (&'static str, Work, Access) {
        match self.rules.get(path) {
            Some(rule) => (
                rule.path.trim_start_matches('/'),
                rule.work,
                self.apply(rule, peer, authorization, now),
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
        authorization: Option<&str>,
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
        match tokens.verify(authorization, SystemTime::now()) {
            Ok(caller) if caller.has(scope) => {
                if self.callers.allow(&caller.subject, now) {
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
