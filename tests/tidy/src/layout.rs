//! What lies where, under which name, and how big it may be.

use crate::{Repository, pattern};

/// All that may stand at the top: the design's folders and what tools look for there.
const TOP_LEVEL: &str = "Cargo.toml Cargo.lock proto services shared deploy tests README.md LICENSE .gitignore .gitattributes .ci \
    .cargo .config .github .dockerignore";
/// Bigger files belong into a release or are made by a program.
const BYTES_LIMIT: usize = 1 << 20;
/// Folders whose README explains what is in them, besides those of the services.
const EXPLAINED: [&str; 5] = ["", "proto", "services", "deploy/local", "tests"];

/// Things at the top that have no place there.
pub fn strangers_at_the_top(repository: &Repository) -> Vec<String> {
    let what = "the top level is fixed: move this into the folder it is about";
    let is_strange = |path: &str| {
        let mut known = TOP_LEVEL.split_whitespace();
        !known.any(|top| Some(top) == path.split('/').next())
    };
    paths(repository, is_strange, what)
}

/// Folders and Rust files whose names say nothing.
pub fn empty_names(repository: &Repository) -> Vec<String> {
    let empty = r"(?:^|[/_-])(?:commons?|utils?|utility|utilities|helpers?|misc)(?:/|\.rs$)";
    let empty = pattern(empty);
    let what = "the name says nothing of what is inside: name it after that";
    paths(repository, |path| empty.is_match(path), what)
}

fn paths(repository: &Repository, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
    let wrong = repository.ending("").filter(|(path, _)| is_wrong(path));
    wrong.map(|(path, _)| format!("{path}:1: {what}")).collect()
}

/// Files over the limit of bytes.
pub fn big_files(repository: &Repository) -> Vec<String> {
    let big = repository.files.iter().filter(|it| it.bytes > BYTES_LIMIT);
    big.map(|it| format!("{}:1: {} bytes, {BYTES_LIMIT} at most", it.path, it.bytes))
        .collect()
}

pub fn missing_readmes(repository: &Repository) -> Vec<String> {
    let crates = repository.ending("/Cargo.toml");
    let folders = crates.filter_map(|(path, _)| path.strip_suffix("/Cargo.toml"));
    let services = folders.filter(|folder| folder.starts_with("services/"));
    let folders = EXPLAINED.into_iter().chain(services);
    let readmes = folders.map(|folder| format!("{folder}/README.md"));
    let readmes = readmes.map(|readme| readme.trim_start_matches('/').to_owned());
    readmes
        .filter(|readme| !repository.holds(readme))
        .map(|readme| format!("{readme}:1: is missing: say what is in its folder"))
        .collect()
}
