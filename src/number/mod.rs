//! Phone numbers: their canonical form as a `u64`, normalisation, ranges by longest prefix. Knows no messages; what a
//! refused number means to a peer is left to `engine` and `link/translate`.
//!
//! | what | file |
//! |---|---|
//! | a number in 64 bits | [`packed`] |
//! | from an SMPP address, or from what people paste, to E.164 | [`normalise`], [`written`], with the plans of [`plan`] |
//! | what is known of a number | [`ranges`]: [`digit_trie`] and [`ported`]; rows from [`shipped`], [`china`] and [`range_file`]; [`range_diff`], [`range_view`] |
//! | lists and files | [`records`], [`list`], [`dedupe`]; lists that change while running: [`set`] |
//! | who owns a number | [`shard`] |

pub mod china;
pub mod dedupe;
pub mod digit_trie;
pub mod list;
pub mod normalise;
pub mod packed;
pub mod plan;
pub mod ported;
pub mod prefix;
pub mod range_diff;
pub mod range_file;
mod range_problems;
pub mod range_view;
pub mod ranges;
pub mod records;
pub mod set;
pub mod shard;
pub mod shipped;
pub mod written;

pub use normalise::{NumberError, normalise};
pub use packed::{ends_alike, pack, tail, unpack};
pub use plan::HomeRegion;
pub use prefix::PrefixTable;
pub use range_problems::{PROBLEMS_MAX, Problems, TableError, TableProblem};
pub use ranges::{RangeId, RangeTable};
pub use set::SortedNumbers;
pub use written::from_text;
