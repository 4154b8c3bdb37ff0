//! Phone numbers: their canonical form as a `u64`, normalisation, ranges by longest prefix. Knows no messages; what a
//! refused number means to a peer is left to `engine` and `link/translate`.

pub mod china;
pub mod dedupe;
pub mod digit_trie;
pub mod normalise;
pub mod packed;
pub mod plan;
pub mod ported;
pub mod prefix;
mod range_problems;
pub mod ranges;
pub mod shard;
pub mod shipped;

pub use normalise::{NumberError, normalise};
pub use packed::{ends_alike, pack, tail, unpack};
pub use plan::HomeRegion;
pub use prefix::PrefixTable;
