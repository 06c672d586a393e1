//! SQL: explained, used, and with a name for every constraint, so that an error names the promise that it kept.

use std::collections::BTreeSet;

use crate::{
    Repository, fault,
    links::{beside, blank},
    pattern,
    rust::Source,
};

/// Comments and quoted text.
const NO_CODE: &str = r"(?s)--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'";
const EVERY_COLUMN: &str = r"(?i)\bSELECT\s+\*\s+FROM\s+(\w+)\b\s*(\(?)";
/// A constraint, with the words before it that name it or make it something else.
const CONSTRAINT: &str = concat!(
    r"(?i)\b(CONSTRAINT\s+\w+\s+|CREATE\s+|WITH\s+)?",
    r"(PRIMARY\s+KEY|FOREIGN\s+KEY\s*\([^)]*\)\s*REFERENCES|UNIQUE|CHECK|EXCLUDE\s+USING|REFERENCES)\b"
);
/// The paths of the statements in such folders, and their texts, whole and without what is no code.
fn within<'a>(
    repository: &'a Repository,
    folder: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, String)> {
    let (no_code, files) = (pattern(NO_CODE), repository.ending(".sql"));
    let files = files.filter(move |(path, _)| path.contains(folder));
    files.map(move |(path, text)| (path, text, blank(&no_code, text)))
}

/// Queries that do not begin with a comment.
pub fn unexplained_queries(repository: &Repository) -> Vec<String> {
    within(repository, "/queries/")
        .filter(|(_, text, _)| !text.trim_start().starts_with("--"))
        .map(|(path, ..)| format!("{path}:1: does not begin with a comment on what it relies on"))
        .collect()
}

/// Queries that no code includes.
pub fn unused_queries(repository: &Repository) -> Vec<String> {
    let mut included = BTreeSet::new();
    let files = repository.ending(".rs");
    for (path, text) in files.filter(|(_, text)| text.contains(".sql\"")) {
        // A mention in a comment is no use, and tests may use one.
        let source = Source::parse(path, &text.replace("#[cfg(test)]", ""));
        let names = source.strings();
        included.extend(names.filter_map(|(name, _)| beside(path, name.trim_matches('"'))));
    }
    within(repository, "/queries/")
        .filter(|(path, ..)| !included.contains(*path))
        .map(|(path, ..)| format!("{path}:1: no code includes it: use it or remove it"))
        .collect()
}

/// Queries that read every column of a stored table or view: a statement that is prepared fails from the migration that adds one until its connection ends.
pub fn unnamed_columns(repository: &Repository) -> Vec<String> {
    let (every_column, mut faults) = (pattern(EVERY_COLUMN), Vec::new());
    for (path, text, code) in within(repository, "/queries/") {
        for found in every_column.captures_iter(&code) {
            // A function, or what the statement itself says the columns of.
            let is_made_here = || pattern(&format!(r"(?i)\b{}\s+AS\b", &found[1])).is_match(&code);
            if found[2].is_empty() && !is_made_here() {
                let what = format!("reads every column of {}: name those needed", &found[1]);
                faults.push(fault(path, text, found.get_match().start(), what));
            }
        }
    }
    faults
}

/// Constraints in migrations that have no name.
pub fn unnamed_constraints(repository: &Repository) -> Vec<String> {
    let (constraint, mut faults) = (pattern(CONSTRAINT), Vec::new());
    for (path, text, code) in within(repository, "/migrations/") {
        let constraints = constraint.captures_iter(&code);
        let unnamed = constraints.filter(|found| found.get(1).is_none());
        faults.extend(unnamed.map(|found| {
            let what = format!("a {} without CONSTRAINT and a name", &found[2]);
            fault(path, text, found.get_match().start(), what)
        }));
    }
    faults
}
