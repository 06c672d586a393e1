//! SQL: explained, used, and with a name for every constraint, so that an error names the promise that it kept.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use crate::{
    links::beside,
    repository::{Fault, Repository},
    rust_source::{RustSource, pattern},
};

static INCLUDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?:include_str|query_file(?:_as|_scalar)?)!\(\s*(?:\w+\s*,\s*)?""#)
});
/// Comments, quoted text, words, and each other character by itself.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?s)--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"[^"]*"|\w+|\S"#));

/// Begins the comment that lets a migration take something away.
const SAFE_BECAUSE: &str = "The version before:";
/// What may be dropped: nothing that a version reads or writes.
const DROPPED_SAFELY: [&str; 7] = [
    "CONSTRAINT",
    "NOT",
    "DEFAULT",
    "INDEX",
    "EXPRESSION",
    "IDENTITY",
    // Made again with more columns in the same transaction.
    "VIEW",
];
/// Migrations that take something away and can have no comment any more, since it would change their checksum. No release is older than they are.
const APPLIED: [&str; 1] = ["services/order-intake/migrations/0002_slots.sql"];

/// Queries that do not begin with a comment.
pub fn unexplained_queries(repository: &Repository) -> Vec<Fault> {
    queries(repository)
        .filter(|(_, text)| !text.trim_start().starts_with("--"))
        .map(|(path, _)| {
            Fault::of_file(
                path,
                "does not begin with a comment: say what it does and what it relies on",
            )
        })
        .collect()
}

/// Queries that no code includes.
pub fn unused_queries(repository: &Repository) -> Vec<Fault> {
    let included: BTreeSet<String> = repository
        .ending(".rs")
        .flat_map(|(path, text)| {
            let code = RustSource::parse(text).code;
            let names: Vec<String> = INCLUDED
                .find_iter(&code)
                .filter_map(|found| text[found.end()..].split('"').next())
                .filter_map(|name| beside(path, name))
                .collect();
            names
        })
        .collect();
    queries(repository)
        .filter(|(path, _)| !included.contains(*path))
        .map(|(path, _)| Fault::of_file(path, "no code includes it: use it or remove it"))
        .collect()
}

fn queries(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository
        .ending(".sql")
        .filter(|(path, _)| path.contains("/queries/"))
}

/// Queries that read every column of a stored table or view: a statement that is prepared fails from the migration that adds one until its connection ends.
pub fn unnamed_columns(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in queries(repository) {
        let tokens = words(text);
        for index in 0..tokens.len() {
            if let Some(relation) = every_column_of(&tokens, index) {
                let what = format!("reads every column of {relation}: name those that are needed");
                faults.push(Fault::at(path, text, tokens[index].1, what));
            }
        }
    }
    faults
}

/// What stands after `SELECT * FROM`, unless the statement itself says what its columns are.
fn every_column_of(tokens: &Tokens, index: usize) -> Option<&str> {
    let at = |steps: usize| word(tokens, Some(index + steps));
    let relation = at(3);
    let is_named_here = relation == "("
        || at(4) == "("
        || tokens
            .windows(2)
            .any(|pair| pair[0].0 == relation && pair[1].0 == "AS");
    ((at(0), at(1), at(2)) == ("SELECT", "*", "FROM") && !is_named_here).then_some(relation)
}

/// Constraints in migrations that have no name.
pub fn unnamed_constraints(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in migrations(repository) {
        let tokens = words(text);
        for (index, (word, place)) in tokens.iter().enumerate() {
            if is_constraint(&tokens, index) && !is_named(&tokens, index) {
                let what = format!(
                    "a {word} without a name: write CONSTRAINT and a name that says what holds"
                );
                faults.push(Fault::at(path, text, *place, what));
            }
        }
    }
    faults
}

/// Migrations that take something away from the version before, which goes on running beside the new one during a rolling update and after a roll-back.
pub fn contracting_migrations(repository: &Repository) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in migrations(repository) {
        let tokens = words(text);
        let found: Vec<Fault> = (0..tokens.len())
            .filter_map(|index| Some((tokens[index].1, takes_away(&tokens, index)?)))
            .filter(|(place, _)| !is_explained(text, *place))
            .map(|(place, what)| {
                let what = format!(
                    "{what} that the version before may need: expand now and take away one release later, or say above it, after `-- {SAFE_BECAUSE}`, why that version does without"
                );
                Fault::at(path, text, place, what)
            })
            .collect();
        match (APPLIED.contains(&path), found.is_empty()) {
            (false, _) => faults.extend(found),
            (true, true) => faults.push(Fault::of_file(
                path,
                "takes nothing away: remove it from the exceptions in tests/tidy/src/sql.rs",
            )),
            (true, false) => {}
        }
    }
    faults
}

/// What a statement takes away at this word, if it does.
fn takes_away(tokens: &Tokens, index: usize) -> Option<&'static str> {
    let before = |steps: usize| word(tokens, index.checked_sub(steps));
    let after = |steps: usize| word(tokens, Some(index + steps));
    match tokens[index].0.as_str() {
        // What else can be dropped is looser afterwards, or no more than slower. The word COLUMN may be left out.
        "DROP" => (!DROPPED_SAFELY.contains(&after(1))).then_some("drops something"),
        "RENAME" => Some("renames something"),
        "SET" => ((after(1), after(2)) == ("NOT", "NULL")).then_some("forbids a NULL"),
        "TYPE" => (before(1) == "DATA" || matches!(before(2), "ALTER" | "COLUMN"))
            .then_some("changes the type of something"),
        _ => None,
    }
}

/// Whether the comment right above a line says why it is safe, in more than a word or two.
fn is_explained(text: &str, place: usize) -> bool {
    let line = text[..place].rfind('\n').map_or(0, |end| end + 1);
    text[..line]
        .lines()
        .rev()
        .map(str::trim)
        .map_while(|line| line.strip_prefix("--"))
        .filter_map(|comment| comment.trim().strip_prefix(SAFE_BECAUSE))
        .any(|why| why.split_whitespace().count() >= 4)
}

fn migrations(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository
        .ending(".sql")
        .filter(|(path, _)| path.contains("/migrations/"))
}

/// The words of a statement and where they stand, without comments.
fn words(text: &str) -> Vec<(String, usize)> {
    TOKEN
        .find_iter(text)
        .filter(|token| !token.as_str().starts_with("--") && !token.as_str().starts_with("/*"))
        .map(|token| (token.as_str().to_ascii_uppercase(), token.start()))
        .collect()
}

type Tokens = [(String, usize)];

fn word(tokens: &Tokens, index: Option<usize>) -> &str {
    index
        .and_then(|index| tokens.get(index))
        .map_or("", |(word, _)| word.as_str())
}

fn is_constraint(tokens: &Tokens, index: usize) -> bool {
    let before = word(tokens, index.checked_sub(1));
    let after = word(tokens, Some(index + 1));
    match tokens[index].0.as_str() {
        "PRIMARY" | "FOREIGN" => after == "KEY",
        // An index has its own name; USING makes a constraint of one.
        "UNIQUE" => before != "CREATE",
        // `WITH CHECK` belongs to a policy.
        "CHECK" => before != "WITH",
        "EXCLUDE" => matches!(after, "USING" | "("),
        "REFERENCES" => !follows_foreign_key(tokens, index),
        _ => false,
    }
}

fn is_named(tokens: &Tokens, index: usize) -> bool {
    word(tokens, index.checked_sub(2)) == "CONSTRAINT"
}

/// Whether the columns of a FOREIGN KEY, which carries the name, stand before this REFERENCES.
fn follows_foreign_key(tokens: &Tokens, references: usize) -> bool {
    let before = &tokens[..references];
    if before.last().is_none_or(|(word, _)| word != ")") {
        return false;
    }
    let opening = before.iter().rposition(|(word, _)| word == "(");
    word(tokens, opening.and_then(|place| place.checked_sub(2))) == "FOREIGN"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    #[test]
    fn a_query_begins_with_a_comment() {
        let repository = repository(&[
            ("a/queries/said.sql", "\n-- Why.\nSELECT 1"),
            ("a/queries/bare.sql", "SELECT 1 -- why"),
        ]);
        assert_eq!(
            places(&unexplained_queries(&repository)),
            ["a/queries/bare.sql:1"]
        );
    }

    #[test]
    fn a_query_is_used_by_code_and_a_mention_is_no_use() {
        let repository = repository(&[
            ("a/queries/used.sql", "-- x"),
            ("a/queries/checked.sql", "-- x"),
            ("a/queries/mentioned.sql", "-- x"),
            (
                "a/src/store/mod.rs",
                "query(include_str!(\"../../queries/used.sql\"));\nquery_file_as!(Row, \"../../queries/checked.sql\");\n// include_str!(\"../../queries/mentioned.sql\")",
            ),
        ]);
        assert_eq!(
            places(&unused_queries(&repository)),
            ["a/queries/mentioned.sql:1"]
        );
    }

    #[test]
    fn every_column_is_read_of_what_the_statement_makes_itself_alone() {
        let repository = repository(&[
            (
                "a/queries/stored.sql",
                "-- x\nSELECT * FROM campaign_states WHERE a = 1",
            ),
            (
                "a/queries/inside.sql",
                "-- x\nWITH made AS (SELECT a FROM b) SELECT a FROM made JOIN (\n SELECT * FROM stored) AS c",
            ),
            (
                "a/queries/made.sql",
                "-- SELECT * FROM stored\nWITH made AS (SELECT a FROM b) SELECT * FROM made, (SELECT * FROM unnest($1)) AS c",
            ),
        ]);
        assert_eq!(
            places(&unnamed_columns(&repository)),
            ["a/queries/stored.sql:2", "a/queries/inside.sql:3"]
        );
    }

    #[test]
    fn bare_constraints_are_found() {
        let text = "CREATE TABLE a (\n b int PRIMARY KEY,\n c int UNIQUE,\n d int CHECK (d > 0),\n e int REFERENCES f (g),\n UNIQUE (b, c),\n FOREIGN KEY (e) REFERENCES f (g),\n h int CONSTRAINT named PRIMARY KEY CHECK (h > 0)\n);";
        let repository = repository(&[("a/migrations/1.sql", text)]);
        let lines: Vec<usize> = unnamed_constraints(&repository)
            .into_iter()
            .map(|fault| fault.line)
            .collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_migration_that_takes_something_away_is_found() {
        let text = "ALTER TABLE a DROP COLUMN b;\nALTER TABLE a DROP c;\nDROP TABLE d;\nALTER TABLE a RENAME TO e;\nALTER TABLE a ALTER COLUMN b SET NOT NULL;\nALTER TABLE a ALTER b TYPE bigint;\nALTER TABLE a ALTER b SET DATA TYPE bigint;\n-- The version before: never.\nDROP TABLE f;";
        let repository = repository(&[("a/migrations/2.sql", text)]);
        let lines: Vec<usize> = contracting_migrations(&repository)
            .into_iter()
            .map(|fault| fault.line)
            .collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 9]);
    }

    #[test]
    fn a_migration_that_expands_or_says_why_it_is_safe_passes() {
        let text = "CREATE TYPE a AS ENUM ();\nALTER TABLE b ADD COLUMN c int NOT NULL DEFAULT 0, ALTER d DROP NOT NULL, DROP CONSTRAINT e, ALTER f SET DEFAULT 1;\nDROP INDEX g;\nCREATE TABLE h (type text);\n-- RENAME\nUPDATE b SET type = 'DROP TABLE';\n-- The version before: has not read this column since it began to read c.\n-- It is large.\nALTER TABLE b DROP COLUMN i;";
        assert_eq!(
            contracting_migrations(&repository(&[("a/migrations/2.sql", text)])),
            []
        );
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        let repository = repository(&[(APPLIED[0], "DROP INDEX a;")]);
        assert_eq!(
            places(&contracting_migrations(&repository)),
            [format!("{}:1", APPLIED[0])]
        );
    }

    #[test]
    fn named_constraints_indexes_and_words_in_comments_or_text_pass() {
        let text = "-- a CHECK\nCREATE TABLE a (\n b int CONSTRAINT a_pkey PRIMARY KEY,\n c text DEFAULT 'UNIQUE',\n CONSTRAINT a_f FOREIGN KEY (b, c) REFERENCES f (g, h),\n e int CONSTRAINT a_e REFERENCES f (g)\n);\nCREATE UNIQUE INDEX i ON a (b); /* PRIMARY KEY */";
        assert_eq!(
            unnamed_constraints(&repository(&[("a/migrations/1.sql", text)])),
            []
        );
    }
}
