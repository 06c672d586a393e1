//! Links between the documents.

use regex::{Captures, Regex};

use crate::{Repository, fault, pattern};

/// Relative links that lead to nothing in the repository.
pub fn broken_links(repository: &Repository) -> Vec<String> {
    let link = pattern(r"\]\(([^)\s]+)(?:\s[^)]*)?\)");
    // Code in a document shows text, it does not link.
    let code = pattern(r"(?s)```.*?```|`[^`\n]*`");
    let scheme = pattern(r"^[a-z][a-z0-9+.-]*:");
    let mut faults = Vec::new();
    for (path, text) in repository.ending(".md") {
        let prose = blank(&code, text);
        for target in link.captures_iter(&prose).filter_map(|found| found.get(1)) {
            let to = target.as_str().split('#').next().unwrap_or_default();
            let is_broken = !beside(path, to).is_some_and(|resolved| repository.holds(&resolved));
            if is_broken && !to.is_empty() && !scheme.is_match(to) {
                let what = format!("links to {to}, which is not in the repository");
                faults.push(fault(path, &prose, target.start(), what));
            }
        }
    }
    faults
}

/// Takes what is found out of a text; each line and each byte keeps its place.
pub fn blank(found: &Regex, text: &str) -> String {
    let spaces = |found: &Captures<'_>| {
        let lines = found[0].split('\n');
        let blank: Vec<_> = lines.map(|line| " ".repeat(line.len())).collect();
        blank.join("\n")
    };
    found.replace_all(text, spaces).into_owned()
}

/// The path of `to` as seen from the file `from`; none if it leads out of the repository.
pub fn beside(from: &str, to: &str) -> Option<String> {
    let mut steps: Vec<&str> = from.split('/').collect();
    steps.pop();
    for step in to.split('/') {
        match step {
            "" | "." => (),
            ".." => drop(steps.pop()?),
            name => steps.push(name),
        }
    }
    Some(steps.join("/"))
}
