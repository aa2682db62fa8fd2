//! What is wrong with a definition, for its author. Lives here: problems, their report, their one-line text form, and
//! "did you mean". Must not live here: finding problems.

use std::fmt;

use crate::model::nearest_name;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// The definition works, but probably not as meant.
    Warning,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, 1 for the first.
    pub line: u32,
    /// The column in characters, 1 for the first.
    pub column: u32,
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file. `None`: the definition was not read from a file.
    pub position: Option<Position>,
    /// Where in the definition: `step[2].retry.coefficient`. Empty for the definition as a whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// Everything that was found in one definition, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The file's name, or the definition's when there is no file.
    pub file: String,
    /// The problems.
    pub problems: Vec<Problem>,
}

/// The definition cannot be used. Displays every problem, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file's name, or the definition's when there is no file.
    pub file: String,
    /// The problems, warnings included; at least one is an error.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// How many problems are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        errors(&self.problems)
    }

    /// How many problems are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}

impl DefinitionError {
    /// How many problems are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        errors(&self.problems)
    }
}

impl From<DefinitionError> for CheckReport {
    fn from(DefinitionError { file, problems }: DefinitionError) -> Self {
        Self { file, problems }
    }
}

fn errors(problems: &[Problem]) -> usize {
    problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count()
}

/// `sagas/x.toml:12:3: error: unknown key ...; did you mean ...?`, one line per problem.
fn write_lines(f: &mut fmt::Formatter<'_>, file: &str, problems: &[Problem]) -> fmt::Result {
    for (index, problem) in problems.iter().enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        write!(f, "{file}")?;
        match problem.position {
            Some(at) => write!(f, ":{}:{}: {problem}", at.line, at.column)?,
            None => write!(f, ": {problem}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Problem {
    /// The problem without its file and position, but with its place when it has no position.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if self.position.is_none() && !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.file, &self.problems)
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.file, &self.problems)
    }
}

impl std::error::Error for DefinitionError {}

/// "did you mean `x`?", when one of the known names is close to the one that was written.
pub(super) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_name(written, known).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_distant_ones_are_not() {
        let known = ["activity", "after", "http"];
        let hint = |written| did_you_mean(written, known);
        assert_eq!(hint("activty").as_deref(), Some("did you mean `activity`?"));
        assert_eq!(hint("HTTP").as_deref(), Some("did you mean `http`?"));
        assert_eq!(hint("depends_on"), None);
    }
}
