use super::*;
use tidegate_types::Violations;

fn delay_in(status: &Status) -> Duration {
    let told = status.get_details_retry_info().unwrap();
    told.retry_delay.unwrap()
}

#[test]
fn retry_delays_are_at_least_what_was_asked_and_spread() {
    let refusal = Refusal::after(Reason::Overloaded, Duration::from_millis(100));
    let delays: Vec<_> = (0..50).map(|_| delay_in(&to_status(&refusal))).collect();
    assert!(
        delays
            .iter()
            .all(|delay| (100..=150).contains(&delay.as_millis())),
        "{delays:?}"
    );
    assert!(delays.iter().any(|delay| *delay != delays[0]));
}

/// The longest moment that is said.
fn late() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_nanos(1_999_999_999_999_999_999)
}

fn header_bytes(status: Status) -> usize {
    let mut headers = status.into_http::<()>().into_parts().0.headers;
    headers.insert(
        crate::TRACE_ID_HEADER,
        "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
    );
    bytes_of(&headers)
}

/// What every kind of fact may hold at its worst, as far as its maker is bounded.
fn worst_facts(refusal: Refusal) -> Refusal {
    let moment = "2026-02-06T12:00:00.999999999Z";
    let names = ["\""; 64].concat();
    refusal
        .with("opens_at", moment)
        .with("resume_at", moment)
        .with("next_slot_at", moment)
        .with("detail", "奶 \" ".repeat(400))
        .with("suggested_stores", format!("{{{names}\\}}").repeat(10))
        .with("areas", format!("{names} ").repeat(10))
        .with("stores", format!("{names} ").repeat(10))
        .with("ticket_kept", true)
        .with("state", "IN_PREPARATION")
        .with_held_coupons(tidegate_types::HeldCoupons {
            usable: false,
            valid_until: Some(late()),
        })
}

fn languages(status: &Status) -> Vec<String> {
    let details = status.get_error_details_vec().into_iter();
    let languages = details.filter_map(|detail| match detail {
        ErrorDetail::LocalizedMessage(words) => Some(words.locale),
        _ => None,
    });
    languages.collect()
}

#[test]
fn every_reason_fits_into_the_metadata_that_clients_take_whatever_its_facts_are() {
    let longest = Duration::from_secs(400 * 86_400);
    for reason in Reason::ALL {
        let refusals = [
            Refusal::never(*reason),
            Refusal::after(*reason, longest),
            Refusal::at(*reason, late()),
        ];
        for refusal in refusals
            .into_iter()
            .flat_map(|plain| [plain.clone(), worst_facts(plain)])
        {
            let status = to_status(&refusal);
            assert_eq!(reason_of(&status), Some(*reason));
            assert_eq!(languages(&status), ["zh-CN", "en"], "{reason}");
            let bytes = header_bytes(status);
            assert!(bytes <= MAX_METADATA_BYTES, "{reason}: {bytes}");
        }
    }
    assert!(header_bytes(defect()) <= MAX_METADATA_BYTES);
}

#[test]
fn whole_facts_are_left_out_and_counted_where_they_do_not_fit() {
    let refusal = worst_facts(Refusal::never(Reason::CouponNotApplicable));
    let told = from_status(&to_status(&refusal));
    let left_out: usize = told.fact("facts_left_out").unwrap().parse().unwrap();
    assert_eq!(told.metadata.len() - 1 + left_out, refusal.metadata.len());
    assert!(told.fact("opens_at").is_some(), "{told:?}");
}

/// The paths of all fields below a message, each at the last place of what is repeated.
fn paths(set: &prost_types::FileDescriptorSet, message: &str, depth: usize) -> Vec<String> {
    let messages = set.file.iter().flat_map(|file| {
        let package = file.package().to_owned();
        let messages = file.message_type.iter();
        messages.map(move |message| (format!(".{package}.{}", message.name()), message))
    });
    let Some((_, found)) = messages.into_iter().find(|(name, _)| name == message) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for field in &found.field {
        let is_many = field.label() == prost_types::field_descriptor_proto::Label::Repeated;
        let name = format!("{}{}", field.name(), if is_many { "[999]" } else { "" });
        let below = if depth == 0 {
            Vec::new()
        } else {
            paths(set, field.type_name(), depth - 1)
        };
        all.push(name.clone());
        all.extend(below.into_iter().map(|path| format!("{name}.{path}")));
    }
    all
}

#[test]
fn the_bad_fields_of_every_call_fit_and_those_that_do_not_are_counted() {
    use prost::Message as _;

    let set = prost_types::FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let mut walked = 0;
    for method in services.flat_map(|service| &service.method) {
        let paths = paths(&set, method.input_type(), 4);
        // As many as a hostile request can have, and described at length.
        for description in [
            "must be from 1 to 10000000".to_owned(),
            "奶 \"茶\" ".repeat(60),
        ] {
            for count in [1, paths.len(), 32, 50, 500] {
                let mut bad = Violations::default();
                let mut all = paths
                    .iter()
                    .cycle()
                    .take(if paths.is_empty() { 0 } else { count });
                all.by_ref().for_each(|path| bad.add(path, &description));
                let refusal = Refusal::invalid(bad);
                let status = to_status(&refusal);
                let told = from_status(&status);
                let noted = if paths.is_empty() { 0 } else { count };
                assert_eq!(told.violations.len() + told.violations_left_out(), noted);
                assert!(noted == 0 || !told.violations.is_empty());
                if noted > told.violations.len() {
                    assert!(status.message().contains(" more."), "{}", status.message());
                }
                let bytes = header_bytes(status);
                assert!(bytes <= MAX_METADATA_BYTES, "{}: {bytes}", method.name());
                walked += 1;
            }
        }
    }
    assert!(walked > 300, "{walked}");
}

#[test]
fn ten_bad_fields_of_an_order_are_all_named() {
    let mut bad = Violations::default();
    for place in 0..10 {
        bad.add(
            format_args!("lines[{place}].unit_price.currency_code"),
            "must be three upper-case letters",
        );
    }
    let refusal = Refusal::invalid(bad);
    let status = to_status(&refusal);
    assert_eq!(status.code(), Code::InvalidArgument);
    let told = from_status(&status);
    assert_eq!(told.violations, refusal.violations);
    assert_eq!(told.violations_left_out(), 0);
}

#[test]
fn only_what_a_retry_within_seconds_may_mend_is_unavailable() {
    for reason in Reason::ALL {
        for seconds in [0, 1, 3, 5, 6, 945] {
            let wait = Duration::from_secs(seconds);
            for refusal in [
                Refusal::after(*reason, wait),
                Refusal::at(*reason, Timestamp::now_utc() + wait),
            ] {
                let status = to_status(&refusal);
                let told = delay_in(&status);
                let pushback = status.metadata().get(PUSHBACK_HEADER).unwrap();
                let pushback: i64 = pushback.to_str().unwrap().parse().unwrap();
                if status.code() == Code::Unavailable {
                    assert!(told <= MAX_PUSHBACK, "{reason} {told:?}");
                    assert_eq!(u128::try_from(pushback), Ok(told.as_millis()));
                } else {
                    assert_eq!(pushback, -1, "{reason}");
                }
                let told_of_whole = told.as_secs_f64().round() as u64;
                assert!(
                    told_of_whole >= seconds.saturating_sub(1),
                    "{reason} {told:?}"
                );
            }
        }
        let never = to_status(&Refusal::never(*reason));
        assert_eq!(never.metadata().get(PUSHBACK_HEADER).unwrap(), "-1");
        assert!(never.get_details_retry_info().is_none(), "{reason}");
        let is_exhausted = *reason == Reason::BudgetExhausted;
        assert_eq!(never.get_details_quota_failure().is_some(), is_exhausted);
    }
    assert_eq!(
        code_of(Reason::BudgetExhausted, None),
        Code::ResourceExhausted
    );
    let code = |reason, seconds| code_of(reason, Some(Duration::from_secs(seconds)));
    for reason in [Reason::StoreBusy, Reason::StoreClosed] {
        assert_eq!(code(reason, 1), Code::FailedPrecondition);
    }
    for reason in [
        Reason::Overloaded,
        Reason::QueueFull,
        Reason::StockReturning,
    ] {
        assert_eq!(code(reason, 5), Code::Unavailable);
        assert_eq!(code(reason, 30), Code::FailedPrecondition);
    }
}
