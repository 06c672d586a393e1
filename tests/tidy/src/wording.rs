//! What never goes in: unfinished work, private keys, one machine's paths, and how the project came about.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Repository, fault, pattern, rust::is_of_tests};

/// A colour or an anchor behind `#` is no number of an issue.
const COLOURED: [&str; 4] = [".svg", ".css", ".html", ".json"];

struct Banned {
    words: Regex,
    what: &'static str,
    /// Whether it is banned from the file of this path.
    from: fn(&str) -> bool,
}

static BANNED: LazyLock<[Banned; 5]> = LazyLock::new(|| {
    [
        Banned {
            words: pattern(r"\b(?:TODO|FIXME)\b"),
            what: "a note of unfinished work: finish it, or say what is",
            from: |_| true,
        },
        Banned {
            words: pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
            what: "a private key: make it at run time, and replace it where it is in use",
            from: |_| true,
        },
        Banned {
            // A letter before the slash means another path, such as `/var/tmp/`.
            words: pattern(r"(?m)(?:^|[^\w.}-])/(?:work|root|home|tmp|Users)/"),
            what: "a path of one machine: make it relative or a setting",
            from: |path| !is_of_tests(path),
        },
        Banned {
            // A database's sessions are not meant.
            words: pattern(concat!(
                r"(?i)\bassistants?\b|\bsub-?agents?\b|\b(?:AI|coding)[ -](?:agents?|generated|written)\b|",
                r"\b(?:previous|earlier|next|coding|working) sessions?\b|\blanguage models?\b|",
                r"\bco-authored-by\b|\b(?:issue|pull request) #?\d+"
            )),
            what: "tells how the project was made: say what is, and why",
            from: |_| true,
        },
        Banned {
            words: pattern(r"(?m)(?:^|[\s(,;])#\d+\b"),
            what: "a number that readers cannot look up: say what is, and why",
            from: |path| !COLOURED.iter().any(|end| path.ends_with(end)),
        },
    ]
});

/// Words that never go in. The samples of this crate break the rules on purpose.
pub fn banned_words(repository: &Repository) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in repository.ending("") {
        if matches!(path, "LICENSE" | "Cargo.lock") || path.starts_with("tests/tidy/") {
            continue;
        }
        for banned in BANNED.iter().filter(|banned| (banned.from)(path)) {
            let found = banned.words.find_iter(without_unit_tests(path, text));
            faults.extend(found.map(|found| {
                // The space before the first letter may be the break of the line before.
                let spaces = found.as_str().len() - found.as_str().trim_start().len();
                let what = format!("`{}`: {}", found.as_str().trim(), banned.what);
                fault(path, text, found.start() + spaces, what)
            }));
        }
    }
    faults
}

/// Tests beside the code may name what no machine has.
fn without_unit_tests<'a>(path: &str, text: &'a str) -> &'a str {
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(end) if path.ends_with(".rs") => &text[..end],
        _ => text,
    }
}
