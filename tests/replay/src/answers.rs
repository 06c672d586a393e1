//! What every answer owes its caller: a reason, both languages, and facts about retrying that agree with each other.

use std::time::Duration;

use tidegate_proto::{gateway::v1::QueuedClaim, r#type::v1::Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

use crate::audit::Finding;

const DOMAIN: &str = "tidegate";
const LANGUAGES: [&str; 2] = ["zh-CN", "en"];
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The longest wait for which a refusal may be UNAVAILABLE: gRPC's own retries sleep through it.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(5);
const TICKET_LIMIT: usize = 512;

/// What is to be counted of a refusal. What did not come from a gateway, such as a connection that broke, is nobody's answer and not counted.
pub fn refusal(status: &Status) -> Finding {
    if !is_answer(status) {
        return Finding::default();
    }
    let reason = reason(status);
    let details = status.get_error_details_vec();
    let words = details.iter().filter_map(|detail| match detail {
        ErrorDetail::LocalizedMessage(words) => Some((&*words.locale, &*words.message)),
        _ => None,
    });
    let contradicts = reason.is_some_and(|reason| !agrees(status, reason));
    Finding::of([
        ("refusals", 1),
        ("wrong_refusals_without_a_reason", reason.is_none().into()),
        (
            "wrong_refusals_without_both_languages",
            (!speaks_both(words)).into(),
        ),
        (
            "wrong_refusals_that_contradict_themselves",
            contradicts.into(),
        ),
    ])
}

pub fn queued(queued: &QueuedClaim) -> Finding {
    let messages = queued.messages.iter();
    let words = messages.map(|words| (&*words.locale, &*words.message));
    Finding::of([
        ("places_told", 1),
        (
            "wrong_places_without_both_languages",
            (!speaks_both(words)).into(),
        ),
        (
            "wrong_places_that_are_incomplete",
            (!is_complete(queued)).into(),
        ),
    ])
}

pub fn poll_after(queued: &QueuedClaim) -> Option<Duration> {
    duration(queued.poll_after)
}

pub(crate) fn duration(duration: Option<prost_types::Duration>) -> Option<Duration> {
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
        Reason::Overloaded
        | Reason::QueueFull
        | Reason::StockReturning
        | Reason::StoreBusy
        | Reason::CampaignNotOpen
        | Reason::OpenOrderLimitReached
        | Reason::CouponKeyMissing => Again::Always,
        // Whoever is behind the stock may come again; whoever came after the last coupon may not.
        Reason::BudgetExhausted
        | Reason::IssuanceHalted
        | Reason::RedemptionHalted
        | Reason::StoreClosed => Again::Perhaps,
        // Nothing else may name a time: what is to is named above.
        _ => Again::Never,
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

    use tidegate_proto::{gateway::v1::WaitsFor, r#type::v1::LocalizedText};
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

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));
    const LONG: Option<Duration> = Some(Duration::from_secs(945));

    fn faults(status: &Status) -> Vec<String> {
        let counts = super::refusal(status);
        assert_eq!(counts.count("refusals"), Some(1));
        counts.wrong().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_refusal_that_says_all_is_sound_and_a_broken_connection_is_no_refusal() {
        let halted = |again| {
            let code = Code::FailedPrecondition;
            refusal(code, "ISSUANCE_HALTED", again, &LANGUAGES, -1)
        };
        let sold_out = Code::ResourceExhausted;
        for sound in [
            refusal(Code::Unavailable, "OVERLOADED", SECOND, &LANGUAGES, 1_000),
            refusal(sold_out, "BUDGET_EXHAUSTED", None, &LANGUAGES, -1),
            halted(SECOND),
            halted(None),
        ] {
            assert_eq!(faults(&sound), [""; 0], "{sound}");
        }
        let broken = Status::unavailable("tcp connect error");
        assert_eq!(super::refusal(&broken), Finding::default());
    }

    #[test]
    fn a_refusal_without_a_reason_or_without_a_language_is_counted() {
        let unknown = refusal(Code::Unavailable, "BECAUSE", SECOND, &LANGUAGES, 1_000);
        assert_eq!(faults(&unknown), ["wrong_refusals_without_a_reason"]);
        let english = refusal(Code::Unavailable, "OVERLOADED", SECOND, &["en"], 1_000);
        assert_eq!(faults(&english), ["wrong_refusals_without_both_languages"]);
    }

    #[test]
    fn a_refusal_that_says_two_things_about_trying_again_is_counted() {
        for (reason, code, again, pushback) in [
            ("OVERLOADED", Code::Unavailable, None, -1),
            ("CAMPAIGN_CLOSED", Code::FailedPrecondition, SECOND, 1_000),
            ("OVERLOADED", Code::Unavailable, LONG, -1),
            ("OVERLOADED", Code::Unavailable, SECOND, 15_000),
            ("STORE_BUSY", Code::FailedPrecondition, LONG, 945_000),
            ("BUDGET_EXHAUSTED", Code::ResourceExhausted, None, 5),
            ("CAMPAIGN_NOT_OPEN", Code::FailedPrecondition, None, -1),
        ] {
            let found = faults(&refusal(code, reason, again, &LANGUAGES, pushback));
            let contradiction = "wrong_refusals_that_contradict_themselves";
            assert_eq!(found, [contradiction], "{reason} {again:?} {pushback}");
        }
    }

    fn seconds_of(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn a_place_owes_a_ticket_a_time_to_ask_again_a_whole_estimate_and_words() {
        let words = LANGUAGES.map(|language| LocalizedText {
            locale: language.to_owned(),
            message: "words".to_owned(),
        });
        let sound = QueuedClaim {
            ticket: "a-ticket".to_owned(),
            position: Some(7),
            shortest_wait: seconds_of(1),
            longest_wait: seconds_of(3),
            poll_after: seconds_of(1),
            messages: words.to_vec(),
            waits_for: WaitsFor::Turn.into(),
        };
        let incomplete = "wrong_places_that_are_incomplete";
        let wordless = "wrong_places_without_both_languages";
        type Change = fn(&mut QueuedClaim);
        let changes: [(Change, &[&str]); 7] = [
            (|_| (), &[]),
            (|queued| queued.ticket.clear(), &[incomplete]),
            (|queued| queued.ticket.push('\n'), &[incomplete]),
            (|queued| queued.poll_after = None, &[incomplete]),
            (|queued| queued.shortest_wait = None, &[incomplete]),
            (|queued| queued.longest_wait = seconds_of(0), &[incomplete]),
            (|queued| queued.messages.truncate(1), &[wordless]),
        ];
        for (change, expected) in changes {
            let mut place = sound.clone();
            change(&mut place);
            let counts = queued(&place);
            let found: Vec<_> = counts.wrong().map(|(name, _)| name).collect();
            assert_eq!(found, expected, "{place:?}");
        }
    }
}
