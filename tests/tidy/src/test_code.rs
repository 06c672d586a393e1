//! Which Rust is only ever compiled for tests.

use crate::{repository::Repository, rust_source::RustSource};

/// The Rust files that are delivered, without the items in them that only tests see.
pub fn delivered(repository: &Repository) -> Vec<(&str, RustSource)> {
    let sources: Vec<(&str, RustSource)> = repository
        .ending(".rs")
        .map(|(path, text)| (path, RustSource::parse(text)))
        .collect();
    let test_modules: Vec<String> = sources
        .iter()
        .flat_map(|(path, source)| {
            let folder = module_folder(path);
            source
                .test_modules()
                .into_iter()
                .map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    sources
        .iter()
        .filter(|(path, _)| !in_test_target(path) && !in_modules(path, &test_modules))
        .map(|(path, source)| (*path, source.without_tests()))
        .collect()
}

/// Whether a file belongs to a test target of its crate: it lies in the folder `tests` beside a manifest's `src`.
pub fn in_test_target(path: &str) -> bool {
    // The top folder `tests` holds crates; only what is deeper is a target.
    path.split('/').skip(1).any(|folder| folder == "tests") && !path.contains("/src/")
}

fn in_modules(path: &str, modules: &[String]) -> bool {
    modules.iter().any(|module| {
        path.strip_prefix(module.as_str())
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

/// The folder that holds the modules declared in a file.
pub fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::repository;

    #[test]
    fn files_of_test_modules_and_test_targets_are_not_delivered() {
        let repository = repository(&[
            (
                "services/quota/src/lib.rs",
                "mod store;\n#[cfg(test)]\nmod samples;",
            ),
            ("services/quota/src/samples.rs", ""),
            ("services/quota/src/samples_of_tea.rs", ""),
            ("services/quota/src/store.rs", "#[cfg(test)]\nmod tests;"),
            ("services/quota/src/store/tests.rs", "mod plan;"),
            ("services/quota/src/store/tests/plan.rs", ""),
            ("services/quota/src/tests/kept.rs", ""),
            ("services/quota/tests/store/main.rs", ""),
            ("tests/e2e/tests/claims.rs", ""),
            ("tests/e2e/src/lib.rs", ""),
        ]);
        let paths: Vec<&str> = delivered(&repository)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(
            paths,
            [
                "services/quota/src/lib.rs",
                "services/quota/src/samples_of_tea.rs",
                "services/quota/src/store.rs",
                "services/quota/src/tests/kept.rs",
                "tests/e2e/src/lib.rs",
            ]
        );
    }
}
