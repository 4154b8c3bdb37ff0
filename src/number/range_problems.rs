//! What is wrong with a range table: every line, up to a bound, each with file, line and reason.

use std::fmt;

/// Lines that are told; further ones are counted.
pub const PROBLEMS_MAX: usize = 1000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    /// The file, as it was named.
    pub file: String,
    /// Line in it, from 1; 0 if the file as a whole is meant.
    pub line: u32,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl fmt::Display for TableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// Gathers problems.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    told: Vec<TableProblem>,
    more: usize,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, file: &str, line: u32, what: impl Into<String>) {
        if self.told.len() < PROBLEMS_MAX {
            self.told.push(TableProblem { file: file.to_owned(), line, what: what.into() });
        } else {
            self.more += 1;
        }
    }

    /// Fine if there are none.
    pub(super) fn into_result(mut self) -> Result<(), TableError> {
        if self.told.is_empty() {
            return Ok(());
        }
        self.told.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Err(TableError { problems: self.told, more: self.more })
    }
}

/// Why a table was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TableError {
    /// What was found, by file and line; at least one, at most [`PROBLEMS_MAX`].
    pub problems: Vec<TableProblem>,
    /// Further problems that are not told.
    pub more: usize,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}
