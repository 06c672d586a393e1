//! Links between the documents.

use std::sync::LazyLock;

use regex::Regex;

use crate::{
    repository::{Fault, Repository},
    rust_source::pattern,
};

static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"\]\(([^)\s]+)(?:\s[^)]*)?\)"));
/// Code in a document shows text, it does not link.
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)```.*?```|`[^`\n]*`"));
static SCHEME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-z][a-z0-9+.-]*:"));

/// Relative links that lead to nothing in the repository.
pub fn broken_links(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in repository.ending(".md") {
        let prose = CODE.replace_all(text, |code: &regex::Captures<'_>| {
            // Line breaks stay, so that a fault names its line.
            code[0]
                .chars()
                .filter(|letter| *letter == '\n')
                .collect::<String>()
        });
        for target in LINK.captures_iter(&prose).filter_map(|found| found.get(1)) {
            let to = target.as_str().split('#').next().unwrap_or_default();
            if to.is_empty() || SCHEME.is_match(to) {
                continue;
            }
            if !beside(path, to).is_some_and(|resolved| repository.holds(&resolved)) {
                let what = format!("links to {to}, which is not in the repository");
                faults.push(Fault::at(path, &prose, target.start(), what));
            }
        }
    }
    faults
}

/// The path of `to` as seen from the file `from`; none if it leads out of the repository.
pub fn beside(from: &str, to: &str) -> Option<String> {
    let mut steps: Vec<&str> = from.split('/').collect();
    steps.pop();
    for step in to.split('/') {
        match step {
            "" | "." => (),
            ".." => {
                steps.pop()?;
            }
            name => steps.push(name),
        }
    }
    Some(steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    #[test]
    fn links_lead_to_files_or_folders_of_the_repository() {
        let repository = repository(&[
            (
                "services/README.md",
                "[up](../README.md) [q](quota/) [here](#walk) [web](https://example.org/a)\n[r](quota/README.md#promises \"title\")\n[gone](gone.md)\n[out](../../x.md)",
            ),
            ("services/quota/README.md", ""),
            ("README.md", "```sh\n[a](b)\n```\n`[c](d)` [e](f)"),
        ]);
        assert_eq!(
            places(&broken_links(&repository)),
            [
                "services/README.md:3",
                "services/README.md:4",
                "README.md:4"
            ]
        );
    }

    #[test]
    fn a_relative_path_is_followed_from_its_file() {
        assert_eq!(
            beside("a/b/c.rs", "../../queries/d.sql").as_deref(),
            Some("queries/d.sql")
        );
        assert_eq!(beside("a.md", "./b.md").as_deref(), Some("b.md"));
        assert_eq!(beside("a.md", "../b.md"), None);
    }
}
