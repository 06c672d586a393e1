//! The files of the repository, as git lists them, and what is said of a file that breaks a rule.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use crate::rust_source::RustSource;

/// This crate's own sources. The samples in their tests break the rules on purpose, so those tests are not read.
const OWN_SOURCES: &str = "tests/tidy/src/";

/// All files that are committed or would be.
#[derive(Debug, Clone)]
pub struct Repository {
    /// In the order in which git lists them.
    pub files: Vec<File>,
}

#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the top, with `/` between the folders.
    pub path: String,
    pub bytes: usize,
    /// The text; none if the file is not UTF-8.
    pub text: Option<String>,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// A rule broken at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the top.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl Repository {
    /// Reads the files that are tracked, or untracked and not ignored, in the repository at `root`.
    ///
    /// # Errors
    /// Git is missing or `root` is not its working tree; a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!(
                "git cannot list the files of {}, so the rules cannot be checked: {}",
                root.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        let listed = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
        // A file in conflict is listed once for each side.
        paths.dedup();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match read_file(root, path) {
                Ok(file) => files.extend(file),
                // Deleted, and the deletion is not committed yet.
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { files })
    }

    /// The files that are text, with it.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// The text files whose names end so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts().filter(move |(path, _)| path.ends_with(end))
    }

    /// Whether there is a file, or a folder with a file in it, of this path.
    pub fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

fn read_file(root: &Path, path: &str) -> io::Result<Option<File>> {
    let on_disk = root.join(path);
    let facts = fs::symlink_metadata(&on_disk)?;
    if !facts.is_file() {
        return Ok(None);
    }
    let executable = facts.permissions().mode() & 0o100 != 0;
    Ok(Some(File::new(path, fs::read(on_disk)?, executable)))
}

impl File {
    /// A file of these contents.
    pub fn new(path: &str, contents: Vec<u8>, executable: bool) -> Self {
        let bytes = contents.len();
        let text = String::from_utf8(contents).ok().map(|text| {
            if path.starts_with(OWN_SOURCES) {
                RustSource::parse(&text).blank_tests_in(&text)
            } else {
                text
            }
        });
        Self {
            path: path.to_owned(),
            bytes,
            text,
            executable,
        }
    }
}

impl Fault {
    /// A fault of the line that holds the byte at `place` of `text`.
    pub fn at(path: &str, text: &str, place: usize, what: impl Into<String>) -> Self {
        let before = &text.as_bytes()[..place];
        Self::on_line(
            path,
            1 + before.iter().filter(|byte| **byte == b'\n').count(),
            what,
        )
    }

    /// A fault of a line.
    pub fn on_line(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }

    /// A fault of a file as a whole.
    pub fn of_file(path: &str, what: impl Into<String>) -> Self {
        Self::on_line(path, 1, what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::repository;

    #[test]
    fn a_fault_names_the_line_it_is_on() {
        let fault = Fault::at("a.rs", "one\ntwo\nthree", 5, "wrong");
        assert_eq!(fault.to_string(), "a.rs:2: wrong");
    }

    #[test]
    fn a_folder_is_held_if_a_file_is_in_it() {
        let repository = repository(&[("shared/types/src/lib.rs", "")]);
        assert!(repository.holds("shared/types") && repository.holds("shared/types/src/lib.rs"));
        assert!(!repository.holds("shared/type") && !repository.holds("src"));
    }

    #[test]
    fn samples_of_this_crate_are_not_read_and_those_of_others_are() {
        let text = "fn kept() {}\n#[cfg(test)]\nmod tests { fn sample() {} }\n";
        let own = File::new("tests/tidy/src/links.rs", text.into(), false);
        assert!(!own.text.unwrap().contains("sample"));
        let other = File::new("services/quota/src/lib.rs", text.into(), false);
        assert!(other.text.unwrap().contains("sample"));
    }

    #[test]
    fn a_folder_without_git_is_refused_with_its_name() {
        let refusal = Repository::read(Path::new("/proc"))
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("git") && refusal.contains("/proc"),
            "{refusal}"
        );
    }
}
