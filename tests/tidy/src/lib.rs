//! The rules of this repository. Each is a pure function from the files that git lists to the faults found in them; `tests/repository.rs`
//! holds them over the repository itself, and over the broken ones of `samples.txt`.

use std::{fs, io, path::Path, process::Command};

use regex::Regex;

pub mod layers;
pub mod layout;
pub mod links;
pub mod manifests;
mod rust;
pub mod sql;
pub mod variables;
pub mod wording;

/// All files that are committed or would be.
#[derive(Debug, Default)]
pub struct Repository {
    pub files: Vec<File>,
}

#[derive(Debug)]
pub struct File {
    /// Relative to the top, with `/` between the folders.
    pub path: String,
    pub bytes: usize,
    /// Empty if the file is not UTF-8.
    pub text: String,
}

impl Repository {
    /// Reads the files that are tracked, or untracked and not ignored, in the repository at `root`.
    ///
    /// # Errors
    /// Git is missing or `root` is not its working tree; a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let listing = "ls-files -z --cached --others --exclude-standard".split(' ');
        let mut git = Command::new("git");
        let output = git.args(listing).current_dir(root).output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("git lists no files: {reason}")));
        }
        let listed = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        let mut repository = Self::default();
        for path in listed.split_terminator('\0') {
            match fs::read(root.join(path)) {
                Ok(contents) => repository.add(path, contents),
                // Deleted, and the deletion is not committed yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                Err(error) => return Err(error),
            }
        }
        Ok(repository)
    }

    pub fn add(&mut self, path: &str, contents: Vec<u8>) {
        self.files.push(File {
            path: path.to_owned(),
            bytes: contents.len(),
            text: String::from_utf8(contents).unwrap_or_default(),
        });
    }

    /// The paths and texts of the files whose paths end so.
    fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter().filter(move |it| it.path.ends_with(end));
        files.map(|it| (it.path.as_str(), it.text.as_str()))
    }

    /// Whether there is a file, or a folder with a file in it, of this path.
    pub fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        let mut paths = self.files.iter().map(|file| &file.path);
        path.is_empty() || paths.any(|other| other == path || other.starts_with(&folder))
    }
}

/// Says what is wrong on the line that holds the byte at `at`, and what to do.
fn fault(path: &str, text: &str, at: usize, what: impl AsRef<str>) -> String {
    format!("{}: {}", place(path, text, at), what.as_ref())
}

fn place(path: &str, text: &str, at: usize) -> String {
    format!("{path}:{}", 1 + text[..at].matches('\n').count())
}

/// A pattern that is written in this crate's source.
fn pattern(expression: &str) -> Regex {
    Regex::new(expression).unwrap_or_else(|error| panic!("a pattern is wrong: {error}"))
}
