//! Filters of a file's row groups, side by side. Parquet keeps the filter of each group in one piece, far from the next one's, so that whoever asks all groups
//! reads in as many places. Here block n of all groups lie together: a look-up reads one piece of each file, some kilobytes. They stand behind the groups,
//! where other readers pass over them, and the footer says where. The groups' own filters stay: DuckDB uses those.

use super::columns::FILTERED;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use xxhash_rust::xxh64::xxh64;

/// Octets of a block of a filter.
const BLOCK: usize = 32;
/// The salts of a split-block filter, from the format's specification.
const SALTS: [u32; 8] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Where the filters of one column stand: block b of group g at `at + (b * groups + g) * BLOCK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filters {
    at: u64,
    blocks: u64,
    groups: u64,
}

fn key(column: &str) -> String {
    format!("hongyan.filters.{column}")
}

/// Writes the filters of all groups of a file that is to have no more.
///
/// # Errors
/// In words.
pub(super) fn append(writer: &mut ArrowWriter<File>) -> Result<(), String> {
    writer.flush().map_err(|error| error.to_string())?;
    writer.sync().map_err(|error| error.to_string())?;
    for column in FILTERED {
        let groups: Vec<Vec<u8>> =
            writer.flushed_row_groups().iter().map(|group| own(writer.inner(), group, column)).collect::<Result<_, _>>()?;
        let blocks = groups.iter().map(|bits| bits.len() / BLOCK).max().unwrap_or(0);
        let mut all = Vec::with_capacity(blocks * groups.len() * BLOCK);
        for block in 0..blocks {
            for bits in &groups {
                // A smaller filter's blocks each stand for several: a block is found by the highest bits.
                let its = block * (bits.len() / BLOCK) / blocks;
                all.extend_from_slice(&bits[its * BLOCK..(its + 1) * BLOCK]);
            }
        }
        let place = format!("{} {blocks} {}", writer.bytes_written(), groups.len());
        writer.write_all(&all).map_err(|error| error.to_string())?;
        writer.append_key_value_metadata(KeyValue::new(key(column), place));
    }
    Ok(())
}

/// A group's own filter, as it stands in the file: whole blocks, at least one. A column without a filter may hold anything.
fn own(file: &File, group: &RowGroupMetaData, column: &str) -> Result<Vec<u8>, String> {
    let place = group.columns().iter().find(|chunk| chunk.column_path().string() == column);
    let place = place.and_then(|chunk| Some((chunk.bloom_filter_offset()? as u64, chunk.bloom_filter_length()? as usize)));
    // A header of less than a block's length, then whole blocks.
    let Some((offset, length)) = place.filter(|(_, length)| *length >= BLOCK) else { return Ok(vec![u8::MAX; BLOCK]) };
    let header = length % BLOCK;
    let mut bits = vec![0; length - header];
    file.read_exact_at(&mut bits, offset + header as u64).map_err(|error| format!("reading a filter again: {error}"))?;
    Ok(bits)
}

impl Filters {
    /// Where they stand for this column, by the footer of a file of so many groups and octets; `None` if it has none.
    pub fn of(column: &str, about: &[KeyValue], groups: usize, octets: u64) -> Option<Filters> {
        let place = about.iter().find(|about| about.key == key(column))?.value.as_deref()?;
        let mut figures = place.split(' ').map(str::parse::<u64>);
        let mut figure = || figures.next()?.ok();
        let found = Filters { at: figure()?, blocks: figure()?, groups: figure()? };
        let end = found.groups.checked_mul(BLOCK as u64)?.checked_mul(found.blocks)?.checked_add(found.at)?;
        (found.groups == groups as u64 && end <= octets).then_some(found)
    }

    /// The blocks that decide: offset and octets.
    fn place(&self, hash: u64) -> (u64, u64) {
        let block = ((hash >> 32) * self.blocks) >> 32;
        (self.at + block * self.groups * BLOCK as u64, self.groups * BLOCK as u64)
    }

    /// Lets the disk begin to bring what [`Filters::may_hold`] will read. Only a hint: what comes of it makes no difference to the answer.
    pub fn expect(&self, file: &File, value: &str) {
        let (at, octets) = self.place(xxh64(value.as_bytes(), 0));
        let _ = fadvise(file, at, NonZeroU64::new(octets), Advice::WillNeed);
    }

    /// The groups that may hold `value`, by their number in the file. All, where it can't be read.
    pub fn may_hold(&self, file: &File, value: &str) -> impl Fn(usize) -> bool + use<> {
        let hash = xxh64(value.as_bytes(), 0);
        let (at, octets) = self.place(hash);
        let mut blocks = vec![0; octets as usize];
        let is_read = file.read_exact_at(&mut blocks, at).is_ok();
        move |group| {
            let Some(block) = blocks.chunks_exact(BLOCK).nth(group).filter(|_| is_read) else { return true };
            let words = block.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            words.zip(SALTS).all(|(word, salt)| word & 1 << ((hash as u32).wrapping_mul(salt) >> 27) != 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Columns, ROW_GROUP_ROWS};
    use super::super::files::{self, RecordFile};
    use super::super::row::Row;
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    #[test]
    fn a_group_may_hold_what_is_in_it_and_seldom_what_is_not_whatever_the_size_of_its_own_filter() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile { hour: 1, first: 1, last: 1 };
        // Two whole groups and one of a hundredth, whose own filter is smaller; references only in the first.
        const GROUPS: usize = 3;
        let rows = 2 * ROW_GROUP_ROWS + ROW_GROUP_ROWS / 100;
        let mut columns = Columns::default();
        for n in 0..rows {
            let reference = (n < 1_000).then(|| format!("order-{n}"));
            let row = Row { message: n as u64, state: "delivered".into(), number: format!("86{n}"), reference, ..Row::default() };
            columns.push(&row);
        }
        files::write(folder.path(), &file, &mut columns).unwrap();
        let handle = File::open(file.path(folder.path())).unwrap();
        let reader = SerializedFileReader::new(handle.try_clone().unwrap()).unwrap();
        let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let octets = handle.metadata().unwrap().len();
        let filters = |column| Filters::of(column, about, GROUPS, octets).unwrap();
        let groups = |column, value: &str| {
            let may_hold = filters(column).may_hold(&handle, value);
            (0..GROUPS).filter(|&group| may_hold(group)).collect::<Vec<usize>>()
        };
        for n in (0..rows).step_by(61) {
            assert!(groups("number", &format!("86{n}")).contains(&(n / ROW_GROUP_ROWS)), "{n}");
        }
        let perhaps: usize = (0..1_000).map(|n| groups("number", &format!("49{n}")).len()).sum();
        assert!(perhaps < 30, "{perhaps} of 3,000 absent ones");
        assert!(groups("reference", "order-999").contains(&0));
        let perhaps: usize = (0..1_000).map(|n| groups("reference", &format!("none-{n}")).iter().filter(|group| **group > 0).count()).sum();
        assert_eq!(perhaps, 0, "groups without any reference hold none");
        assert_eq!(Filters::of("number", &[], GROUPS, octets), None);
        assert_eq!(Filters::of("number", about, GROUPS - 1, octets), None, "of another file");
        assert_eq!(Filters::of("number", about, GROUPS, 1_000), None, "cut off");
    }
}
