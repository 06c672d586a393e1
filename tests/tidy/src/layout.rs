//! What lies where, under which name, and how big it may be.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Repository, pattern};

/// All that may stand at the top: the design's folders and what tools look for there.
const TOP_LEVEL: &str = "Cargo.toml Cargo.lock proto services shared deploy tests README.md LICENSE .gitignore .gitattributes .ci \
    .cargo .config .github .dockerignore";
/// Bigger files belong into a release or are made by a program.
const BYTES_LIMIT: usize = 1 << 20;
/// Folders whose README explains what is in them, besides those of the services.
const EXPLAINED: [&str; 5] = ["", "proto", "services", "deploy/local", "tests"];

/// Names of crates, folders and files that say nothing of what is inside.
static EMPTY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:^|[/_-])(?:commons?|utils?|utility|utilities|helpers?|misc)(?:/|\.rs$)")
});

/// Things at the top that have no place there.
pub fn strangers_at_the_top(repository: &Repository) -> Vec<String> {
    let is_strange = |path: &str| {
        let mut known = TOP_LEVEL.split_whitespace();
        !known.any(|top| Some(top) == path.split('/').next())
    };
    paths(
        repository,
        is_strange,
        "the top level is fixed: move this into the folder it is about",
    )
}

/// Folders and Rust files whose names say nothing.
pub fn empty_names(repository: &Repository) -> Vec<String> {
    let what = "the name says nothing of what is inside: name it after that";
    paths(repository, |path| EMPTY_NAME.is_match(path), what)
}

fn paths(repository: &Repository, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
    let wrong = repository.ending("").filter(|(path, _)| is_wrong(path));
    wrong.map(|(path, _)| format!("{path}:1: {what}")).collect()
}

/// Files over the limit of bytes.
pub fn big_files(repository: &Repository) -> Vec<String> {
    let files = repository.files.iter();
    files
        .filter(|file| file.bytes > BYTES_LIMIT)
        .map(|file| {
            format!(
                "{}:1: {} bytes, {BYTES_LIMIT} at most",
                file.path, file.bytes
            )
        })
        .collect()
}

pub fn missing_readmes(repository: &Repository) -> Vec<String> {
    let crates = repository.ending("/Cargo.toml");
    let folders = crates.filter_map(|(path, _)| path.strip_suffix("/Cargo.toml"));
    let services = folders.filter(|folder| folder.starts_with("services/"));
    let readmes = EXPLAINED
        .into_iter()
        .chain(services)
        .map(|folder| match folder {
            "" => "README.md".to_owned(),
            folder => format!("{folder}/README.md"),
        });
    readmes
        .filter(|readme| !repository.holds(readme))
        .map(|readme| format!("{readme}:1: is missing: say what is in its folder"))
        .collect()
}
