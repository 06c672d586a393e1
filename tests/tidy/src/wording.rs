//! What never goes in: unfinished work, private keys, one machine's paths, and how the project came about.

use crate::{Repository, fault, pattern, rust::is_of_tests};

/// A colour or an anchor behind `#` is no number of an issue.
const COLOURED: [&str; 4] = [".svg", ".css", ".html", ".json"];

/// Words, what to do about them, and whether they are banned from the file of a path.
type Banned = (&'static str, &'static str, fn(&str) -> bool);

const BANNED: [Banned; 5] = [
    (
        r"\b(?:TODO|FIXME)\b",
        "a note of unfinished work: finish it, or say what is",
        |_| true,
    ),
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        "a private key: make it at run time, and replace it where it is in use",
        |_| true,
    ),
    (
        // A letter before the slash means another path, such as `/var/tmp/`.
        r"(?m)(?:^|[^\w.}-])/(?:work|root|home|tmp|Users)/",
        "a path of one machine: make it relative or a setting",
        |path| !is_of_tests(path),
    ),
    (
        // A database's sessions are not meant.
        concat!(
            r"(?i)\bassistants?\b|\bsub-?agents?\b|\b(?:AI|coding)[ -](?:agents?|generated|written)\b|",
            r"\b(?:previous|earlier|next|coding|working) sessions?\b|\blanguage models?\b|",
            r"\bco-authored-by\b|\b(?:issue|pull request) #?\d+"
        ),
        "tells how the project was made: say what is, and why",
        |_| true,
    ),
    (
        r"(?m)(?:^|[\s(,;])#\d+\b",
        "a number that readers cannot look up: say what is, and why",
        |path| !COLOURED.iter().any(|end| path.ends_with(end)),
    ),
];

/// Words that never go in. The samples of this crate break the rules on purpose.
pub fn banned_words(repository: &Repository) -> Vec<String> {
    let mut faults = Vec::new();
    for (words, what, is_banned_from) in BANNED {
        let words = pattern(words);
        for (path, text) in repository
            .ending("")
            .filter(|(path, _)| is_banned_from(path))
        {
            if matches!(path, "LICENSE" | "Cargo.lock") || path.starts_with("tests/tidy/") {
                continue;
            }
            let found = words.find_iter(without_unit_tests(path, text));
            faults.extend(found.map(|found| {
                // The space before the first letter may be the break of the line before.
                let spaces = found.len() - found.as_str().trim_start().len();
                let what = format!("`{}`: {what}", found.as_str().trim());
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
