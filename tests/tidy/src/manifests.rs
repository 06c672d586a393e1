//! Which crate may depend on which.

use std::collections::BTreeMap;

use crate::repository::{Fault, Repository};

const OUR_PREFIX: &str = "tidegate-";

#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    package: String,
    /// Names of crates, with the line that names each. Those for tests and build scripts count as well.
    dependencies: Vec<(String, usize)>,
}

/// Dependencies that point the wrong way: from `proto` to any crate of ours; from `shared` to anything but `shared` and `proto`; from a
/// service to another service, or to `deploy` and `tests`.
pub fn wrong_dependencies(repository: &Repository) -> Vec<Fault> {
    let manifests: Vec<(&str, Manifest)> = repository
        .ending("/Cargo.toml")
        .map(|(path, text)| (path, parse(text)))
        .collect();
    let homes: BTreeMap<&str, &str> = manifests
        .iter()
        .map(|(path, manifest)| (manifest.package.as_str(), top_folder(path)))
        .collect();
    let mut faults = Vec::new();
    for (path, manifest) in &manifests {
        let allowed: &[&str] = match top_folder(path) {
            "proto" => &[],
            "shared" | "services" => &["shared", "proto"],
            _ => continue,
        };
        for (name, line) in &manifest.dependencies {
            let ours = name.starts_with(OUR_PREFIX) && *name != manifest.package;
            let home = homes.get(name.as_str()).copied().unwrap_or_default();
            if ours && !allowed.contains(&home) {
                let what = format!(
                    "{} depends on {name}, which it must not know",
                    manifest.package
                );
                faults.push(Fault::on_line(path, *line, what));
            }
        }
    }
    faults
}

fn top_folder(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// Reads the package's name and the keys of all tables of dependencies.
fn parse(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    let mut table = "";
    for (line, words) in text.lines().enumerate() {
        let words = words.split('#').next().unwrap_or_default().trim();
        if let Some(header) = words
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            table = header;
            // `[dependencies.name]` is a table of one dependency.
            if let Some((before, name)) = header
                .rsplit_once('.')
                .filter(|(before, _)| is_dependencies(before))
            {
                table = before;
                manifest.dependencies.push((name.to_owned(), line + 1));
            }
            continue;
        }
        let Some((key, value)) = words.split_once('=') else {
            continue;
        };
        let key = key.trim();
        if table == "package" && key == "name" {
            manifest.package = value.trim().trim_matches('"').to_owned();
        }
        if is_dependencies(table) {
            let renamed = value
                .split("package = \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let name = renamed.or_else(|| key.split('.').next()).unwrap_or(key);
            manifest.dependencies.push((name.to_owned(), line + 1));
        }
    }
    manifest
}

fn is_dependencies(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or_default();
    matches!(
        last,
        "dependencies" | "dev-dependencies" | "build-dependencies"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{places, repository};

    const QUOTA: (&str, &str) = (
        "services/quota/Cargo.toml",
        "[package]\nname = \"tidegate-quota\"\n[dependencies]\ntidegate-types.workspace = true\ntonic = \"1\"",
    );
    const TYPES: (&str, &str) = (
        "shared/types/Cargo.toml",
        "[package]\nname = \"tidegate-types\"",
    );

    #[test]
    fn what_a_service_may_know_passes() {
        assert!(wrong_dependencies(&repository(&[QUOTA, TYPES])).is_empty());
    }

    #[test]
    fn a_service_depends_on_no_other_service_not_even_in_its_tests() {
        let gateway = "[package]\nname = \"tidegate-gateway\"\n[dev-dependencies]\ntidegate-quota.workspace = true\n[target.'cfg(unix)'.dependencies]\nq = { package = \"tidegate-quota\", path = \"x\" }\n[dependencies.tidegate-quota]\nworkspace = true";
        let repository = repository(&[QUOTA, TYPES, ("services/gateway/Cargo.toml", gateway)]);
        let path = "services/gateway/Cargo.toml";
        assert_eq!(
            places(&wrong_dependencies(&repository)),
            [
                format!("{path}:4"),
                format!("{path}:6"),
                format!("{path}:7")
            ]
        );
    }

    #[test]
    fn shared_depends_on_no_service_and_proto_on_nothing_of_ours() {
        let repository = repository(&[
            QUOTA,
            TYPES,
            (
                "shared/rpc/Cargo.toml",
                "[package]\nname = \"tidegate-rpc\"\n[dependencies]\ntidegate-types.workspace = true\ntidegate-quota = { path = \"x\" } # why",
            ),
            (
                "proto/Cargo.toml",
                "[package]\nname = \"tidegate-proto\"\n[dependencies]\ntidegate-types = \"1\"",
            ),
        ]);
        assert_eq!(
            places(&wrong_dependencies(&repository)),
            ["shared/rpc/Cargo.toml:5", "proto/Cargo.toml:4"]
        );
    }
}
