//! As much reading of Rust as the rules need, and no more: it leans on rustfmt's layout, which `./test` checks first. Must
//! not live here: rules.

/// A file of the repository.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A function with its place and length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// The line of its `fn`, from 1.
    pub(super) line: usize,
    pub(super) length: usize,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        Self { path, text }
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let in_test_directory = self.path.starts_with("tests/") || self.path.contains("/tests/");
        in_test_directory || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// The lines with their numbers, without comments and without items that only tests (or the test kit) have.
    pub(super) fn product_code(&self) -> Vec<(usize, &str)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut code = Vec::new();
        let mut skipping: Option<Skip> = None;
        for (index, line) in self.text.lines().enumerate() {
            if let Some(skip) = &mut skipping {
                if skip.ends_with(line) {
                    skipping = None;
                }
                continue;
            }
            let trimmed = line.trim_start();
            if trimmed.starts_with("#[cfg(") && (trimmed.contains("test)") || trimmed.contains("test,")) {
                skipping = Some(Skip {
                    indent: line.len() - trimmed.len(),
                    begun: false,
                });
                continue;
            }
            let code_part = match trimmed.starts_with("//") {
                true => "",
                false => line.split(" // ").next().unwrap_or_default(),
            };
            code.push((index + 1, code_part));
        }
        code
    }

    /// The functions that have a body of more than one line.
    pub(super) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut functions = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closing = format!("{}}}", " ".repeat(indent));
            let end = lines.iter().skip(index).position(|line| {
                let here = line.len() - line.trim_start().len() == indent;
                *line == closing || (here && (line.ends_with(';') || line.ends_with('}')))
            });
            if let Some(length) = end.filter(|length| *length > 0) {
                functions.push(Function {
                    name: name.to_owned(),
                    line: index + 1,
                    length: length + 1,
                });
            }
        }
        functions
    }
}

/// The rest of an item whose attribute has been seen.
struct Skip {
    indent: usize,
    begun: bool,
}

impl Skip {
    /// Whether the item ends with this line: with `;`, `,` or `}` at the attribute's own indentation.
    fn ends_with(&mut self, line: &str) -> bool {
        let trimmed = line.trim_start();
        if !self.begun && (trimmed.starts_with("#[") || trimmed.starts_with("//")) {
            return false;
        }
        self.begun = true;
        let here = line.len() - trimmed.len() == self.indent;
        here && (line.ends_with(';') || line.ends_with(',') || line.ends_with('}'))
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        if let Some(rest) = words.strip_prefix("fn ") {
            return rest.split(['(', '<']).next();
        }
        let (word, rest) = words.split_once(' ')?;
        let modifier = matches!(word, "pub" | "const" | "async" | "extern") || word.starts_with("pub(");
        if !modifier && word != "\"C\"" {
            return None;
        }
        words = rest;
    }
}

/// Every place where `name` stands as the first segment of a path: `name::`, not `other::name::` or `rename::`.
pub(super) fn starts_path(line: &str, name: &str) -> bool {
    let pattern = format!("{name}::");
    line.match_indices(&pattern).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let before = match before.strip_suffix("::") {
            // `::name::` is a path from the root; `other::name::` is not a beginning.
            Some(earlier) if earlier.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>') => return false,
            Some(earlier) => earlier,
            None => before,
        };
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/machine/x.rs".to_owned(), text.to_owned())
    }

    #[test]
    fn comments_and_test_items_are_not_product_code() {
        let text = "use a;\n/// doc\nfn f() {} // why\n#[cfg(test)]\nmod tests {\n    use b;\n}\n#[cfg(test)]\nmod more;\nuse c;\n";
        let source = source(text);
        let code: Vec<&str> = source.product_code().iter().map(|(_, line)| *line).collect();
        assert_eq!(code, ["use a;", "", "fn f() {}", "use c;"]);
    }

    #[test]
    fn functions_are_measured() {
        let text = "pub(crate) async fn long(\n    a: u8,\n) -> u8 {\n    a\n}\ntrait T {\n    fn no_body(&self);\n    \
                    fn one(&self) {}\n    fn two(&self) {\n    }\n}\n";
        let found = source(text).functions();
        let found: Vec<_> = found.iter().map(|f| (&*f.name, f.line, f.length)).collect();
        assert_eq!(found, [("long", 1, 5), ("two", 9, 2)]);
    }

    #[test]
    fn paths_begin_where_they_begin() {
        assert!(starts_path("use sled::Db;", "sled") && starts_path("let x = ::sled::open();", "sled"));
        assert!(!starts_path("use crate::store::sled::Sled;", "sled") && !starts_path("bobsled::ride()", "sled"));
    }
}
