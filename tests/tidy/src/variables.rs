//! The environment variables that programs read, and the documents that explain them.

use std::collections::BTreeMap;

use crate::{
    Repository, pattern, place,
    rust::{Source, delivered},
};

const VARIABLE: &str = r"\bTIDEGATE_[A-Z0-9]+(?:_[A-Z0-9]+)*\b";

/// Each variable, and where it was met, as `path:line`.
type Places = BTreeMap<String, String>;

/// Variables that code reads and no README names.
pub fn unexplained_variables(repository: &Repository) -> Vec<String> {
    let (wanted, there) = (read_by_code(repository), in_readmes(repository));
    missing(&wanted, &there, "is read here and no README names it")
}

/// Variables that a README names and no code reads.
pub fn unread_variables(repository: &Repository) -> Vec<String> {
    let (wanted, there) = (in_readmes(repository), read_by_code(repository));
    missing(&wanted, &there, "is named here and no code reads it")
}

/// Settings that a service's own code reads and its own README does not name.
pub fn settings_missing_from_their_service(repository: &Repository) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, source) in delivered(repository) {
        let Some((service, _)) = path.split_once("/src/") else {
            continue;
        };
        if service.starts_with("services/") {
            let explained = in_files(repository, &format!("{service}/README.md"));
            let what = "is read here and its service's README does not name it";
            faults.extend(missing(&in_strings(path, &source), &explained, what));
        }
    }
    faults
}

fn missing(wanted: &Places, there: &Places, what: &str) -> Vec<String> {
    let wanted = wanted.iter().filter(|(name, _)| !there.contains_key(*name));
    wanted
        .map(|(name, place)| format!("{place}: {name} {what}"))
        .collect()
}

fn in_readmes(repository: &Repository) -> Places {
    in_files(repository, "README.md")
}

fn in_files(repository: &Repository, end: &str) -> Places {
    let files = repository.ending(end);
    files.flat_map(|(path, text)| in_text(path, text)).collect()
}

/// Names in the strings of Rust, and in scripts outside their comments.
fn read_by_code(repository: &Repository) -> Places {
    let (mut places, comment) = (Places::new(), pattern(r"(?m)^\s*#.*$"));
    let files = repository.ending("");
    for (path, text) in files.filter(|(_, text)| text.contains("TIDEGATE_")) {
        if path.starts_with("tests/tidy/") {
            // Its samples are nobody's variables.
        } else if path.ends_with(".rs") {
            let all = text.replace("#[cfg(test)]", "");
            places.extend(in_strings(path, &Source::parse(path, &all)));
        } else if text.starts_with("#!/") {
            places.extend(in_text(path, &comment.replace_all(text, "")));
        }
    }
    places
}

fn in_strings(path: &str, source: &Source) -> Places {
    let (variable, mut places) = (pattern(VARIABLE), Places::new());
    for (text, line) in source.strings() {
        let names = variable.find_iter(text);
        places.extend(names.map(|name| (name.as_str().to_owned(), format!("{path}:{line}"))));
    }
    places
}

fn in_text(path: &str, text: &str) -> Places {
    let variable = pattern(VARIABLE);
    let names = variable.find_iter(text);
    names
        .map(|name| (name.as_str().to_owned(), place(path, text, name.start())))
        .collect()
}
