//! Keeps all metadata of an answer so small that clients of every language take it.

use std::borrow::Cow;

use tidegate_types::Refusal;
use tonic::Status;

/// All metadata of an answer, counted as HTTP/2 does: names, values and 32 bytes for each header. Clients of some languages report RESOURCE_EXHAUSTED from 8 KiB on, in place of the reason.
pub const MAX_METADATA_BYTES: usize = 4 * 1024;
/// What the headers beside the message and the details come to, with room for those that a proxy adds.
const OTHER_HEADERS_BYTES: usize = 512;
const HEADER_OVERHEAD_BYTES: usize = 32;
const MAX_FIELD_BYTES: usize = 128;
const MAX_DESCRIPTION_BYTES: usize = 200;
/// The fact that is said as well, so that it counts several times.
const SPOKEN_FACT: &str = "detail";
const MAX_SPOKEN_FACT_BYTES: usize = 256;
const FACTS_LEFT_OUT: &str = "facts_left_out";
/// What ends a text that was cut.
const CUT: &str = "...";

/// The status of as much of a refusal as fits: bad fields that do not are counted, and whole facts are left out after them.
pub(super) fn fitting(refusal: &Refusal, status: impl Fn(&Refusal) -> Status) -> Status {
    let cut = with_cut_texts(refusal);
    let whole = status(&cut);
    if fits(&whole) {
        return whole;
    }
    let mut fewer = cut.naming_violations(most_violations(&cut, &status));
    let mut answer = status(&fewer);
    while !fits(&answer) && leave_out_largest_fact(&mut fewer) {
        answer = status(&fewer);
    }
    answer
}

/// How many bad fields can be named: all that fit, and at least one.
fn most_violations(refusal: &Refusal, status: impl Fn(&Refusal) -> Status) -> usize {
    let (mut most, mut too_many) = (1, refusal.violations.len().max(1));
    while too_many - most > 1 {
        let middle = usize::midpoint(most, too_many);
        if fits(&status(&refusal.naming_violations(middle))) {
            most = middle;
        } else {
            too_many = middle;
        }
    }
    most
}

fn leave_out_largest_fact(refusal: &mut Refusal) -> bool {
    let left_out = refusal.fact(FACTS_LEFT_OUT).map_or(Ok(0), str::parse);
    let left_out: usize = left_out.unwrap_or(0);
    let facts = refusal.metadata.iter().enumerate();
    let largest = facts
        .filter(|(_, (key, _))| key != FACTS_LEFT_OUT)
        .max_by_key(|(_, (key, value))| key.len() + value.len());
    let Some((place, _)) = largest else {
        return false;
    };
    refusal.metadata.remove(place);
    refusal.metadata.retain(|(key, _)| key != FACTS_LEFT_OUT);
    let count = (left_out + 1).to_string();
    refusal.metadata.push((FACTS_LEFT_OUT.to_owned(), count));
    true
}

fn with_cut_texts(refusal: &Refusal) -> Cow<'_, Refusal> {
    let is_long = refusal.violations.iter().any(|bad| {
        bad.field.len() > MAX_FIELD_BYTES || bad.description.len() > MAX_DESCRIPTION_BYTES
    }) || refusal
        .fact(SPOKEN_FACT)
        .is_some_and(|fact| fact.len() > MAX_SPOKEN_FACT_BYTES);
    if !is_long {
        return Cow::Borrowed(refusal);
    }
    let mut refusal = refusal.clone();
    for bad in &mut refusal.violations {
        cut(&mut bad.field, MAX_FIELD_BYTES);
        cut(&mut bad.description, MAX_DESCRIPTION_BYTES);
    }
    for (key, value) in &mut refusal.metadata {
        if key == SPOKEN_FACT {
            cut(value, MAX_SPOKEN_FACT_BYTES);
        }
    }
    Cow::Owned(refusal)
}

/// Shortens a text to so many bytes, and shows that it was.
pub(crate) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - CUT.len()));
        text.push_str(CUT);
    }
}

fn fits(status: &Status) -> bool {
    let message = header_bytes("grpc-message", percent_encoded_bytes(status.message()));
    let encoded = (status.details().len() * 4).div_ceil(3);
    let details = header_bytes("grpc-status-details-bin", encoded);
    OTHER_HEADERS_BYTES + message + details <= MAX_METADATA_BYTES
}

fn header_bytes(name: &str, value_bytes: usize) -> usize {
    name.len() + value_bytes + HEADER_OVERHEAD_BYTES
}

/// At most: some signs are sent as they are.
fn percent_encoded_bytes(text: &str) -> usize {
    let bytes = text.bytes();
    bytes
        .map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 })
        .sum()
}

/// What headers come to.
pub(crate) fn bytes_of(headers: &http::HeaderMap) -> usize {
    let headers = headers.iter();
    headers
        .map(|(name, value)| header_bytes(name.as_str(), value.len()))
        .sum()
}
