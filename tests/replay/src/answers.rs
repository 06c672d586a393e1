//! What every answer owes its caller: a reason, both languages, and facts about retrying that agree with each other.

use std::time::Duration;

use serde::Serialize;
use tidegate_proto::{
    gateway::v1::{QueuedClaim, WaitsFor},
    r#type::v1::Reason,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

use crate::queue_wait::ToldPosition;

const DOMAIN: &str = "tidegate";
const LANGUAGES: [&str; 2] = ["zh-CN", "en"];
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The longest wait for which a refusal may be UNAVAILABLE: gRPC's own retries sleep through it.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(5);
/// The contract's limit of a ticket.
const TICKET_LIMIT: usize = 512;

/// Answers that were no coupon and no order, and what was missing from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AnswerCounts {
    pub refusals: u64,
    /// Those that named no reason of the contract.
    pub refusals_without_reason: u64,
    /// Those that lacked words in one of the languages.
    pub refusals_without_words: u64,
    /// Those whose code, reason, `RetryInfo` and pushback disagree about trying again.
    pub refusals_that_contradict_themselves: u64,
    pub queued: u64,
    /// Those that lacked words in one of the languages.
    pub queued_without_words: u64,
    /// Those without a usable ticket, without a time to ask again, or with half an estimate.
    pub queued_that_are_incomplete: u64,
}

impl AnswerCounts {
    /// Takes a refusal in. What did not come from a gateway, such as a connection that broke, is nobody's answer and not counted.
    pub fn refusal(&mut self, status: &Status) {
        if !is_answer(status) {
            return;
        }
        let reason = reason(status);
        self.refusals += 1;
        self.refusals_without_reason += u64::from(reason.is_none());
        let details = status.get_error_details_vec();
        let words = details.iter().filter_map(|detail| match detail {
            ErrorDetail::LocalizedMessage(words) => Some((&*words.locale, &*words.message)),
            _ => None,
        });
        self.refusals_without_words += u64::from(!speaks_both(words));
        self.refusals_that_contradict_themselves +=
            u64::from(reason.is_some_and(|reason| !agrees(status, reason)));
    }

    pub fn queued(&mut self, queued: &QueuedClaim) {
        self.queued += 1;
        let words = queued
            .messages
            .iter()
            .map(|words| (&*words.locale, &*words.message));
        self.queued_without_words += u64::from(!speaks_both(words));
        self.queued_that_are_incomplete += u64::from(!is_complete(queued));
    }
}

/// What a queued answer says, for whoever goes by it.
pub fn told_position(queued: &QueuedClaim) -> ToldPosition {
    ToldPosition {
        position: queued.position,
        longest_wait: duration(queued.longest_wait),
        is_for_stock: queued.waits_for() == WaitsFor::Stock,
    }
}

/// When a queued answer asks its caller to come again.
pub fn poll_after(queued: &QueuedClaim) -> Option<Duration> {
    duration(queued.poll_after)
}

fn duration(duration: Option<prost_types::Duration>) -> Option<Duration> {
    duration?.try_into().ok()
}

fn is_complete(queued: &QueuedClaim) -> bool {
    let ticket = queued.ticket.as_bytes();
    let is_ticket =
        (1..=TICKET_LIMIT).contains(&ticket.len()) && ticket.iter().all(u8::is_ascii_graphic);
    let is_estimate = match (queued.shortest_wait, queued.longest_wait) {
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
        (shortest, longest) => duration(shortest)
            .zip(duration(longest))
            .is_some_and(|(shortest, longest)| shortest <= longest),
    };
    is_ticket && is_estimate && poll_after(queued).is_some()
}

/// A gateway's own answers come with headers or trailers. What this side makes of a broken connection or a deadline has none.
fn is_answer(status: &Status) -> bool {
    !status.metadata().is_empty()
}

fn reason(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info()?;
    let reason = Reason::from_str_name(&format!("REASON_{}", info.reason))?;
    (info.domain == DOMAIN && reason != Reason::Unspecified).then_some(reason)
}

fn speaks_both<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let spoken: Vec<_> = words
        .filter(|(_, message)| !message.trim().is_empty())
        .map(|(language, _)| language)
        .collect();
    LANGUAGES.iter().all(|language| spoken.contains(language))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// Only if it is known when.
    Perhaps,
    Always,
}

fn again(reason: Reason) -> Again {
    match reason {
        Reason::Overloaded | Reason::QueueFull | Reason::StockReturning | Reason::StoreBusy => {
            Again::Always
        }
        Reason::CampaignNotOpen | Reason::OpenOrderLimitReached | Reason::CouponKeyMissing => {
            Again::Always
        }
        // Whoever is behind the stock may come again; whoever came after the last coupon may not.
        Reason::BudgetExhausted
        | Reason::IssuanceHalted
        | Reason::RedemptionHalted
        | Reason::StoreClosed => Again::Perhaps,
        Reason::Unspecified
        | Reason::ShopperLimitReached
        | Reason::CampaignClosed
        | Reason::CampaignBegun
        | Reason::CampaignNotFound
        | Reason::RequestIdConflict
        | Reason::ClaimNotFound
        | Reason::CouponNotFound
        | Reason::CouponRedeemed
        | Reason::CouponExpired
        | Reason::CouponRevoked
        | Reason::OrderNotFound
        | Reason::StoreNotFound
        | Reason::LeaseNotFound
        | Reason::InvalidField
        | Reason::Unauthenticated
        | Reason::OrderTooLate
        | Reason::StoreFailed
        | Reason::PermissionDenied
        | Reason::Misconfigured
        | Reason::ControlEpochConflict
        | Reason::CouponNotApplicable
        | Reason::OrderStateConflict => Again::Never,
    }
}

/// Whether reason, code, `RetryInfo` and pushback say the same about trying again.
fn agrees(status: &Status, reason: Reason) -> bool {
    let details = status.get_details_retry_info();
    let after = details.and_then(|info| info.retry_delay);
    let says_when = after.is_some();
    let is_unavailable = status.code() == Code::Unavailable;
    let pushback: Option<i64> = status
        .metadata()
        .get(PUSHBACK)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // Negative as well where the caller's deadline leaves no time for a retry.
    let pushback = pushback.and_then(|ms| u64::try_from(ms).ok());
    let pushback_agrees = pushback.is_none_or(|ms| {
        is_unavailable && says_when && Duration::from_millis(ms) <= LONGEST_PUSHBACK
    });
    let reason_agrees = match again(reason) {
        Again::Never => !says_when,
        Again::Perhaps => true,
        Again::Always => says_when,
    };
    let code_agrees = !is_unavailable || after.is_some_and(|after| after <= LONGEST_PUSHBACK);
    pushback_agrees && reason_agrees && code_agrees
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tidegate_proto::r#type::v1::LocalizedText;
    use tonic::metadata::MetadataMap;
    use tonic_types::{ErrorInfo, LocalizedMessage, RetryInfo};

    use super::*;

    fn refusal(
        code: Code,
        reason: &str,
        again: Option<Duration>,
        languages: &[&str],
        pushback: i64,
    ) -> Status {
        let mut details: Vec<ErrorDetail> =
            vec![ErrorInfo::new(reason, DOMAIN, HashMap::new()).into()];
        details.extend(again.map(|delay| RetryInfo::new(Some(delay)).into()));
        let words = |language: &&str| LocalizedMessage::new(*language, "words").into();
        details.extend(languages.iter().map(words));
        let mut metadata = MetadataMap::new();
        metadata.insert(PUSHBACK, pushback.into());
        Status::with_error_details_vec_and_metadata(code, "words", details, metadata)
    }

    fn count(status: &Status) -> AnswerCounts {
        let mut counts = AnswerCounts::default();
        counts.refusal(status);
        counts
    }

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));
    const LONG: Option<Duration> = Some(Duration::from_secs(945));
    const SOUND: AnswerCounts = AnswerCounts {
        refusals: 1,
        refusals_without_reason: 0,
        refusals_without_words: 0,
        refusals_that_contradict_themselves: 0,
        queued: 0,
        queued_without_words: 0,
        queued_that_are_incomplete: 0,
    };

    #[test]
    fn a_refusal_that_says_all_is_sound_and_a_broken_connection_is_no_refusal() {
        let overload = refusal(Code::Unavailable, "OVERLOADED", SECOND, &LANGUAGES, 1_000);
        let sell_out = refusal(
            Code::ResourceExhausted,
            "BUDGET_EXHAUSTED",
            None,
            &LANGUAGES,
            -1,
        );
        assert_eq!((count(&overload), count(&sell_out)), (SOUND, SOUND));
        let broken = Status::unavailable("tcp connect error");
        assert_eq!(count(&broken), AnswerCounts::default());
    }

    #[test]
    fn a_refusal_without_a_reason_or_without_a_language_is_counted() {
        let unknown = refusal(Code::Unavailable, "BECAUSE", SECOND, &LANGUAGES, 1_000);
        assert_eq!(count(&unknown).refusals_without_reason, 1);
        let english = refusal(Code::Unavailable, "OVERLOADED", SECOND, &["en"], 1_000);
        assert_eq!(count(&english).refusals_without_words, 1);
    }

    #[test]
    fn a_refusal_that_says_two_things_about_trying_again_is_counted() {
        let contradictions = [
            ("OVERLOADED", Code::Unavailable, None, -1),
            ("CAMPAIGN_CLOSED", Code::FailedPrecondition, SECOND, 1_000),
            ("OVERLOADED", Code::Unavailable, LONG, -1),
            ("OVERLOADED", Code::Unavailable, SECOND, 15_000),
            ("STORE_BUSY", Code::FailedPrecondition, LONG, 945_000),
            ("BUDGET_EXHAUSTED", Code::ResourceExhausted, None, 5),
            ("CAMPAIGN_NOT_OPEN", Code::FailedPrecondition, None, -1),
        ];
        for (reason, code, again, pushback) in contradictions {
            let counts = count(&refusal(code, reason, again, &LANGUAGES, pushback));
            assert_eq!(
                counts.refusals_that_contradict_themselves, 1,
                "{reason} {again:?} {pushback}"
            );
        }
        let halted = |again, pushback| {
            let code = Code::FailedPrecondition;
            refusal(code, "ISSUANCE_HALTED", again, &LANGUAGES, pushback)
        };
        assert_eq!(
            (count(&halted(SECOND, -1)), count(&halted(None, -1))),
            (SOUND, SOUND)
        );
    }

    #[test]
    fn a_place_owes_a_ticket_a_time_to_ask_again_a_whole_estimate_and_words() {
        let words = LANGUAGES.map(|language| LocalizedText {
            locale: language.to_owned(),
            message: "words".to_owned(),
        });
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let sound = QueuedClaim {
            ticket: "a-ticket".to_owned(),
            position: Some(7),
            shortest_wait: seconds(1),
            longest_wait: seconds(3),
            poll_after: seconds(1),
            messages: words.to_vec(),
            waits_for: WaitsFor::Turn.into(),
        };
        let faults = |queued: QueuedClaim| {
            let mut counts = AnswerCounts::default();
            counts.queued(&queued);
            (
                counts.queued_that_are_incomplete,
                counts.queued_without_words,
            )
        };
        assert_eq!(faults(sound.clone()), (0, 0));
        let change = |change: fn(&mut QueuedClaim)| {
            let mut queued = sound.clone();
            change(&mut queued);
            faults(queued)
        };
        assert_eq!(change(|queued| queued.ticket.clear()), (1, 0));
        assert_eq!(change(|queued| queued.ticket.push('\n')), (1, 0));
        assert_eq!(change(|queued| queued.poll_after = None), (1, 0));
        assert_eq!(change(|queued| queued.shortest_wait = None), (1, 0));
        let swap = |queued: &mut QueuedClaim| {
            std::mem::swap(&mut queued.shortest_wait, &mut queued.longest_wait);
        };
        assert_eq!(change(swap), (1, 0));
        assert_eq!(change(|queued| queued.messages.truncate(1)), (0, 1));
    }
}
