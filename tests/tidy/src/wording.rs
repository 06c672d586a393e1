//! What neither code nor documents may say: unfinished work, crashes that nobody decided on, one machine's paths, and how the project came about.

use std::sync::LazyLock;

use regex::Regex;

use crate::{
    repository::{Fault, Repository},
    rust_source::{RustSource, pattern},
    test_code::{delivered, in_test_target},
};

static UNFINISHED_CODE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:todo|unimplemented)\s*!"));
static UNFINISHED_NOTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:TODO|FIXME|XXX)\b"));
static CRASH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\.\s*(?:unwrap\s*\(\s*\)|expect\s*\(\s*")"#));
static POOLED_BEGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bpool\s*\.\s*begin\s*\("));
/// Folders of one machine. A letter before the slash means another path, such as `/var/tmp/`.
static MACHINE_PATH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)(?:^|[^\w.}-])/(?:work|root|home|tmp|Users)/"));
/// People who read the code need not know who wrote it, when, or on whose order. A database's sessions are not meant.
static STRAY_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\bassistants?\b|\bsub-?agents?\b|\b(?:AI|coding)[ -](?:agents?|generated|written)\b|",
        r"\b(?:previous|earlier|next|coding|working) sessions?\b|\blanguage models?\b|\bco-authored-by\b|",
        r"\b(?:issue|pull request) #?\d+"
    ))
});
static NUMBERED_ISSUE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)(?:^|[\s(,;])#\d+\b"));

/// Files that are not ours to word.
const FOREIGN: [&str; 2] = ["LICENSE", "Cargo.lock"];
/// In these, a number behind `#` is a colour or an anchor.
const COLOURED: [&str; 4] = [".svg", ".css", ".html", ".json"];

/// Code and notes that say that something is not done.
pub fn unfinished_work(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in ours(repository) {
        let note = if path.ends_with(".rs") {
            let source = RustSource::parse(text);
            faults.extend(find(
                path,
                &source.code,
                &UNFINISHED_CODE,
                "unfinished code: finish it",
            ));
            source.comments
        } else {
            text.to_owned()
        };
        faults.extend(find(
            path,
            &note,
            &UNFINISHED_NOTE,
            "a note of unfinished work: finish it, or say what is",
        ));
    }
    faults
}

/// Delivered code of services and shared crates that crashes instead of answering.
pub fn crashes(repository: &Repository) -> Vec<Fault> {
    delivered(repository)
        .into_iter()
        .filter(|(path, _)| {
            (path.starts_with("services/") || path.starts_with("shared/")) && path.contains("/src/")
        })
        .flat_map(|(path, source)| {
            find(
                path,
                &source.code,
                &CRASH,
                "crashes the process: return an error",
            )
        })
        .collect()
}

/// Transactions begun on a pool by sqlx itself: dropped on the way, it leaves the connection in a transaction.
pub fn droppable_transactions(repository: &Repository) -> Vec<Fault> {
    delivered(repository)
        .into_iter()
        .filter(|(path, _)| *path != "shared/pg/src/transaction.rs")
        .flat_map(|(path, source)| {
            let what =
                "may be dropped on the way and leave a transaction open: use tidegate_pg::begin";
            find(path, &source.code, &POOLED_BEGIN, what)
        })
        .collect()
}

/// Paths that only one machine has, outside tests.
pub fn machine_paths(repository: &Repository) -> Vec<Fault> {
    let what = "a path of one machine: make it relative or a setting";
    let rust = delivered(repository)
        .into_iter()
        .flat_map(|(path, source)| {
            [source.comments, source.strings]
                .iter()
                .flat_map(|layer| find(path, layer, &MACHINE_PATH, what))
                .collect::<Vec<_>>()
        });
    let other = ours(repository)
        .filter(|(path, _)| !path.ends_with(".rs") && !in_test_target(path))
        .flat_map(|(path, text)| find(path, text, &MACHINE_PATH, what));
    rust.chain(other).collect()
}

/// Words about how the project was made.
pub fn stray_words(repository: &Repository) -> Vec<Fault> {
    let what = "tells how the project was made: say what is, and why";
    let mut faults = Vec::new();
    for (path, text) in ours(repository) {
        let (comments, strings) = if path.ends_with(".rs") {
            let source = RustSource::parse(text);
            (source.comments, source.strings)
        } else {
            (text.to_owned(), String::new())
        };
        for layer in [&comments, &strings] {
            faults.extend(find(path, layer, &STRAY_WORDS, what));
        }
        if !COLOURED.iter().any(|end| path.ends_with(end)) {
            faults.extend(find(path, &comments, &NUMBERED_ISSUE, what));
        }
    }
    faults
}

fn ours(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository
        .texts()
        .filter(|(path, _)| !FOREIGN.contains(path))
}

fn find(path: &str, text: &str, wanted: &Regex, what: &str) -> Vec<Fault> {
    wanted
        .find_iter(text)
        .map(|found| {
            // The space before the first letter may be the break of the line before.
            let spaces = found.as_str().len() - found.as_str().trim_start().len();
            let words = found.as_str().trim();
            Fault::at(
                path,
                text,
                found.start() + spaces,
                format!("`{words}`: {what}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    #[test]
    fn unfinished_work_is_found_where_it_is_meant() {
        let repository = repository(&[
            (
                "a.rs",
                "fn f() {\n todo!()\n}\n// FIXME later\nlet s = \"TODO todo!()\";",
            ),
            ("b.rs", "fn f() { unimplemented! (\"x\") }"),
            ("c.sql", "-- done\n-- XXX slow"),
            ("LICENSE", "TODO"),
        ]);
        assert_eq!(
            places(&unfinished_work(&repository)),
            ["a.rs:2", "a.rs:4", "b.rs:1", "c.sql:2"]
        );
    }

    #[test]
    fn delivered_code_does_not_crash_and_tests_may() {
        let repository = repository(&[
            (
                "services/quota/src/leases.rs",
                "let a = b\n    .unwrap();\nlet c = d.expect(\"e\");\nf.unwrap_or_default(); // .unwrap()\n#[cfg(test)]\nmod tests { fn f() { a.unwrap(); } }",
            ),
            ("services/quota/tests/a.rs", "b.unwrap();"),
            ("shared/pg/src/lib.rs", "parser.expect(Token::Comma);"),
            ("deploy/local/src/main.rs", "b.unwrap();"),
        ]);
        assert_eq!(
            places(&crashes(&repository)),
            [
                "services/quota/src/leases.rs:2",
                "services/quota/src/leases.rs:3"
            ]
        );
    }

    #[test]
    fn a_transaction_that_sqlx_begins_on_a_pool_is_found() {
        let repository = repository(&[
            (
                "services/quota/src/store.rs",
                "self.pool\n    .begin();\nconnection.begin();\nbegin(&self.pool);",
            ),
            ("services/quota/tests/store.rs", "pool.begin();"),
        ]);
        assert_eq!(
            places(&droppable_transactions(&repository)),
            ["services/quota/src/store.rs:1"]
        );
    }

    #[test]
    fn paths_of_one_machine_are_found_in_documents_and_delivered_code() {
        let repository = repository(&[
            (
                "README.md",
                "see /home/me/x\n/work/main\nand `/var/tmp/x`, https://example.org/home/x, target/tmp/x",
            ),
            (
                "shared/pg/src/lib.rs",
                "// in /root/x\nlet a = \"/tmp/x\";\n#[cfg(test)]\nmod tests { const A: &str = \"/tmp/x\"; }",
            ),
            ("services/quota/tests/a.rs", "\"/tmp/x\""),
        ]);
        assert_eq!(
            places(&machine_paths(&repository)),
            [
                "shared/pg/src/lib.rs:1",
                "shared/pg/src/lib.rs:2",
                "README.md:1",
                "README.md:2"
            ]
        );
    }

    #[test]
    fn words_about_how_the_project_was_made_are_found() {
        let repository = repository(&[
            (
                "a.md",
                "as an assistant\nsee issue 2\n(#12)\nin the previous session\na coding agent",
            ),
            (
                "b.rs",
                "// closes #3\nlet a = \"#333\"; // the issue, 2 of them\nlet b = \"issue #4\";",
            ),
            ("c.svg", "fill=\" #333\""),
        ]);
        assert_eq!(
            places(&stray_words(&repository)),
            [
                "a.md:1", "a.md:2", "a.md:4", "a.md:5", "a.md:3", "b.rs:3", "b.rs:1"
            ]
        );
    }

    #[test]
    fn words_of_the_trade_pass() {
        let repository = repository(&[(
            "a.md",
            "For joins within this session; one session may audit twice. user-agent, [walk](#walk), r#\"x\"#, issues 1,000 coupons.",
        )]);
        assert_eq!(stray_words(&repository), []);
    }
}
