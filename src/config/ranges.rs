//! `[ranges]`: the tables that say what is known of a number. Only which files; reading them is left to `number` and `app`.

use super::check::Checks;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most files of each kind.
const FILES_MAX: usize = 1_000;

/// `[ranges]`: country, operator, region, kind and time zone of numbers, over what ships with the program.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ranges {
    /// CSV with the columns prefix (or national), country, operator, region, kind, zone, tags. Default none; up to 1,000.
    pub files: Vec<PathBuf>,
    /// CSV with the columns number, operator, region, kind, zone, tags: each overrides its prefix. Default none; up to 1,000.
    pub ported: Vec<PathBuf>,
    /// Operators that the files may name besides the shipped ones: one a line, further columns are other ways to write it. Default none; up to 1,000.
    pub operators: Vec<PathBuf>,
    /// Time zone of a country that has several, where no prefix says it; an IANA name for ISO 3166 letters. Default none.
    pub zones: BTreeMap<String, super::Zone>,
}

impl Ranges {
    /// Relative paths start at `base_dir`.
    pub(super) fn resolve(&mut self, base_dir: &std::path::Path) {
        for path in self.files.iter_mut().chain(&mut self.ported).chain(&mut self.operators) {
            *path = base_dir.join(&path);
        }
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        for (key, list) in [("files", &self.files), ("ported", &self.ported), ("operators", &self.operators)] {
            c.require(at, key, list.len() <= FILES_MAX, &format!("names {} files", list.len()), &format!("at most {FILES_MAX}"));
            for (index, path) in list.iter().enumerate() {
                let key = format!("{key}[{index}]");
                c.require(at, &key, path.is_file(), &format!("'{}' is no file", path.display()), "files that are there");
                c.require(at, &key, !list[..index].contains(path), &format!("'{}' stands twice", path.display()), "each file once");
            }
        }
        for country in self.zones.keys() {
            let letters = country.len() == 2 && country.bytes().all(|c| c.is_ascii_uppercase());
            c.require(at, &format!("zones.{country}"), letters, &format!("'{country}' is no country"), "two capital letters: US, BR ...");
        }
    }
}
