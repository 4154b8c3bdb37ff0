//! Counts as people read them.

/// Digits in groups of three.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// `1 message`, `2,000 messages`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_many_are_grouped() {
        let told = [0, 1, 2, 1_000, 1_234_567].map(|count| counted(count, "message", "messages"));
        assert_eq!(told, ["0 messages", "1 message", "2 messages", "1,000 messages", "1,234,567 messages"]);
    }
}
