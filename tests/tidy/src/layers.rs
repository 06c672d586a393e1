//! Arrows inside a service run one way: `main → lib → grpc → use cases → {domain, store}`.

use crate::{
    Repository,
    rust::{Source, delivered},
};

/// What the wire is made of, and what the database is.
const WIRE: &str = "tonic tonic_types prost prost_types tidegate_proto crate::grpc";
const DATABASE: &str = "sqlx tidegate_pg crate::store";
/// The functions that make a `tonic::Status`.
const STATUS_MAKERS: &str = "new with_details with_metadata with_details_and_metadata from_error ok cancelled unknown invalid_argument \
    deadline_exceeded not_found already_exists permission_denied resource_exhausted failed_precondition aborted out_of_range \
    unimplemented internal unavailable data_loss unauthenticated";

/// The layer of a service that a file belongs to: the first name inside its `src`.
fn layer(path: &str) -> Option<&str> {
    let (_, inside) = path.strip_prefix("services/")?.split_once("/src/")?;
    inside.split(['/', '.']).next()
}

/// Names that point against the arrows.
pub fn against_the_arrows(repository: &Repository) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, source) in delivered(repository) {
        let Some(layer) = layer(path) else { continue };
        let forbidden = match layer {
            "main" | "lib" | "grpc" => continue,
            "store" => WIRE.to_owned(),
            "domain" => format!("{WIRE} {DATABASE}"),
            _use_case => "crate::grpc".to_owned(),
        };
        for (named, line) in source.named_paths(path) {
            let mut rests = forbidden
                .split(' ')
                .filter_map(|root| named.strip_prefix(root));
            if rests.any(|rest| rest.is_empty() || rest.starts_with("::")) {
                let what = format!("{layer} names {named}, which it must not know");
                faults.push(format!("{path}:{line}: {what}"));
            }
        }
    }
    faults
}

/// Places outside `grpc` and `shared/rpc` that make a `Status`.
pub fn statuses_made_elsewhere(repository: &Repository) -> Vec<String> {
    let is_made = |path: &str, source: &Source, index: usize| {
        let is_edge = layer(path) == Some("grpc") || path.starts_with("shared/rpc/");
        let is_product = path.starts_with("services/") || path.starts_with("shared/");
        let made_by = source.text(index + 2);
        is_product
            && !is_edge
            && source.reads(index, &["Status", "::"])
            && STATUS_MAKERS
                .split_whitespace()
                .any(|maker| maker == made_by)
    };
    let what = "makes a Status: return a typed error, and let grpc or shared/rpc turn it into one";
    find(repository, is_made, what)
}

/// Places where the domain asks a clock instead of being told the time.
pub fn clocks_in_domains(repository: &Repository) -> Vec<String> {
    let is_read = |path: &str, source: &Source, index: usize| {
        let mut clocks = ["now", "now_utc", "now_local"].into_iter();
        layer(path) == Some("domain") && clocks.any(|now| source.reads(index, &["::", now, "("]))
    };
    find(
        repository,
        is_read,
        "the domain reads a clock: take `now` as an argument",
    )
}

/// Transactions begun on a pool by sqlx itself: dropped on the way, it leaves the connection in a transaction.
pub fn droppable_transactions(repository: &Repository) -> Vec<String> {
    let is_begun = |path: &str, source: &Source, index: usize| {
        path != "shared/pg/src/transaction.rs" && source.reads(index, &["pool", ".", "begin", "("])
    };
    let what = "may be dropped on the way and leave a transaction open: use tidegate_pg::begin";
    find(repository, is_begun, what)
}

fn find(
    repository: &Repository,
    is_wrong: impl Fn(&str, &Source, usize) -> bool,
    what: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, source) in delivered(repository) {
        let tokens = source.0.iter().enumerate();
        let wrong = tokens.filter(|(index, _)| is_wrong(path, &source, *index));
        faults.extend(wrong.map(|(_, (_, line))| format!("{path}:{line}: {what}")));
    }
    faults
}
