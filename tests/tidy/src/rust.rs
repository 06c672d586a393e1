//! Rust as the compiler reads it: tokens, without comments and without what only tests see.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::Repository;

/// Each token and the line it begins on.
#[derive(Debug, Default)]
pub struct Source(pub Vec<(String, usize)>);

/// The Rust files that are delivered, without the items in them that only tests see.
pub fn delivered(repository: &Repository) -> impl Iterator<Item = (&str, Source)> {
    let files = repository.ending(".rs");
    let files = files.filter(|(path, _)| !is_of_tests(path));
    files.map(|(path, text)| (path, Source::parse(path, text)))
}

/// Whether a file is compiled for tests only. The top folder `tests` holds crates.
pub fn is_of_tests(path: &str) -> bool {
    let mut below_top = path.split('/').skip(1);
    below_top.any(|name| matches!(name, "tests" | "tests.rs"))
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Self {
        let stream: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
        let mut source = Self::default();
        source.take(stream);
        source
    }

    fn take(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut index = 0;
        while let Some(tree) = trees.get(index) {
            index = match attribute(&trees, index).as_deref() {
                Some("cfg(test)") => end_of_item(&trees, index),
                Some(text) if text.starts_with("doc=") => index + 2,
                _ if is_colon(tree) && trees.get(index + 1).is_some_and(is_colon) => {
                    self.0.push(("::".to_owned(), tree.span().start().line));
                    index + 2
                }
                _ => {
                    self.take_tree(tree);
                    index + 1
                }
            };
        }
    }

    fn take_tree(&mut self, tree: &TokenTree) {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => return self.take(group.stream()),
                };
                self.0.push((open.to_owned(), line));
                self.take(group.stream());
                self.0.push((close.to_owned(), line));
            }
            other => self.0.push((other.to_string(), line)),
        }
    }

    pub fn text(&self, index: usize) -> &str {
        self.0.get(index).map_or(";", |(text, _)| text)
    }

    /// Whether these tokens follow each other from `index` on.
    pub fn reads(&self, index: usize, wanted: &[&str]) -> bool {
        let mut wanted = wanted.iter().zip(index..);
        wanted.all(|(wanted, index)| self.text(index) == *wanted)
    }

    /// The strings, as they are written, and their lines.
    pub fn strings(&self) -> impl Iterator<Item = &(String, usize)> {
        self.0.iter().filter(|(text, _)| text.ends_with(['"', '#']))
    }

    /// All paths that the file at `file` names, such as `crate::store::Store`, and their lines, with the braces of `use` spelled out and
    /// `super` resolved.
    pub fn named_paths(&self, file: &str) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let mut index = 0;
        while index < self.0.len() {
            if self.text(index) == "use" {
                index += 1;
                self.spell_out(&mut index, &[], &mut found);
                continue;
            }
            let begin = index;
            while is_word(self.text(index + 2)) && self.text(index + 1) == "::" {
                index += 2;
            }
            if index > begin {
                let words = self.0[begin..=index].iter().map(|(word, _)| word.as_str());
                found.push((words.collect(), self.0[begin].1));
            }
            index += 1;
        }
        for (path, _) in &mut found {
            *path = resolve(file, path);
        }
        found
    }

    /// Reads one branch of a `use` tree.
    fn spell_out(&self, index: &mut usize, above: &[&str], found: &mut Vec<(String, usize)>) {
        let line = self.0.get(*index).map_or(0, |(_, line)| *line);
        let mut path = above.to_vec();
        loop {
            match self.text(*index) {
                "::" | "*" => {}
                "{" => {
                    while !matches!(self.text(*index), "}" | ";") {
                        *index += 1;
                        self.spell_out(index, &path, found);
                    }
                    *index += 1;
                    return;
                }
                // Behind a path it means that path.
                "self" if !path.is_empty() => {}
                word if is_word(word) && word != "as" => path.push(self.text(*index)),
                _ => break,
            }
            *index += 1;
        }
        if self.text(*index) == "as" {
            *index += 2;
        }
        found.push((path.join("::"), line));
    }
}

/// The inside of the attribute that begins here.
fn attribute(trees: &[TokenTree], index: usize) -> Option<String> {
    match (trees.get(index)?, trees.get(index + 1)?) {
        (TokenTree::Punct(sign), TokenTree::Group(group)) if sign.as_char() == '#' => {
            Some(group.stream().to_string().replace(' ', ""))
        }
        _ => None,
    }
}

/// Behind the item's first semicolon or its first braces.
fn end_of_item(trees: &[TokenTree], begin: usize) -> usize {
    let is_last = |tree: &TokenTree| match tree {
        TokenTree::Punct(sign) => sign.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let last = trees.iter().skip(begin).position(is_last);
    last.map_or(trees.len(), |last| begin + last + 1)
}

fn is_colon(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(sign) if sign.as_char() == ':')
}

fn is_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
        && !text.ends_with(['"', '\'', '#'])
}

/// Turns a path relative to the file's module into one that begins with `crate`.
fn resolve(file: &str, path: &str) -> String {
    if !path.starts_with("super") && !path.starts_with("self") {
        return path.to_owned();
    }
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let (_, module) = stem.split_once("/src/").unwrap_or_default();
    let folders = module.split('/');
    let folders = folders.filter(|name| !["mod", "lib", "main"].contains(name));
    let mut resolved: Vec<&str> = ["crate"].into_iter().chain(folders).collect();
    for step in path.split("::") {
        match step {
            "self" => {}
            "super" => drop(resolved.pop()),
            name => resolved.push(name),
        }
    }
    resolved.join("::")
}
