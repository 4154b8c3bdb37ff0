//! Looks messages up in the record files. What is known of each file without opening it is little: which ids each row group has, and where its filters stand.
//! So an id opens the few files whose ids are of its time, and a number reads some kilobytes of each file's filters and then only the groups that they
//! name. Whatever will be read is asked of the disk before the first of it is looked at: it comes side by side then, not one after another.

use super::columns;
use super::files::{self, RecordFile};
use super::filters::Filters;
use super::footers::{self, Footers};
use super::numbers::Numbers;
use super::read::{self, Piece};
use super::row::Row;
use crate::model::MessageId;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetStatisticsPolicy, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Times that a look-up begins anew because files went away under it.
const LOOKS: usize = 5;
/// Files that one look-up has open at a time, at most.
const OPEN: usize = 128;
/// Groups that are asked of the disk before the first of them is looked at: twice as many with each time that they did not suffice, up to the other. So many
/// at once for what is in few rows: then all are needed.
const AHEAD: usize = 2;
const AHEAD_MAX: usize = 64;

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
#[derive(Debug, Clone)]
struct Group {
    ids: (u64, u64),
    place: Range<u64>,
    /// A footer in which it stands, and as which group.
    footer: Range<u64>,
    at: usize,
}

#[derive(Debug)]
struct Known {
    file: RecordFile,
    rows: u64,
    octets: u64,
    /// In the order of the file.
    groups: Vec<Group>,
    /// In the order of [`columns::FILTERED`].
    filters: [Option<Filters>; columns::FILTERED.len()],
    /// Ends that corrected an earlier one, which may stand in another file: ids and revisions, in order.
    corrected: Vec<(u64, u8)>,
}

/// All complete files.
pub struct Files {
    root: PathBuf,
    numbers: Numbers,
    footers: Footers,
    known: RwLock<Vec<Arc<Known>>>,
}

/// What is known of this file, which is at `path`.
fn known(path: &Path, file: RecordFile) -> Result<Known, String> {
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let handle = File::open(path).map_err(|error| fault(&error))?;
    let octets = handle.metadata().map_err(|error| fault(&error))?.len();
    // Ids and revisions. A day's files have half a million columns of groups: what is not needed of them would make a start slow.
    let read = ArrowReaderMetadata::load(&handle, columns::reading(ParquetStatisticsPolicy::skip_except(&[0, 1])))
        .map_err(|error| fault(&error))?;
    if read.schema().fields() != columns::schema().fields() {
        return Err(fault(&"these are no records of this version"));
    }
    let metadata = read.metadata();
    let about = metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
    let own = footers::places(about, metadata.num_row_groups(), octets);
    let footer = |at: usize| match &own {
        Some(own) => (own[at].clone(), 0),
        // The file's, which is found from its end: a file of an earlier version.
        None => (0..octets, at),
    };
    Ok(Known {
        file,
        rows: metadata.file_metadata().num_rows().max(0) as u64,
        octets,
        groups: metadata.row_groups().iter().enumerate().map(|(at, group)| group_of(group, footer(at))).collect(),
        filters: columns::FILTERED.map(|column| Filters::of(column, about, metadata.num_row_groups(), octets)),
        corrected: corrected(handle, &read).map_err(|error| fault(&error))?,
    })
}

/// The ends of a file that corrected an earlier one. They are few, and most groups say by their statistics that they have none.
fn corrected(handle: File, read: &ArrowReaderMetadata) -> Result<Vec<(u64, u8)>, String> {
    let has_some = |group: &RowGroupMetaData| match group.column(1).statistics() {
        Some(Statistics::Int32(revisions)) => revisions.max_opt().is_none_or(|max| *max > 0),
        _ => true,
    };
    let groups = read.metadata().row_groups().iter().enumerate().filter(|(_, group)| has_some(group)).map(|(at, _)| at).collect::<Vec<_>>();
    let mut found = Vec::new();
    if !groups.is_empty() {
        let ends = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, read.clone()).with_row_groups(groups);
        each_end(ends, |id, revision| found.extend((revision > 0).then_some((id as u64, revision))))?;
    }
    Ok(found)
}

/// Ids and revisions, in the order of the file.
fn each_end(rows: ParquetRecordBatchReaderBuilder<File>, mut each: impl FnMut(i64, u8)) -> Result<(), String> {
    let columns = ProjectionMask::columns(rows.parquet_schema(), ["id", "revision"]);
    for batch in rows.with_projection(columns).build().map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        let (ids, revisions) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<UInt8Type>());
        ids.values().iter().zip(revisions.values()).for_each(|(&id, &revision)| each(id, revision));
    }
    Ok(())
}

fn group_of(group: &RowGroupMetaData, (footer, at): (Range<u64>, usize)) -> Group {
    let ids = match group.column(0).statistics() {
        Some(Statistics::Int64(ids)) => ids.min_opt().zip(ids.max_opt()).map(|(min, max)| (*min as u64, *max as u64)),
        _ => None,
    };
    let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
    let (from, to) = ranges.fold((u64::MAX, 0), |(from, to), (at, octets)| (from.min(at), to.max(at + octets)));
    Group { ids: ids.unwrap_or((0, u64::MAX)), place: from..to, footer, at }
}

/// A group that may have what is looked for.
struct Candidate<'a> {
    newest: u64,
    known: &'a Known,
    group: usize,
}

/// What is looked for in a group.
pub(super) struct Wanted<'a> {
    pub query: &'a Query,
    /// The number as it is written.
    pub number: Option<&'a str>,
    /// What files say of rows that may stand in others: those that say something.
    corrected: Vec<&'a [(u64, u8)]>,
}

impl Wanted<'_> {
    /// This end of a message was corrected later.
    pub fn is_corrected(&self, id: u64, revision: u8) -> bool {
        self.corrected.iter().any(|corrected| {
            let from = corrected.partition_point(|&end| end <= (id, revision));
            corrected.get(from).is_some_and(|&(message, _)| message == id)
        })
    }
}

/// A file that a look-up has open.
struct Open<'a> {
    known: &'a Known,
    handle: File,
}

impl Open<'_> {
    /// Lets the disk begin to bring what will be read. Only a hint: what comes of it makes no difference to the answer.
    fn expect(&self, group: usize) {
        let group = &self.known.groups[group];
        for place in [&group.place, &group.footer] {
            let _ = fadvise(&self.handle, place.start, NonZeroU64::new(place.end - place.start), Advice::WillNeed);
        }
    }

    fn rows(&self, group: usize, footers: &Footers, wanted: &Wanted<'_>) -> Result<Vec<Row>, String> {
        let group = &self.known.groups[group];
        let metadata = footers.read(read::octets(&self.handle, &group.footer)?)?;
        let octets = Piece::read(&self.handle, &group.place, self.known.octets)?;
        read::rows(&octets, &metadata, group.at, wanted)
    }
}

impl Files {
    /// Learns of all files below `root`. One that can't be read is told and passed over.
    pub(super) fn open(root: PathBuf, numbers: Numbers) -> Result<Files, String> {
        let mut all = Vec::new();
        for file in files::list(&root)? {
            match known(&file.path(&root), file) {
                Ok(known) => all.push(Arc::new(known)),
                Err(error) => tracing::error!(%error, "a record file can't be read and is passed over"),
            }
        }
        Ok(Files { root, numbers, footers: Footers::new()?, known: RwLock::new(all) })
    }

    /// The files below a folder of records, for those who look at it from outside.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn look(root: &Path, numbers: Numbers) -> Result<Files, String> {
        Files::open(root.to_path_buf(), numbers)
    }

    /// A file was added.
    pub(super) fn add(&self, file: RecordFile) -> Result<(), String> {
        let known = Arc::new(known(&file.path(&self.root), file)?);
        self.known.write().unwrap_or_else(PoisonError::into_inner).push(known);
        Ok(())
    }

    /// These files are there no more.
    pub(super) fn forget(&self, gone: impl Fn(&RecordFile) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|known| !gone(&known.file));
    }

    /// The files of `old` become `new`, which is at `aside` before and in its place after `swap`.
    pub(super) fn replace(
        &self,
        old: &[RecordFile],
        new: RecordFile,
        aside: &Path,
        swap: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let new = Arc::new(known(aside, new)?);
        // Look-ups wait for this: nothing that takes long.
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        swap()?;
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
        let Some(mut candidates) = self.candidates(&known, query, number.as_deref())? else { return Ok(None) };
        candidates.sort_by(|a, b| b.newest.cmp(&a.newest).then_with(|| a.known.file.cmp(&b.known.file)));
        let corrected = known.iter().map(|known| &*known.corrected).filter(|corrected| !corrected.is_empty()).collect();
        let wanted = Wanted { query, number: number.as_deref(), corrected };
        let mut found = Found::default();
        let (mut rest, mut ahead) = (&candidates[..], if query.is_of_few() { AHEAD_MAX } else { AHEAD });
        while !rest.is_empty() && !found.partial {
            let (some, later) = rest.split_at(ahead.min(rest.len()));
            if !self.look_in(some, &wanted, end, &mut found)? {
                return Ok(None);
            }
            (rest, ahead) = (later, AHEAD_MAX.min(2 * ahead));
            if later.first().is_some_and(|next| found.is_enough(next.newest, query)) {
                break;
            }
        }
        Ok(Some(found))
    }

    /// The groups that may have what is looked for, by their ids and filters. `None` as above.
    fn candidates<'a>(&self, known: &'a [Arc<Known>], query: &Query, number: Option<&str>) -> Result<Option<Vec<Candidate<'a>>>, String> {
        let wanted = [number, query.reference.as_deref(), query.campaign.as_deref()];
        let filters = |known: &Known| known.filters.into_iter().zip(wanted).filter_map(|(filters, wanted)| filters.zip(wanted)).collect();
        let meant = |known: &&Arc<Known>| known.groups.iter().any(|group| query.may_be_in(group.ids));
        let files: Vec<(&Known, Vec<(Filters, &str)>)> = known.iter().filter(meant).map(|known| (&**known, filters(known))).collect();
        let mut candidates = Vec::new();
        for some in files.chunks(OPEN) {
            let mut open = Vec::with_capacity(some.len());
            for (known, filters) in some.iter().filter(|(_, filters)| !filters.is_empty()) {
                let Some(handle) = self.open_file(known)? else { return Ok(None) };
                filters.iter().for_each(|(filters, wanted)| filters.expect(&handle, wanted));
                open.push(handle);
            }
            let mut open = open.iter();
            for (known, filters) in some {
                let handle = if filters.is_empty() { None } else { open.next() };
                let may_hold: Vec<_> = handle
                    .map(|handle| filters.iter().map(|(filters, wanted)| filters.may_hold(handle, wanted)).collect())
                    .unwrap_or_default();
                let is = |at: usize, group: &Group| query.may_be_in(group.ids) && may_hold.iter().all(|may_hold| may_hold(at));
                let those = known.groups.iter().enumerate().filter(|(at, group)| is(*at, group));
                candidates.extend(those.map(|(at, group)| Candidate { newest: group.ids.1, known, group: at }));
            }
        }
        Ok(Some(candidates))
    }

    /// `None`: it has gone.
    fn open_file(&self, known: &Known) -> Result<Option<File>, String> {
        match File::open(known.file.path(&self.root)) {
            Ok(handle) => Ok(Some(handle)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", known.file.path(&self.root).display())),
        }
    }

    /// Looks in these groups, newest first. False: a file has gone.
    fn look_in(&self, some: &[Candidate<'_>], wanted: &Wanted<'_>, end: Instant, found: &mut Found) -> Result<bool, String> {
        let mut open: Vec<Open<'_>> = Vec::new();
        for candidate in some {
            if !open.iter().any(|open| open.known.file == candidate.known.file) {
                let Some(handle) = self.open_file(candidate.known)? else { return Ok(false) };
                open.push(Open { known: candidate.known, handle });
            }
        }
        let of = |candidate: &Candidate<'_>| open.iter().find(|open| open.known.file == candidate.known.file).expect("each was opened");
        some.iter().for_each(|candidate| of(candidate).expect(candidate.group));
        for candidate in some {
            if found.is_enough(candidate.newest, wanted.query) {
                break;
            }
            if Instant::now() > end {
                found.partial = true;
                break;
            }
            found.read += 1;
            let rows = of(candidate).rows(candidate.group, &self.footers, wanted);
            found.add(rows.map_err(|error| format!("{}: {error}", candidate.known.file.path(&self.root).display()))?, wanted.query.limit);
        }
        Ok(true)
    }
}

impl Found {
    /// Nothing is looked for in what has no id above `newest`.
    fn is_enough(&self, newest: u64, query: &Query) -> bool {
        self.rows.len() >= query.limit && self.rows.get(query.limit - 1).is_none_or(|last| last.message > newest)
    }

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

    /// Few rows are meant, wherever they are.
    fn is_of_few(&self) -> bool {
        self.number.is_some() || self.reference.is_some()
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
    let rows = ParquetRecordBatchReaderBuilder::try_new(handle).map_err(|error| fault(&error))?;
    let mut ends = Vec::new();
    each_end(rows, |id, revision| ends.push((id, revision))).map_err(|error| fault(&error))?;
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Columns, ROW_GROUP_ROWS};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Message `n` of a phone of a thousand; every tenth has a second end.
    fn rows(n: u64) -> impl Iterator<Item = Row> {
        let row = move |revision| Row {
            message: n,
            revision,
            state: if revision == 0 { "in_doubt" } else { "delivered" }.into(),
            number: format!("86{}", n % 1_000),
            campaign: if n < 9_000 { "spring".to_owned() } else { String::new() },
            reference: Some(format!("order-{n}")),
            final_ms: Some(n),
            ..Row::default()
        };
        (0..=u8::from(n.is_multiple_of(10))).map(row)
    }

    fn columns(messages: Range<u64>) -> Columns {
        let mut columns = Columns::default();
        messages.flat_map(rows).for_each(|row| columns.push(&row));
        columns
    }

    fn ids(found: &Found) -> Vec<u64> {
        found.rows.iter().map(|row| row.message).collect()
    }

    #[test]
    fn the_newest_are_found_in_all_files_each_once_by_whatever_they_are_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (old, new) = (RecordFile { hour: 1, first: 1, last: 1 }, RecordFile { hour: 2, first: 2, last: 2 });
        // As an earlier version wrote it, without what look-ups read of a file.
        std::fs::create_dir_all(root.join(files::hour_name(1))).unwrap();
        let mut writer = files::begin(&old.path(root), &old).unwrap();
        writer.write(&columns(0..10_000).finish().unwrap()).unwrap();
        writer.into_inner().unwrap();
        files::write(root, &new, &mut columns(10_000..50_000)).unwrap();
        let files = Files::look(root, Numbers::Plain).unwrap();
        assert!(files.list().iter().any(|(_, rows, _)| *rows as usize > 2 * ROW_GROUP_ROWS), "groups are several");
        let find = |query: Query| files.find(&query, PATIENCE).unwrap();

        let of_a_phone = find(Query { number: Some("86770".into()), limit: 1_000, ..Query::default() });
        assert_eq!(ids(&of_a_phone), (0..50).rev().map(|n| n * 1_000 + 770).collect::<Vec<u64>>());
        assert!(of_a_phone.rows.iter().all(|row| row.revision == 1 && row.final_ms == Some(row.message)), "of each its last end");
        let newest = find(Query { number: Some("86770".into()), limit: 3, ..Query::default() });
        assert_eq!(ids(&newest), [49_770, 48_770, 47_770]);
        let before = find(Query { number: Some("86770".into()), before: Some(47_770), limit: 2, ..Query::default() });
        assert_eq!(ids(&before), [46_770, 45_770]);

        // Ends that were corrected take no other message's place.
        let of_a_campaign = find(Query { campaign: Some("spring".into()), limit: 25, ..Query::default() });
        assert_eq!(ids(&of_a_campaign), (8_975..9_000).rev().collect::<Vec<u64>>());
        assert_eq!(of_a_campaign.read, 1, "one group was enough");
        for n in [7, 9_999, 10_000, 49_999] {
            assert_eq!(ids(&find(Query { reference: Some(format!("order-{n}")), limit: 5, ..Query::default() })), [n]);
            assert_eq!(ids(&find(Query { id: Some(n), limit: 1, ..Query::default() })), [n]);
        }
        // Also by the state: one that was corrected is in it no more.
        let doubtful = find(Query { state: Some("in_doubt".into()), before: Some(8_992), limit: 3, ..Query::default() });
        assert_eq!(ids(&doubtful), [8_991, 8_989, 8_988]);
        let corrected = find(Query { state: Some("delivered".into()), before: Some(8_992), limit: 2, ..Query::default() });
        assert_eq!(ids(&corrected), [8_990, 8_980]);
        let none = find(Query { number: Some("86770".into()), campaign: Some("summer".into()), limit: 5, ..Query::default() });
        assert!(none.rows.is_empty() && !none.partial);
    }
}
