use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tonic::Status;

use crate::refusal::{MAX_METADATA_BYTES, PUSHBACK_HEADER, bytes_of, cut};

const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";
/// Of a message that is too long so much is kept. Sent, it has three times as many bytes at most.
const MAX_MESSAGE_BYTES: usize = 512;
/// A retry needs so long to be sent and answered where machines are busy.
const TIME_FOR_AN_ANSWER: Duration = Duration::from_millis(250);

/// Shortens an answer that clients may not take. The suite's own fit; this is for those that a library makes of what a caller sent.
pub(super) fn fit(headers: &mut HeaderMap) {
    if bytes_of(headers) <= MAX_METADATA_BYTES {
        return;
    }
    let Some(told) = Status::from_header_map(headers) else {
        return;
    };
    let mut message = told.message().to_owned();
    cut(&mut message, MAX_MESSAGE_BYTES);
    headers.remove(MESSAGE);
    headers.remove(DETAILS);
    // A text of so few bytes is a header.
    let _ = Status::new(told.code(), message).add_header(headers);
}

/// Tells gRPC's own retries to leave it if the caller's deadline would come before they could bring anything: all they would do is keep the reason from it.
pub(super) fn tell_in_time(headers: &mut HeaderMap, left: Option<Duration>) {
    let Some(pushback) = headers.get_mut(PUSHBACK_HEADER) else {
        return;
    };
    let told = pushback.to_str().ok().and_then(|ms| ms.parse().ok());
    let (Some(told), Some(left)) = (told.map(Duration::from_millis), left) else {
        return;
    };
    if told + TIME_FOR_AN_ANSWER > left {
        *pushback = HeaderValue::from_static("-1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_says_of_a_callers_text_is_cut_to_what_clients_take() {
        for said in [
            "compressed with ".to_owned() + &"x".repeat(9_000),
            "奶".repeat(3_000),
        ] {
            let mut headers = Status::unimplemented(said.as_str())
                .into_http::<()>()
                .into_parts()
                .0
                .headers;
            assert!(bytes_of(&headers) > MAX_METADATA_BYTES);
            fit(&mut headers);
            assert!(bytes_of(&headers) <= MAX_METADATA_BYTES);
            let told = Status::from_header_map(&headers).unwrap();
            assert_eq!(told.code(), tonic::Code::Unimplemented);
            let kept = told.message().strip_suffix("...").unwrap();
            assert!(said.starts_with(kept) && kept.len() > 100, "{kept}");
        }
    }

    #[test]
    fn a_retry_that_comes_after_the_deadline_is_not_asked_for() {
        let told = |ms: &'static str, left_ms| {
            let mut headers = HeaderMap::new();
            headers.insert(PUSHBACK_HEADER, HeaderValue::from_static(ms));
            tell_in_time(&mut headers, Option::map(left_ms, Duration::from_millis));
            headers[PUSHBACK_HEADER].to_str().unwrap().to_owned()
        };
        assert_eq!(told("700", Some(2_000)), "700");
        assert_eq!(told("700", Some(700)), "-1");
        assert_eq!(told("700", None), "700");
        assert_eq!(told("-1", Some(2_000)), "-1");
    }
}
