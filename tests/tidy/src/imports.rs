//! Arrows inside a service run one way: `main → lib → grpc → use cases → {domain, store}`.

use std::sync::LazyLock;

use regex::Regex;

use crate::{
    repository::{Fault, Repository},
    rust_source::pattern,
    test_code::delivered,
    use_trees::named_paths,
};

/// What the wire is made of.
const WIRE: [&str; 5] = [
    "tonic",
    "tonic_types",
    "prost",
    "prost_types",
    "tidegate_proto",
];
const DATABASE: [&str; 2] = ["sqlx", "tidegate_pg"];
/// The functions that make a `tonic::Status`.
static STATUS_MADE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\bStatus::(?:new|with_details|with_metadata|with_details_and_metadata|from_error|ok|cancelled|unknown|invalid_argument|",
        r"deadline_exceeded|not_found|already_exists|permission_denied|resource_exhausted|failed_precondition|aborted|",
        r"out_of_range|unimplemented|internal|unavailable|data_loss|unauthenticated)\b"
    ))
});
static CLOCK_READ: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\w+::now(?:_utc|_local)?\s*\("));

/// Where a file of a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Wiring,
    Grpc,
    UseCase,
    Store,
    Domain,
}

impl Layer {
    /// By the path inside the crate's `src`.
    fn of(inside: &str) -> Self {
        let first = inside.split('/').next().unwrap_or_default();
        match first.strip_suffix(".rs").unwrap_or(first) {
            "main" | "lib" => Self::Wiring,
            "grpc" => Self::Grpc,
            "store" => Self::Store,
            "domain" => Self::Domain,
            _ => Self::UseCase,
        }
    }

    fn forbidden(self) -> Vec<&'static str> {
        match self {
            Self::Wiring | Self::Grpc => Vec::new(),
            Self::UseCase => vec!["crate::grpc"],
            Self::Store => [&WIRE[..], &["crate::grpc"]].concat(),
            Self::Domain => [&WIRE[..], &DATABASE, &["crate::grpc", "crate::store"]].concat(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wiring => "the wiring",
            Self::Grpc => "grpc",
            Self::UseCase => "a use case",
            Self::Store => "the store",
            Self::Domain => "the domain",
        }
    }
}

/// Names that point against the arrows.
pub fn against_the_arrows(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, source) in delivered(repository) {
        let Some(layer) = inside_service(path).map(Layer::of) else {
            continue;
        };
        let forbidden = layer.forbidden();
        for named in named_paths(path, &source.code) {
            if forbidden.iter().any(|root| named.is_under(root)) {
                let what = format!(
                    "{} names {}, which it must not know",
                    layer.name(),
                    named.path
                );
                faults.push(Fault::at(path, &source.code, named.place, what));
            }
        }
    }
    faults
}

/// Places outside `grpc` and `shared/rpc` that make a `Status`.
pub fn statuses_made_elsewhere(repository: &Repository) -> Vec<Fault> {
    found_in(repository, &STATUS_MADE, |path| {
        let in_grpc = inside_service(path).is_some_and(|inside| Layer::of(inside) == Layer::Grpc);
        let in_product = path.starts_with("services/") || path.starts_with("shared/");
        in_product && !in_grpc && !path.starts_with("shared/rpc/")
    })
    .map(|(path, code, place)| {
        let what = "makes a Status: return a typed error, and let grpc or shared/rpc turn it into a Status";
        Fault::at(&path, &code, place, what)
    })
    .collect()
}

/// Places where the domain asks a clock instead of being told the time.
pub fn clocks_in_domains(repository: &Repository) -> Vec<Fault> {
    found_in(repository, &CLOCK_READ, |path| {
        inside_service(path).is_some_and(|inside| Layer::of(inside) == Layer::Domain)
    })
    .map(|(path, code, place)| {
        Fault::at(
            &path,
            &code,
            place,
            "the domain reads a clock: take `now` as an argument",
        )
    })
    .collect()
}

fn found_in<'a>(
    repository: &'a Repository,
    wanted: &'a Regex,
    looked_at: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (String, String, usize)> + 'a {
    delivered(repository)
        .into_iter()
        .filter(move |(path, _)| looked_at(path))
        .flat_map(move |(path, source)| {
            let places: Vec<usize> = wanted
                .find_iter(&source.code)
                .map(|found| found.start())
                .collect();
            places
                .into_iter()
                .map(move |place| (path.to_owned(), source.code.clone(), place))
        })
}

/// The path inside the `src` of a service.
fn inside_service(path: &str) -> Option<&str> {
    let (_, inside) = path.strip_prefix("services/")?.split_once("/src/")?;
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    #[test]
    fn the_domain_knows_neither_wire_nor_database() {
        let repository = repository(&[
            (
                "services/quota/src/domain/lease.rs",
                "use tidegate_types::Tier;\nuse tonic::Status;\nuse tidegate_pg::Database;\nfn f() { prost::encode() }",
            ),
            (
                "services/quota/src/domain.rs",
                "use super::store::Store;\n#[cfg(test)]\nmod tests { use sqlx::Row; }",
            ),
        ]);
        assert_eq!(
            places(&against_the_arrows(&repository)),
            [
                "services/quota/src/domain/lease.rs:2",
                "services/quota/src/domain/lease.rs:3",
                "services/quota/src/domain/lease.rs:4",
                "services/quota/src/domain.rs:1"
            ]
        );
    }

    #[test]
    fn the_store_knows_the_database_and_not_the_wire() {
        let repository = repository(&[
            (
                "services/quota/src/store.rs",
                "use sqlx::Row;\nuse crate::{domain::Lease, grpc::convert};",
            ),
            (
                "services/quota/src/store/leases.rs",
                "use tidegate_proto::quota::v1::Lease;",
            ),
        ]);
        assert_eq!(
            places(&against_the_arrows(&repository)),
            [
                "services/quota/src/store.rs:2",
                "services/quota/src/store/leases.rs:1"
            ]
        );
    }

    #[test]
    fn only_the_wiring_knows_grpc() {
        let repository = repository(&[
            ("services/quota/src/lib.rs", "use crate::grpc::Calls;"),
            ("services/quota/src/grpc/convert.rs", "use super::status;"),
            ("services/quota/src/leases.rs", "use crate::grpc::status;"),
        ]);
        assert_eq!(
            places(&against_the_arrows(&repository)),
            ["services/quota/src/leases.rs:1"]
        );
    }

    #[test]
    fn a_status_is_made_in_grpc_and_in_shared_rpc_only() {
        let made = "let s = Status::internal(\"x\");";
        let repository = repository(&[
            ("services/quota/src/grpc/status.rs", made),
            ("services/quota/src/grpc.rs", made),
            ("shared/rpc/src/wire.rs", made),
            (
                "services/quota/src/leases.rs",
                "fn f() -> Result<(), Status> {\n let s = tonic::Status::new(c, \"x\");\n}",
            ),
            ("shared/auth/src/jwt.rs", made),
            (
                "services/quota/src/place.rs",
                "// Status::internal(x)\nfn f(s: ExitStatus) { ExitStatus::ok(s) }",
            ),
        ]);
        assert_eq!(
            places(&statuses_made_elsewhere(&repository)),
            ["services/quota/src/leases.rs:2", "shared/auth/src/jwt.rs:1"]
        );
    }

    #[test]
    fn the_domain_is_told_the_time() {
        let repository = repository(&[
            (
                "services/quota/src/domain/lease.rs",
                "fn f(now: Instant) {}\nfn g() { Instant::now() }",
            ),
            ("services/quota/src/leases.rs", "fn g() { Instant::now() }"),
        ]);
        assert_eq!(
            places(&clocks_in_domains(&repository)),
            ["services/quota/src/domain/lease.rs:2"]
        );
    }
}
