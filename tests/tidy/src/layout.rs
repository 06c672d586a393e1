//! What lies where, under which name, and how big it may be.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use crate::{
    repository::{Fault, Repository},
    rust_source::{RustSource, pattern},
};

/// All that may stand at the top: the design's folders and what tools look for there.
const TOP_LEVEL: [&str; 16] = [
    "Cargo.toml",
    "Cargo.lock",
    "proto",
    "services",
    "shared",
    "deploy",
    "tests",
    "README.md",
    "LICENSE",
    ".gitignore",
    ".gitattributes",
    ".ci",
    ".cargo",
    ".config",
    ".github",
    ".dockerignore",
];
/// A file longer than this holds more than one thing.
const RUST_LINES_LIMIT: usize = 400;
/// Bigger files belong into a release or are made by a program.
const BYTES_LIMIT: usize = 1 << 20;
/// Folders whose README explains what is in them, besides those of the services.
const EXPLAINED: [&str; 5] = ["", "proto", "services", "deploy/local", "tests"];

/// Names that say nothing of what is inside.
static EMPTY_NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:.*[-_])?(?:commons?|utils?|utility|utilities|helpers?|misc)$"));
static MODULE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bmod\s+(\w+)"));
static PRIVATE_KEY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"));

/// Things at the top that have no place there.
pub fn strangers_at_the_top(repository: &Repository) -> Vec<Fault> {
    let tops: BTreeSet<&str> = repository
        .files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .collect();
    tops.into_iter()
        .filter(|top| !TOP_LEVEL.contains(top))
        .map(|top| {
            Fault::of_file(
                top,
                "the top level is fixed: move this into the folder it is about",
            )
        })
        .collect()
}

/// Rust files over the limit of lines.
pub fn long_rust_files(repository: &Repository) -> Vec<Fault> {
    repository
        .ending(".rs")
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            let what =
                format!("{lines} lines, {RUST_LINES_LIMIT} at most: divide it by what it is about");
            (lines > RUST_LINES_LIMIT).then(|| Fault::on_line(path, lines, what))
        })
        .collect()
}

/// Files over the limit of bytes.
pub fn big_files(repository: &Repository) -> Vec<Fault> {
    let big = repository
        .files
        .iter()
        .filter(|file| file.bytes > BYTES_LIMIT);
    big.map(|file| {
        let what = format!("{} bytes, {BYTES_LIMIT} at most", file.bytes);
        Fault::of_file(&file.path, what)
    })
    .collect()
}

/// Private keys, in whatever file.
pub fn private_keys(repository: &Repository) -> Vec<Fault> {
    repository
        .texts()
        .filter_map(|(path, text)| {
            let key = PRIVATE_KEY.find(text)?;
            Some(Fault::at(
                path,
                text,
                key.start(),
                "holds a private key: make it at run time, and replace it where it is in use",
            ))
        })
        .collect()
}

/// Crates, folders, files and modules whose names say nothing.
pub fn empty_names(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &repository.files {
        let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
        if let Some(name) = stem.split('/').find(|name| EMPTY_NAME.is_match(name)) {
            faults.push(Fault::of_file(&file.path, empty_name(name)));
        }
    }
    for (path, text) in repository.ending(".rs") {
        let code = RustSource::parse(text).code;
        let modules = MODULE.captures_iter(&code).filter_map(|found| found.get(1));
        faults.extend(
            modules
                .filter(|name| EMPTY_NAME.is_match(name.as_str()))
                .map(|name| Fault::at(path, &code, name.start(), empty_name(name.as_str()))),
        );
    }
    for (path, text) in repository.ending("Cargo.toml") {
        let names = text.lines().enumerate().filter_map(|(line, words)| {
            let name = words.strip_prefix("name = \"")?.strip_suffix('"')?;
            EMPTY_NAME
                .is_match(name)
                .then(|| Fault::on_line(path, line + 1, empty_name(name)))
        });
        faults.extend(names);
    }
    faults
}

fn empty_name(name: &str) -> String {
    format!("`{name}` says nothing of what is inside: name it after that")
}

pub fn missing_readmes(repository: &Repository) -> Vec<Fault> {
    let services: BTreeSet<String> = repository
        .files
        .iter()
        .filter_map(|file| {
            let folder = file.path.strip_suffix("/Cargo.toml")?;
            folder.starts_with("services/").then(|| folder.to_owned())
        })
        .collect();
    EXPLAINED
        .into_iter()
        .map(str::to_owned)
        .chain(services)
        .map(|folder| {
            format!("{folder}/README.md")
                .trim_start_matches('/')
                .to_owned()
        })
        .filter(|readme| !repository.holds(readme))
        .map(|readme| Fault::of_file(&readme, "is missing: say what is in its folder"))
        .collect()
}

/// Scripts that cannot be started.
pub fn scripts_without_permission(repository: &Repository) -> Vec<Fault> {
    let scripts = repository.files.iter().filter(|file| {
        let text = file.text.as_deref().unwrap_or_default();
        text.starts_with("#!/") && !file.executable
    });
    scripts
        .map(|file| Fault::of_file(&file.path, "begins with #! and is not executable: chmod +x"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        repository::File,
        samples::{places, repository},
    };

    #[test]
    fn the_top_level_takes_no_stranger() {
        let repository = repository(&[
            ("Cargo.toml", ""),
            ("scripts/a.sh", ""),
            ("scripts/b.sh", ""),
            ("notes.md", ""),
            (".ci/run", ""),
        ]);
        assert_eq!(
            places(&strangers_at_the_top(&repository)),
            ["notes.md:1", "scripts:1"]
        );
    }

    #[test]
    fn a_rust_file_has_four_hundred_lines_at_most() {
        let (full, over) = ("\n".repeat(400), "\n".repeat(401));
        let repository = repository(&[
            ("a.rs", full.as_str()),
            ("b.rs", over.as_str()),
            ("c.csv", over.as_str()),
        ]);
        assert_eq!(places(&long_rust_files(&repository)), ["b.rs:401"]);
    }

    #[test]
    fn a_file_has_one_mebibyte_at_most_whatever_it_is() {
        let files = vec![
            File::new("a.bin", vec![0xff; BYTES_LIMIT], false),
            File::new("b.bin", vec![0xff; BYTES_LIMIT + 1], false),
        ];
        assert_eq!(places(&big_files(&Repository { files })), ["b.bin:1"]);
    }

    #[test]
    fn private_keys_are_found_and_certificates_are_not_taken_for_them() {
        let repository = repository(&[
            ("a.pem", "x\n-----BEGIN PRIVATE KEY-----\nMC4CAQ"),
            ("b.txt", "-----BEGIN RSA PRIVATE KEY-----"),
            ("c.pem", "-----BEGIN CERTIFICATE-----"),
        ]);
        assert_eq!(places(&private_keys(&repository)), ["a.pem:2", "b.txt:1"]);
    }

    #[test]
    fn names_that_say_nothing_are_refused() {
        let repository = repository(&[
            ("shared/common/src/lib.rs", ""),
            ("services/quota/src/utils.rs", ""),
            (
                "services/quota/src/lib.rs",
                "mod store;\nmod helpers { }\nmod commonly_asked;",
            ),
            (
                "services/quota/Cargo.toml",
                "[package]\nname = \"tidegate-utils\"",
            ),
        ]);
        assert_eq!(
            places(&empty_names(&repository)),
            [
                "shared/common/src/lib.rs:1",
                "services/quota/src/utils.rs:1",
                "services/quota/src/lib.rs:2",
                "services/quota/Cargo.toml:2"
            ]
        );
    }

    #[test]
    fn services_and_the_main_folders_are_explained() {
        let repository = repository(&[
            ("README.md", ""),
            ("proto/README.md", ""),
            ("services/README.md", ""),
            ("tests/README.md", ""),
            ("services/quota/Cargo.toml", ""),
            ("services/quota/README.md", ""),
            ("services/gateway/Cargo.toml", ""),
        ]);
        assert_eq!(
            places(&missing_readmes(&repository)),
            ["deploy/local/README.md:1", "services/gateway/README.md:1"]
        );
    }

    #[test]
    fn a_script_can_be_started() {
        let script = b"#!/usr/bin/env bash\n".to_vec();
        let files = vec![
            File::new("tests/run", script.clone(), true),
            File::new(".ci/run", script, false),
        ];
        assert_eq!(
            places(&scripts_without_permission(&Repository { files })),
            [".ci/run:1"]
        );
    }
}
