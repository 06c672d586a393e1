//! The rules of the repository, held over every file that git lists. A fault names the file, the line, and what to do.

use std::{collections::BTreeSet, path::Path};

use tidegate_tidy::{Repository, layout};

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

/// Two tests for each rule: the repository holds it, and in its samples it finds the marked lines and no other.
macro_rules! hold {
    ($($sample:ident, $fact:ident: $rule:path;)*) => {
        $(#[test]
        fn $fact() {
            let faults = $rule(&repository());
            assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
        })*
        mod finds {
            $(#[test]
            fn $sample() {
                super::finds_what_is_marked($rule, stringify!($sample));
            })*
        }
    };
}

hold! {
    top_level, the_top_level_is_the_one_of_the_design: tidegate_tidy::layout::strangers_at_the_top;
    names, every_name_says_what_is_inside: tidegate_tidy::layout::empty_names;
    readmes, services_and_main_folders_have_a_readme: tidegate_tidy::layout::missing_readmes;
    wording, what_never_goes_in_is_not_in: tidegate_tidy::wording::banned_words;
    arrows, imports_inside_a_service_run_one_way: tidegate_tidy::layers::against_the_arrows;
    statuses, a_status_is_made_at_the_edge_only: tidegate_tidy::layers::statuses_made_elsewhere;
    clocks, the_domain_is_told_the_time: tidegate_tidy::layers::clocks_in_domains;
    transactions, a_transaction_on_a_pool_begins_where_nobody_can_drop_it: tidegate_tidy::layers::droppable_transactions;
    dependencies, dependencies_between_crates_run_one_way: tidegate_tidy::manifests::wrong_dependencies;
    explained_queries, every_query_is_explained: tidegate_tidy::sql::unexplained_queries;
    used_queries, every_query_is_used: tidegate_tidy::sql::unused_queries;
    columns, no_query_reads_columns_that_it_does_not_name: tidegate_tidy::sql::unnamed_columns;
    constraints, every_constraint_has_a_name: tidegate_tidy::sql::unnamed_constraints;
    migrations, a_migration_takes_nothing_from_the_version_before: tidegate_tidy::sql::contracting_migrations;
    links, relative_links_lead_somewhere: tidegate_tidy::links::broken_links;
    unexplained_variables, every_variable_that_code_reads_is_in_a_readme: tidegate_tidy::variables::unexplained_variables;
    unread_variables, every_variable_in_a_readme_is_read_by_code: tidegate_tidy::variables::unread_variables;
    settings, a_service_explains_its_own_settings: tidegate_tidy::variables::settings_missing_from_their_service;
}

#[test]
fn files_have_one_mebibyte_at_most() {
    let mut repository = repository();
    assert_eq!(layout::big_files(&repository), Vec::<String>::new());
    repository.add("a.bin", vec![0xff; 1 << 20]);
    repository.add("b.bin", vec![0xff; (1 << 20) + 1]);
    assert_eq!(layout::big_files(&repository).len(), 1);
}

fn finds_what_is_marked(rule: fn(&Repository) -> Vec<String>, name: &str) {
    let (repository, marked) = sample(name);
    assert!(!marked.is_empty(), "nothing is marked in the sample {name}");
    let faults = rule(&repository);
    let place = |fault: &String| fault.split(": ").next().map(str::to_owned);
    let found: BTreeSet<String> = faults.iter().filter_map(place).collect();
    assert_eq!(found, marked, "{faults:?}");
}

/// The files of a sample, and its marked lines as `path:line`.
fn sample(name: &str) -> (Repository, BTreeSet<String>) {
    let samples = include_str!("../samples.txt").split("\n==== ");
    let mut own = samples.filter_map(|sample| sample.strip_prefix(name)?.strip_prefix('\n'));
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
