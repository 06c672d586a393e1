//! The rules of the repository, held over every file that git lists. A fault names the file, the line, and what to do.

use std::{collections::BTreeSet, path::Path};

use tidegate_tidy::{Repository, layers, layout, links, manifests, sql, variables, wording};

fn repository() -> Repository {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Repository::read(&root).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_listing_sees_code_queries_documents_and_hidden_folders() {
    let repository = repository();
    for path in [
        "services/quota/src/main.rs",
        "services/quota/queries",
        ".cargo/config.toml",
        "tests/run",
    ] {
        assert!(repository.holds(path), "{path} is not listed");
    }
    assert!(!repository.holds("target"), "what is built is listed");
}

type Rule = fn(&Repository) -> Vec<String>;

/// Each rule with its sample, which begins with the fact that the rule holds.
const RULES: [(&str, Rule); 17] = [
    ("top_level", layout::strangers_at_the_top),
    ("names", layout::empty_names),
    ("readmes", layout::missing_readmes),
    ("wording", wording::banned_words),
    ("arrows", layers::against_the_arrows),
    ("statuses", layers::statuses_made_elsewhere),
    ("clocks", layers::clocks_in_domains),
    ("transactions", layers::droppable_transactions),
    ("dependencies", manifests::wrong_dependencies),
    ("explained_queries", sql::unexplained_queries),
    ("used_queries", sql::unused_queries),
    ("columns", sql::unnamed_columns),
    ("constraints", sql::unnamed_constraints),
    ("links", links::broken_links),
    ("unexplained_variables", variables::unexplained_variables),
    ("unread_variables", variables::unread_variables),
    ("settings", variables::settings_missing_from_their_service),
];

#[test]
fn the_repository_holds_every_rule() {
    let repository = repository();
    let held = RULES.map(|(name, rule)| (name, rule(&repository)));
    let broken = held.iter().filter(|(_, faults)| !faults.is_empty());
    let broken = broken.map(|(name, faults)| format!("\n{name}:\n{}\n", faults.join("\n")));
    let broken: String = broken.collect();
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn each_rule_finds_the_marked_lines_of_its_sample_and_no_other() {
    for (name, rule) in RULES {
        let (repository, marked) = sample(name);
        assert!(!marked.is_empty(), "nothing is marked in the sample {name}");
        let faults = rule(&repository);
        let place = |fault: &String| fault.split(": ").next().map(str::to_owned);
        let found: BTreeSet<String> = faults.iter().filter_map(place).collect();
        assert_eq!(found, marked, "{name}: {faults:?}");
    }
}

#[test]
fn files_have_one_mebibyte_at_most() {
    let mut repository = repository();
    assert_eq!(layout::big_files(&repository), Vec::<String>::new());
    repository.add("a.bin", vec![0xff; 1 << 20]);
    repository.add("b.bin", vec![0xff; (1 << 20) + 1]);
    assert_eq!(layout::big_files(&repository).len(), 1);
}

/// The files of a sample, and its marked lines as `path:line`.
fn sample(name: &str) -> (Repository, BTreeSet<String>) {
    let samples = include_str!("../samples.txt").split("\n==== ");
    let mut own = samples.filter_map(|sample| sample.strip_prefix(name)?.strip_prefix(": "));
    let sample = own
        .next()
        .unwrap_or_else(|| panic!("there is no sample {name}"));
    let (mut repository, mut marked) = (Repository::default(), BTreeSet::new());
    for file in sample.split("@@ ").skip(1) {
        let mut lines = file.lines();
        let head = lines.next().unwrap_or_default();
        let path = head.split(' ').next().unwrap_or_default();
        if head.ends_with("<<<") {
            marked.insert(format!("{path}:1"));
        }
        let mut text = String::new();
        for (number, line) in (1..).zip(lines) {
            if line.ends_with("<<<") {
                marked.insert(format!("{path}:{number}"));
            }
            text += line.trim_end_matches("<<<");
            text.push('\n');
        }
        if !head.contains("is missing") {
            repository.add(path, text.into_bytes());
        }
    }
    (repository, marked)
}
