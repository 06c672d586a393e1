//! Which crate may depend on which.

use crate::{Repository, fault, pattern};

/// A line that names a crate of ours, in whatever form and table of dependencies.
const OURS: &str = r#"(?m)^(?:\[.*dependencies\.)?(?:\w+\s*=.*package\s*=\s*")?(tidegate-[a-z-]+)"#;
/// What the tests of `shared` and `services` share.
const KIT: &str = "tidegate-test-kit";

/// Dependencies that point the wrong way: from `proto` to any crate of ours; from `shared`, `services` and the kit of their tests to
/// anything but `shared` and `proto`. Tests of `shared` and `services` may use the kit as well, and nothing else.
pub fn wrong_dependencies(repository: &Repository) -> Vec<String> {
    let (ours, mut faults) = (pattern(OURS), Vec::new());
    for (path, text) in repository.ending("/Cargo.toml") {
        let allowed: &[&str] = match path.split('/').next() {
            Some("proto") => &[],
            Some("shared" | "services") => &["shared", "proto"],
            _ if path == "tests/kit/Cargo.toml" => &["shared", "proto"],
            _ => continue,
        };
        for name in ours.captures_iter(text).filter_map(|found| found.get(1)) {
            let before = text.get(..name.start()).unwrap_or_default();
            let table = before.rsplit("\n[").next().unwrap_or_default();
            let is_kit = name.as_str() == KIT && table.starts_with("dev-dependencies]");
            if is_kit && !allowed.is_empty() {
                continue;
            }
            if !allowed.contains(&home(repository, name.as_str())) {
                let what = format!("depends on {}, which it must not know", name.as_str());
                faults.push(fault(path, text, name.start(), what));
            }
        }
    }
    faults
}

/// The top folder that a crate lies in.
fn home<'a>(repository: &'a Repository, package: &str) -> &'a str {
    let named = format!("name = \"{package}\"");
    let mut manifests = repository.ending("/Cargo.toml");
    let own = manifests.find(|(_, text)| text.lines().any(|line| line == named));
    own.and_then(|(path, _)| path.split('/').next())
        .unwrap_or_default()
}
