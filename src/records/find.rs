//! Looks messages up in the record files. What is known of each file without opening it is little: which ids each row group has, and where its filter of
//! numbers stands. So an id opens the few files whose ids are of its time, and a number those whose filter says perhaps: of a filter one block of 32 octets
//! is read, not all of it.

use super::columns;
use super::files::{self, RecordFile};
use super::numbers::Numbers;
use super::row::Row;
use crate::model::MessageId;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, BooleanArray, RecordBatch};
use hashbrown::hash_map::Entry;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use xxhash_rust::xxh64::xxh64;

/// Times that a look-up begins anew because files went away under it.
const LOOKS: usize = 5;
/// Octets of a block of a filter.
const BLOCK: u64 = 32;
/// The salts of a split-block filter, from the format's specification.
const SALTS: [u32; 8] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// What is looked for. Everything that is set must hold; rows come newest first.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// This message.
    pub id: Option<u64>,
    /// To this number, in digits, country code first.
    pub number: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this campaign.
    pub campaign: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Of this name of its sender's.
    pub reference: Option<String>,
    /// Of this identity, as 16 hexadecimal digits.
    pub identity: Option<String>,
    /// Handed in at this wall time or later, and before that, milliseconds (by the ids).
    pub from_ms: Option<u64>,
    /// See `from_ms`.
    pub to_ms: Option<u64>,
    /// Only ids below this one: where the last page ended.
    pub before: Option<u64>,
    /// Rows at most.
    pub limit: usize,
}

/// What a look-up came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Newest first; of each message its last revision.
    pub rows: Vec<Row>,
    /// Time was over before all files were looked at.
    pub partial: bool,
    /// Row groups that were read.
    pub read: usize,
}

/// Little about a row group.
#[derive(Debug, Clone, Copy)]
struct Group {
    at: usize,
    ids: (u64, u64),
    /// Where it stands in the file: offset and octets.
    place: (u64, u64),
    /// Where the blocks of its filters begin, and how many there are; in the order of [`columns::FILTERED`].
    filters: [Option<(u64, u64)>; columns::FILTERED.len()],
}

#[derive(Debug)]
struct Known {
    file: RecordFile,
    rows: u64,
    octets: u64,
    groups: Vec<Group>,
}

/// All complete files.
pub struct Files {
    root: PathBuf,
    numbers: Numbers,
    known: RwLock<Vec<Arc<Known>>>,
}

fn known(root: &std::path::Path, file: RecordFile) -> Result<Known, String> {
    let path = file.path(root);
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let handle = File::open(&path).map_err(|error| fault(&error))?;
    let octets = handle.metadata().map_err(|error| fault(&error))?.len();
    let reader = SerializedFileReader::new(handle).map_err(|error| fault(&error))?;
    let metadata = reader.metadata();
    let groups = metadata.row_groups().iter().enumerate().map(|(at, group)| group_of(at, group)).collect();
    Ok(Known { file, rows: metadata.file_metadata().num_rows().max(0) as u64, octets, groups })
}

fn group_of(at: usize, group: &RowGroupMetaData) -> Group {
    let ids = match group.column(0).statistics() {
        Some(Statistics::Int64(ids)) => ids.min_opt().zip(ids.max_opt()).map(|(min, max)| (*min as u64, *max as u64)),
        _ => None,
    };
    let filters = columns::FILTERED.map(|name| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name)?;
        // A header of less than a block's length, then whole blocks.
        let (offset, length) = (column.bloom_filter_offset()? as u64, column.bloom_filter_length()? as u64);
        let blocks = length / BLOCK;
        (blocks > 0).then_some((offset + length - blocks * BLOCK, blocks))
    });
    let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
    let (from, to) = ranges.fold((u64::MAX, 0), |(from, to), (at, octets)| (from.min(at), to.max(at + octets)));
    Group { at, ids: ids.unwrap_or((0, u64::MAX)), place: (from, to.saturating_sub(from)), filters }
}

/// The filter may hold `value`.
fn may_hold(file: &File, (offset, blocks): (u64, u64), value: &[u8]) -> bool {
    let hash = xxh64(value, 0);
    let block = ((hash >> 32) * blocks) >> 32;
    let mut octets = [0; BLOCK as usize];
    if file.read_exact_at(&mut octets, offset + block * BLOCK).is_err() {
        return true;
    }
    let words = octets.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    words.zip(SALTS).all(|(word, salt)| word & 1 << ((hash as u32).wrapping_mul(salt) >> 27) != 0)
}

impl Files {
    /// Learns of all files below `root`. One that can't be read is told and passed over.
    pub(super) fn open(root: PathBuf, numbers: Numbers) -> Result<Files, String> {
        let mut all = Vec::new();
        for file in files::list(&root)? {
            match known(&root, file) {
                Ok(known) => all.push(Arc::new(known)),
                Err(error) => tracing::error!(%error, "a record file can't be read and is passed over"),
            }
        }
        Ok(Files { root, numbers, known: RwLock::new(all) })
    }

    /// The files below a folder of records, for those who look at it from outside.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn look(root: &std::path::Path, numbers: Numbers) -> Result<Files, String> {
        Files::open(root.to_path_buf(), numbers)
    }

    /// A file was added.
    pub(super) fn add(&self, file: RecordFile) -> Result<(), String> {
        let known = Arc::new(known(&self.root, file)?);
        self.known.write().unwrap_or_else(PoisonError::into_inner).push(known);
        Ok(())
    }

    /// These files are there no more.
    pub(super) fn forget(&self, gone: impl Fn(&RecordFile) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|known| !gone(&known.file));
    }

    /// These have become this one, in one step.
    pub(super) fn replace(&self, old: &[RecordFile], new: RecordFile, swap: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        swap()?;
        let new = Arc::new(known(&self.root, new)?);
        all.retain(|known| !old.contains(&known.file));
        all.push(new);
        Ok(())
    }

    /// Removes the hours before `hour`; how many.
    pub(super) fn remove_before(&self, hour: u64) -> Result<usize, String> {
        self.forget(|file| file.hour < hour);
        files::remove_before(&self.root, hour)
    }

    /// All files with their rows and octets.
    pub fn list(&self) -> Vec<(RecordFile, u64, u64)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|known| (known.file.clone(), known.rows, known.octets)).collect()
    }

    /// How numbers are written.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Looks up, at most for `patience`.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn find(&self, query: &Query, patience: Duration) -> Result<Found, String> {
        let end = Instant::now() + patience;
        for _ in 0..LOOKS {
            if let Some(found) = self.look_once(query, end)? {
                return Ok(found);
            }
        }
        Err("record files are missing; were they removed by hand? A restart looks at the folder anew".to_owned())
    }

    /// `None`: a file was merged into another, or removed, while this was under way.
    fn look_once(&self, query: &Query, end: Instant) -> Result<Option<Found>, String> {
        let number = query.number.as_ref().map(|digits| self.numbers.write(digits.as_bytes()));
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut groups: Vec<(u64, &Arc<Known>, Group)> = Vec::new();
        for file in &known {
            groups.extend(file.groups.iter().filter(|group| query.may_be_in(group.ids)).map(|group| (group.ids.1, file, *group)));
        }
        groups.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.file.cmp(&b.1.file)));
        let mut found = Found::default();
        // A file's footer is read once, however many of its groups are.
        let mut opened: hashbrown::HashMap<RecordFile, (File, Option<ArrowReaderMetadata>)> = hashbrown::HashMap::new();
        for (newest, file, group) in groups {
            if found.rows.len() >= query.limit && found.rows.get(query.limit - 1).is_none_or(|last| last.message > newest) {
                break;
            }
            if Instant::now() > end {
                found.partial = true;
                break;
            }
            let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", file.file.path(&self.root).display());
            let (handle, metadata) = match opened.entry(file.file.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => match File::open(file.file.path(&self.root)) {
                    Ok(handle) => entry.insert((handle, None)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(fault(&error)),
                },
            };
            let wanted = [number.as_deref(), query.reference.as_deref(), query.campaign.as_deref()];
            let filtered = wanted.into_iter().zip(group.filters).filter_map(|(wanted, filter)| wanted.zip(filter));
            if !filtered.into_iter().all(|(wanted, filter)| may_hold(handle, filter, wanted.as_bytes())) {
                continue;
            }
            found.read += 1;
            // Half a megabyte that is read in one piece: a row's fifty columns lie scattered in it. Only a hint: what comes of it makes no difference to the answer.
            let _ = rustix::fs::fadvise(&*handle, group.place.0, NonZeroU64::new(group.place.1), rustix::fs::Advice::WillNeed);
            let known = match metadata {
                Some(known) => known,
                None => metadata.insert(metadata_of(handle).map_err(|error| fault(&error))?),
            };
            let handle = handle.try_clone().map_err(|error| fault(&error))?;
            let rows = read(handle, known.clone(), group.at, query, number.as_deref());
            found.add(rows.map_err(|error| fault(&error))?, query.limit);
        }
        Ok(Some(found))
    }
}

impl Found {
    fn add(&mut self, rows: Vec<Row>, limit: usize) {
        self.rows.extend(rows);
        self.rows.sort_by(|a, b| b.message.cmp(&a.message).then(b.revision.cmp(&a.revision)));
        self.rows.dedup_by_key(|row| row.message);
        self.rows.truncate(limit);
    }
}

/// The first id that can be made at this wall time.
pub(super) fn id_at(ms: u64) -> u64 {
    MessageId::first_at(ms).0
}

impl Query {
    /// Ids that can be meant: from, and up to but without.
    pub(super) fn ids(&self) -> (u64, u64) {
        if let Some(id) = self.id {
            return (id, id.saturating_add(1));
        }
        let from = self.from_ms.map_or(0, id_at);
        let to = self.to_ms.map_or(u64::MAX, id_at).min(self.before.unwrap_or(u64::MAX));
        (from, to)
    }

    fn may_be_in(&self, (least, most): (u64, u64)) -> bool {
        let (from, to) = self.ids();
        most >= from && least < to
    }

    /// The same asked of a row. `number`: as it is written.
    pub fn fits(&self, row: &Row, number: Option<&str>) -> bool {
        let (from, to) = self.ids();
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        (from..to).contains(&row.message)
            && number.is_none_or(|number| number == row.number)
            && is(&self.account, &row.account)
            && is(&self.campaign, &row.campaign)
            && is(&self.state, &row.state)
            && self.reference.as_ref().is_none_or(|wanted| Some(wanted) == row.reference.as_ref())
            && self.identity.as_ref().is_none_or(|wanted| Some(wanted) == row.identity.as_ref())
    }
}

/// The ids and revisions of a file, in its order.
///
/// # Errors
/// It can't be read.
pub fn ends(path: &std::path::Path) -> Result<Vec<(i64, u8)>, String> {
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let handle = File::open(path).map_err(|error| fault(&error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(handle).map_err(|error| fault(&error))?;
    let all = reader.build().map_err(|error| fault(&error))?;
    let mut ends = Vec::new();
    for batch in all {
        let batch = batch.map_err(|error| fault(&error))?;
        let (ids, revisions) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<UInt8Type>());
        ends.extend(ids.values().iter().copied().zip(revisions.values().iter().copied()));
    }
    Ok(ends)
}

fn metadata_of(handle: &File) -> Result<ArrowReaderMetadata, String> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(handle, options).map_err(|error| error.to_string())?;
    let known = metadata.schema().fields() == columns::schema().fields();
    known.then_some(metadata).ok_or_else(|| "these are no records of this version".to_owned())
}

fn read(handle: File, metadata: ArrowReaderMetadata, group: usize, query: &Query, number: Option<&str>) -> Result<Vec<Row>, String> {
    let fault = |error: parquet::errors::ParquetError| error.to_string();
    let schema = metadata.parquet_schema();
    let (from, to) = query.ids();
    let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    if from > 0 || to < u64::MAX {
        let column = ProjectionMask::columns(schema, ["id"]);
        predicates.push(Box::new(ArrowPredicateFn::new(column, move |batch: RecordBatch| {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            Ok(ids.values().iter().map(|&id| Some((from..to).contains(&(id as u64)))).collect::<BooleanArray>())
        })));
    }
    let texts = [
        ("number", number),
        ("account", query.account.as_deref()),
        ("campaign", query.campaign.as_deref()),
        ("state", query.state.as_deref()),
        ("identity", query.identity.as_deref()),
        ("reference", query.reference.as_deref()),
    ];
    for (name, wanted) in texts.into_iter().filter_map(|(name, wanted)| Some((name, wanted?.to_owned()))) {
        let column = ProjectionMask::columns(schema, [name]);
        predicates.push(Box::new(ArrowPredicateFn::new(column, move |batch: RecordBatch| {
            let values = batch.column(0).as_string::<i32>();
            Ok((0..values.len()).map(|at| Some(values.is_valid(at) && values.value(at) == wanted)).collect::<BooleanArray>())
        })));
    }
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata)
        .with_row_groups(vec![group])
        .with_row_filter(RowFilter::new(predicates))
        .with_batch_size(8_192);
    let mut rows = Vec::new();
    for batch in reader.build().map_err(fault)? {
        rows.extend(columns::rows(&batch.map_err(|error| error.to_string())?));
        // The newest are the last of the group.
        if rows.len() > 2 * query.limit.max(1) {
            rows.drain(..rows.len() - query.limit.max(1));
        }
    }
    Ok(rows)
}
