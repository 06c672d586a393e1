//! The rules of the repository, held over every file that git lists. A fault names the file, the line, and what to do.

use std::path::Path;

use tidegate_tidy::{
    imports, layout, links, manifests,
    repository::{Fault, Repository},
    sql, variables, wording,
};

fn repository() -> Repository {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Repository::read(&root).unwrap_or_else(|error| panic!("{error}"))
}

fn holds(rule: fn(&Repository) -> Vec<Fault>) {
    let faults: Vec<String> = rule(&repository()).iter().map(Fault::to_string).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_listing_sees_code_queries_documents_and_hidden_folders() {
    let repository = repository();
    for path in [
        "Cargo.toml",
        "README.md",
        "services/quota/src/main.rs",
        "services/quota/queries",
        "services/quota/migrations",
        ".cargo/config.toml",
        "tests/run",
    ] {
        assert!(repository.holds(path), "{path} is not listed");
    }
    assert!(!repository.holds("target"), "what is built is listed");
}

#[test]
fn the_top_level_is_the_one_of_the_design() {
    holds(layout::strangers_at_the_top);
}

#[test]
fn rust_files_have_four_hundred_lines_at_most() {
    holds(layout::long_rust_files);
}

#[test]
fn files_have_one_mebibyte_at_most() {
    holds(layout::big_files);
}

#[test]
fn no_private_key_is_committed() {
    holds(layout::private_keys);
}

#[test]
fn every_name_says_what_is_inside() {
    holds(layout::empty_names);
}

#[test]
fn services_and_main_folders_have_a_readme() {
    holds(layout::missing_readmes);
}

#[test]
fn scripts_can_be_started() {
    holds(layout::scripts_without_permission);
}

#[test]
fn no_work_is_left_unfinished() {
    holds(wording::unfinished_work);
}

#[test]
fn a_transaction_on_a_pool_begins_where_nobody_can_drop_it() {
    holds(wording::droppable_transactions);
}

#[test]
fn services_and_shared_crates_do_not_crash_on_purpose() {
    holds(wording::crashes);
}

#[test]
fn nothing_names_the_folders_of_one_machine() {
    holds(wording::machine_paths);
}

#[test]
fn nothing_tells_how_the_project_was_made() {
    holds(wording::stray_words);
}

#[test]
fn imports_inside_a_service_run_one_way() {
    holds(imports::against_the_arrows);
}

#[test]
fn a_status_is_made_at_the_edge_only() {
    holds(imports::statuses_made_elsewhere);
}

#[test]
fn the_domain_is_told_the_time() {
    holds(imports::clocks_in_domains);
}

#[test]
fn dependencies_between_crates_run_one_way() {
    holds(manifests::wrong_dependencies);
}

#[test]
fn every_query_is_explained() {
    holds(sql::unexplained_queries);
}

#[test]
fn every_query_is_used() {
    holds(sql::unused_queries);
}

#[test]
fn no_query_reads_columns_that_it_does_not_name() {
    holds(sql::unnamed_columns);
}

#[test]
fn every_constraint_has_a_name() {
    holds(sql::unnamed_constraints);
}

#[test]
fn a_migration_takes_nothing_from_the_version_before() {
    holds(sql::contracting_migrations);
}

#[test]
fn relative_links_lead_somewhere() {
    holds(links::broken_links);
}

#[test]
fn every_variable_that_code_reads_is_in_a_readme() {
    holds(variables::unexplained_variables);
}

#[test]
fn every_variable_in_a_readme_is_read_by_code() {
    holds(variables::unread_variables);
}

#[test]
fn a_service_explains_its_own_settings() {
    holds(variables::settings_missing_from_their_service);
}
