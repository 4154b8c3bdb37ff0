//! Chinese mobile prefixes: which operator a number began with. Numbers move between operators
//! and keep their prefix, so this is the original operator only.

use super::prefix::{PrefixError, PrefixTable};

const ROWS: &str = include_str!("china.tsv");

/// What is known of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The operator that the range was given to.
    pub operator: &'static str,
    /// `mobile`, `mobile-iot`, `mvno`, `satellite`, `iot-13-digit`.
    pub kind: &'static str,
    /// Remarks; mostly empty.
    pub note: &'static str,
}

/// The prefixes in their national form.
pub(super) fn rows() -> impl Iterator<Item = (&'static str, Allocation)> {
    ROWS.lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let prefix = columns.next()?;
        Some((prefix, Allocation { operator: columns.next()?, kind: columns.next()?, note: columns.next().unwrap_or("") }))
    })
}

/// The prefixes, with the country code before them.
pub fn prefixes() -> Result<PrefixTable<Allocation>, PrefixError> {
    let rows: Vec<(String, Allocation)> = rows().map(|(prefix, allocation)| (format!("86{prefix}"), allocation)).collect();
    PrefixTable::new(rows.iter().map(|(prefix, allocation)| (prefix.as_str(), *allocation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    #[test]
    fn prefixes_name_the_operator_that_began_with_them() {
        let table = prefixes().unwrap();
        let operator = |digits: &str| table.get(pack(digits.as_bytes()).unwrap()).map(|found| (found.operator, found.kind));
        assert_eq!(operator("8613800138000"), Some(("China Mobile", "mobile")));
        assert_eq!(operator("8613491234567"), Some(("China Telecom", "satellite")));
        assert_eq!(operator("8617041234567"), Some(("China Unicom", "mvno")));
        assert_eq!(operator("8619212345678"), Some(("China Broadnet", "mobile")));
        assert_eq!(operator("12125551234"), None);
        assert!(table.len() > 80);
    }
}
