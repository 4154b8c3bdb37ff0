//! Which characters belong together on a screen: a base with its marks, joined emoji, flags.
//! A coarser and stable relative of Unicode's grapheme clusters: exactly the rule of the vectors.

use unicode_general_category::{GeneralCategory, get_general_category};

const JOINER: u32 = 0x200D;

/// True for a regional indicator (two make a flag).
pub fn is_regional(code: u32) -> bool {
    (0x1F1E6..=0x1F1FF).contains(&code)
}

/// True if the character never starts a cluster: marks, variation selectors, skin tones, tags, the joiner.
fn extends(code: u32) -> bool {
    match code {
        0..0x300 => false,
        JOINER | 0xFE00..=0xFE0F | 0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F => true,
        // Chinese, Japanese and Korean hold no marks; most of what is cut is one of them.
        0x3400..=0x9FFF | 0xAC00..=0xD7A3 => false,
        _ => char::from_u32(code).is_some_and(|character| {
            matches!(
                get_general_category(character),
                GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark
            )
        }),
    }
}

/// True if `next` belongs to the cluster of `previous`. `regionals`: how many regional indicators stand in a row up to
/// and with `previous`; asked only where both are one.
pub fn joins(previous: u32, next: u32, regionals: impl FnOnce() -> usize) -> bool {
    extends(next) || previous == JOINER || (is_regional(next) && is_regional(previous) && regionals() % 2 == 1)
}
