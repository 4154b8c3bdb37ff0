//! Text as it is compared: without case, without width, without what can't be seen. For words and phrases that people write in many ways; never for what
//! is sent.

use unicode_normalization::UnicodeNormalization;

/// Characters that nobody sees, and that are put between letters to hide a word.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

/// `text` in lower case, full-width and other compatibility forms as their plain ones (NFKC), invisible characters dropped.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = text.chars().filter(|&character| !is_invisible(character)).nfkc();
    // Once more: the lower case of a composed letter may be two characters.
    plain.flat_map(char::to_lowercase).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_hidden_characters_make_no_difference() {
        for (written, folded) in [
            ("STOP", "stop"),
            ("ＳＴＯＰ　１", "stop 1"),
            ("Ｔｄ退订", "td退订"),
            ("s\u{200B}t\u{AD}op", "stop"),
            ("ÉTÉ", "été"),
            ("e\u{301}", "é"),
            ("①㎏", "1kg"),
            ("ｶﾞ", "ガ"),
        ] {
            assert_eq!(fold(written), folded);
            assert_eq!(fold(folded), folded, "folded text stays");
        }
    }
}
