//! The environment variables that programs read, and the documents that explain them.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

use crate::{
    repository::{Fault, Repository},
    rust_source::{RustSource, pattern},
    test_code::delivered,
};

static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\bTIDEGATE_[A-Z0-9]+(?:_[A-Z0-9]+)*\b"));

/// A fault that names where a variable was first met.
type Places = BTreeMap<String, (String, usize)>;

/// Variables that code reads and no README names.
pub fn unexplained_variables(repository: &Repository) -> Vec<Fault> {
    let explained = in_readmes(repository);
    missing(
        &read_by_code(repository),
        &explained,
        "is read here and no README names it",
    )
}

/// Variables that a README names and no code reads.
pub fn unread_variables(repository: &Repository) -> Vec<Fault> {
    let read = read_by_code(repository);
    missing(
        &in_readmes(repository),
        &read,
        "is named here and no code reads it",
    )
}

/// Settings that a service's own code reads and its own README does not name.
pub fn settings_missing_from_their_service(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, source) in delivered(repository) {
        let Some((service, _)) = path
            .strip_prefix("services/")
            .and_then(|rest| rest.split_once("/src/"))
        else {
            continue;
        };
        let readme = format!("services/{service}/README.md");
        let text = repository
            .texts()
            .find(|(path, _)| *path == readme)
            .map_or("", |(_, text)| text);
        let explained = found(&readme, text);
        faults.extend(missing(
            &found(path, &source.strings),
            &explained,
            "is read here and its service's README does not name it",
        ));
    }
    faults
}

fn missing(wanted: &Places, there: &Places, what: &str) -> Vec<Fault> {
    wanted
        .iter()
        .filter(|(name, _)| !there.contains_key(*name))
        .map(|(name, (path, line))| Fault::on_line(path, *line, format!("{name} {what}")))
        .collect()
}

fn in_readmes(repository: &Repository) -> Places {
    repository
        .ending("README.md")
        .flat_map(|(path, text)| found(path, text))
        .collect()
}

/// Names in the strings of Rust, and in scripts outside their comments.
fn read_by_code(repository: &Repository) -> Places {
    let mut places = Places::new();
    for (path, text) in repository.texts() {
        if path.ends_with(".rs") {
            places.extend(found(path, &RustSource::parse(text).strings));
        } else if text.starts_with("#!/") {
            let commands: Vec<&str> = text
                .lines()
                .map(|line| {
                    if line.trim_start().starts_with('#') {
                        ""
                    } else {
                        line
                    }
                })
                .collect();
            places.extend(found(path, &commands.join("\n")));
        }
    }
    places
}

fn found(path: &str, text: &str) -> Places {
    VARIABLE
        .find_iter(text)
        .map(|name| {
            let fault = Fault::at(path, text, name.start(), "");
            (name.as_str().to_owned(), (fault.path, fault.line))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    fn sample() -> Repository {
        repository(&[
            (
                "services/quota/src/config.rs",
                "// TIDEGATE_SAID\nread(\"TIDEGATE_LANES\");\nread(\"TIDEGATE_HIDDEN\"); starts_with(\"TIDEGATE_\")",
            ),
            ("services/quota/README.md", "none"),
            (
                "services/README.md",
                "`TIDEGATE_LANES`\n`TIDEGATE_GONE` `TIDEGATE_BIN_DIR`",
            ),
            (
                "tests/run",
                "#!/usr/bin/env bash\n# TIDEGATE_GONE\necho \"${TIDEGATE_BIN_DIR:-}\"",
            ),
        ])
    }

    #[test]
    fn what_code_reads_is_in_a_readme() {
        assert_eq!(
            places(&unexplained_variables(&sample())),
            ["services/quota/src/config.rs:3"]
        );
    }

    #[test]
    fn what_a_readme_names_is_read_by_code() {
        assert_eq!(
            places(&unread_variables(&sample())),
            ["services/README.md:2"]
        );
    }

    #[test]
    fn a_service_explains_its_own_settings() {
        assert_eq!(
            places(&settings_missing_from_their_service(&sample())),
            [
                "services/quota/src/config.rs:3",
                "services/quota/src/config.rs:2"
            ]
        );
    }
}
