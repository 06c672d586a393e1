//! The paths that code names, with the braces of `use` trees spelled out and `super` resolved.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::{rust_source::pattern, test_code::module_folder};

static USE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)(?:^|[\s;{}])use\s+([^;]+);"));
static INLINE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+"));

/// A path that a file names, and the byte where it does (for a `use`, where that begins).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// Such as `crate::store::Store` or `tonic::Status`.
    pub path: String,
    pub place: usize,
}

impl NamedPath {
    /// Whether the path is `root` or lies under it.
    pub fn is_under(&self, root: &str) -> bool {
        self.path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// All paths that the code of the file at `file` names.
pub fn named_paths(file: &str, code: &str) -> Vec<NamedPath> {
    let mut paths = Vec::new();
    for found in USE.captures_iter(code) {
        if let Some(tree) = found.get(1) {
            spell_out("", tree.as_str(), &mut |path| {
                paths.push(NamedPath {
                    path: resolve(file, path),
                    place: tree.start(),
                });
            });
        }
    }
    let elsewhere = without_uses(code);
    paths.extend(INLINE.find_iter(&elsewhere).map(|found| NamedPath {
        path: resolve(file, &found.as_str().split_whitespace().collect::<String>()),
        place: found.start(),
    }));
    paths
}

/// The code with its `use`s blanked: a branch of a tree is no path by itself.
fn without_uses(code: &str) -> String {
    USE.replace_all(code, |tree: &Captures<'_>| {
        tree[0]
            .chars()
            .map(|letter| {
                if letter == '\n' {
                    "\n".to_owned()
                } else {
                    " ".repeat(letter.len_utf8())
                }
            })
            .collect::<String>()
    })
    .into_owned()
}

/// Calls `found` with each path of a `use` tree.
fn spell_out(prefix: &str, tree: &str, found: &mut impl FnMut(&str)) {
    for branch in branches(tree) {
        match branch.split_once('{') {
            Some((head, inside)) => {
                let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
                let head = head.trim().trim_end_matches("::");
                spell_out(&join(prefix, head), inside, found);
            }
            None => {
                let path = branch.split_whitespace().next().unwrap_or_default();
                if !path.is_empty() {
                    found(&join(prefix, path.trim_start_matches("::")));
                }
            }
        }
    }
}

/// Splits at the commas outside braces.
fn branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut branches) = (0usize, 0, Vec::new());
    for (place, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(&tree[begin..place]);
                begin = place + 1;
            }
            _ => (),
        }
    }
    branches.push(&tree[begin..]);
    branches
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "self" | "") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}::{path}"),
    }
}

/// Turns a path relative to the file's module into one that begins with `crate`.
fn resolve(file: &str, path: &str) -> String {
    let mut steps = path.split("::").peekable();
    if !matches!(steps.peek(), Some(&("super" | "self"))) {
        return path.to_owned();
    }
    let module = match module_folder(file).split_once("/src/") {
        Some((_, module)) => module,
        None => "",
    };
    let mut resolved: Vec<&str> = std::iter::once("crate")
        .chain(module.split('/').filter(|name| !name.is_empty()))
        .collect();
    for step in steps {
        match step {
            "self" => (),
            "super" => {
                resolved.pop();
            }
            name => resolved.push(name),
        }
    }
    resolved.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(file: &str, code: &str) -> Vec<String> {
        named_paths(file, code)
            .into_iter()
            .map(|named| named.path)
            .collect()
    }

    #[test]
    fn use_trees_are_spelled_out() {
        assert_eq!(
            paths(
                "services/quota/src/lib.rs",
                "pub use crate::{error::Error, grpc::{self, status as words}, lib};\nuse tonic;"
            ),
            [
                "crate::error::Error",
                "crate::grpc",
                "crate::grpc::status",
                "crate::lib",
                "tonic"
            ]
        );
    }

    #[test]
    fn relative_paths_are_resolved() {
        let file = "services/quota/src/domain/lease.rs";
        assert_eq!(paths(file, "use super::super::store;"), ["crate::store"]);
        assert_eq!(paths(file, "super::super::store::f()"), ["crate::store::f"]);
        assert_eq!(
            paths(file, "use self::tier::Tier;")[0],
            "crate::domain::lease::tier::Tier"
        );
        assert_eq!(
            paths(
                "services/quota/src/domain/mod.rs",
                "use super::grpc::{Call};"
            )[0],
            "crate::grpc::Call"
        );
    }

    #[test]
    fn paths_inside_code_are_found_and_other_words_are_not() {
        assert_eq!(
            paths(
                "a/src/b.rs",
                "let x: tonic::Status = causes(sqlx :: Error);"
            ),
            ["tonic::Status", "sqlx::Error"]
        );
        assert!(paths("a/src/b.rs", "because(x);").is_empty());
    }

    #[test]
    fn a_path_is_under_its_root_and_not_under_the_beginning_of_a_name() {
        let path = NamedPath {
            path: "tonic_types::Details".into(),
            place: 0,
        };
        assert!(path.is_under("tonic_types") && !path.is_under("tonic"));
    }
}
