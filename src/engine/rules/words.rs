//! Words that phones reply with: whether a text is one of them, in the forms in which people write it.

use crate::text::fold::fold;

/// Said before the word: "reply TD", "please unsubscribe".
const BEFORE: [&str; 6] = ["回复", "回", "发送", "请", "我要", "要"];

/// A list of words, folded, longest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// These words. Only letters and digits of them count; what has none is passed over.
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Words {
        let mut folded: Vec<String> = words.into_iter().map(|word| letters(&fold(word.as_ref()))).filter(|word| !word.is_empty()).collect();
        folded.sort_by(|a, b| b.chars().count().cmp(&a.chars().count()).then(a.cmp(b)));
        folded.dedup();
        Words(folded)
    }

    /// No word is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text means one of these words. It is the word, whatever its case and width and whatever blanks and signs stand in or around it, alone or behind
    /// a "reply" or "please" (`回T`), perhaps followed by another of them (`TD退订`); or its first word is one. A single letter counts only alone: many
    /// a message begins with one. A word of Chinese needs no end: what begins with it begins with the word.
    pub fn mean(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let folded = fold(text);
        self.are_all(&letters(&folded)) || self.begin(&folded)
    }

    fn are_all(&self, letters: &str) -> bool {
        let mut rest = without_before(letters);
        let mut first = true;
        while !rest.is_empty() {
            let Some(word) = self.0.iter().find(|word| rest.starts_with(word.as_str()) && (first || word.chars().nth(1).is_some())) else {
                return false;
            };
            rest = &rest[word.len()..];
            first = false;
        }
        !first
    }

    fn begin(&self, folded: &str) -> bool {
        let start = without_before(folded.trim_start_matches(|c: char| !c.is_alphanumeric()));
        let first = first_word(start);
        self.0.iter().filter(|word| word.chars().nth(1).is_some()).any(|word| match word.is_ascii() {
            true => first == word,
            false => first.starts_with(word.as_str()),
        })
    }
}

/// The first word of a folded text: up to a blank or the end of a clause.
fn first_word(folded: &str) -> &str {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, ',' | '.' | '!' | ';' | ':' | '?' | '。' | '、' | '【' | '】' | '(' | ')' | '[' | ']' | '"')
    };
    folded.split(ends).next().unwrap_or("")
}

fn without_before(text: &str) -> &str {
    let mut rest = text;
    while let Some(after) = BEFORE.iter().find_map(|before| rest.strip_prefix(before)) {
        rest = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    }
    rest
}

fn letters(folded: &str) -> String {
    folded.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The text's first word is `keyword` (folded). A keyword of Chinese needs no end.
pub fn begins_with(text: &str, keyword: &str) -> bool {
    let folded = fold(text);
    let start = folded.trim_start_matches(|c: char| !c.is_alphanumeric());
    match keyword.is_ascii() {
        true => first_word(start) == keyword,
        false => start.starts_with(keyword),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out() -> Words {
        Words::new(["TD", "T", "R", "N", "退订", "STOP", "UNSUBSCRIBE", "STOP ALL"])
    }

    #[test]
    fn the_forms_in_practice_are_recognised() {
        for text in [
            "TD",
            "td",
            "Td ",
            " TD。",
            "ＴＤ",
            "ｔｄ！",
            "T",
            "t",
            "Ｔ",
            "r",
            "N.",
            "退订",
            "退订。",
            "【退订】",
            "回T",
            "回复T",
            "回复TD",
            "回复 td",
            "回复：TD",
            "TD退订",
            "T退订",
            "回T退订",
            "退订TD",
            "“退订”",
            "T D",
            "t.d",
            "STOP",
            "stop",
            "Stop!",
            "(STOP)",
            "stop all",
            "STOPALL",
            "Unsubscribe",
            "UNSUBSCRIBE please",
            "stop sending me this",
            "TD 谢谢",
            "TD，不要再发",
            "请退订",
            "我要退订",
            "退订谢谢",
            "退订 2345",
            "　退订　",
            "\"TD\"",
            "T\u{200B}D",
            "td\r\n",
        ] {
            assert!(out().mean(text), "{text:?}");
        }
    }

    #[test]
    fn other_messages_are_not_taken_for_them() {
        for text in [
            "",
            "  ",
            "。",
            "T恤多少钱",
            "R u there?",
            "N years ago",
            "TNT",
            "NRT",
            "TD-LTE怎么开通",
            "stopwatch",
            "don't stop",
            "可以不退订吗",
            "怎么退订",
            "to",
            "today",
            "回头见",
            "请问几点开门",
            "stop2",
            "我要",
            "回复",
        ] {
            assert!(!out().mean(text), "{text:?}");
        }
        assert!(!Words::default().mean("TD"));
        assert!(Words::new(["", "。"]).is_empty(), "a word without letters would be in every text");
    }

    #[test]
    fn a_keyword_is_the_first_word() {
        for (text, keyword, found) in [
            ("VOTE 12", "vote", true),
            ("ｖｏｔｅ", "vote", true),
            ("【vote】12", "vote", true),
            ("votes", "vote", false),
            ("please vote", "vote", false),
            ("报名张三", "报名", true),
            ("我报名", "报名", false),
        ] {
            assert_eq!(begins_with(text, keyword), found, "{text}");
        }
    }
}
