//! Reads the rows of one row group that are looked for: first which ones, by the columns that decide, then those alone. A group is read from the disk in one
//! piece, an eighth of a megabyte: a row's forty-six columns lie scattered in it.

use super::columns;
use super::find::Wanted;
use super::row::Row;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, RecordBatch};
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Rows that are decoded at a time.
const BATCH: usize = 8_192;

/// These octets of a file.
pub(super) fn octets(file: &File, place: &Range<u64>) -> Result<Vec<u8>, String> {
    let mut octets = vec![0; (place.end - place.start) as usize];
    file.read_exact_at(&mut octets, place.start).map_err(|error| error.to_string())?;
    Ok(octets)
}

/// A part of a file, in memory.
#[derive(Clone)]
pub(super) struct Piece {
    at: u64,
    octets: Bytes,
    file_octets: u64,
}

impl Piece {
    /// Reads it.
    pub fn read(file: &File, place: &Range<u64>, file_octets: u64) -> Result<Piece, String> {
        Ok(Piece { at: place.start, octets: octets(file, place)?.into(), file_octets })
    }

    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let at = start.checked_sub(self.at).filter(|at| *at <= self.octets.len() as u64);
        let at = at.ok_or_else(|| ParquetError::EOF(format!("octet {start} is outside of what was read")))?;
        Ok(self.octets.slice(at as usize..))
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.file_octets
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut octets = self.from(start)?;
        if octets.len() < length {
            return Err(ParquetError::EOF(format!("octet {start} and {length} more are outside of what was read")));
        }
        octets.truncate(length);
        Ok(octets)
    }
}

/// The columns that decide, with what they must be.
fn texts<'a>(wanted: &Wanted<'a>) -> Vec<(&'static str, &'a str)> {
    let query = wanted.query;
    let texts = [
        ("number", wanted.number),
        ("account", query.account.as_deref()),
        ("campaign", query.campaign.as_deref()),
        ("state", query.state.as_deref()),
        ("identity", query.identity.as_deref()),
        ("reference", query.reference.as_deref()),
    ];
    texts.into_iter().filter_map(|(name, wanted)| Some((name, wanted?))).collect()
}

/// The rows of a group that are looked for: those of the last `query.limit` messages.
///
/// # Errors
/// It is not as it should be.
pub(super) fn rows(octets: &Piece, metadata: &ArrowReaderMetadata, group: usize, wanted: &Wanted<'_>) -> Result<Vec<Row>, String> {
    let fault = |error: ParquetError| error.to_string();
    let group = || ParquetRecordBatchReaderBuilder::new_with_metadata(octets.clone(), metadata.clone()).with_row_groups(vec![group]);
    let texts = texts(wanted);
    let mask = ProjectionMask::columns(metadata.parquet_schema(), texts.iter().map(|(name, _)| *name).chain(["id", "revision"]));
    let (mut fitting, mut all): (Vec<usize>, usize) = (Vec::new(), 0);
    for batch in group().with_projection(mask).with_batch_size(BATCH).build().map_err(fault)? {
        let batch = batch.map_err(|error| error.to_string())?;
        fitting.extend(fits(&batch, wanted, &texts).map(|row| all + row));
        all += batch.num_rows();
    }
    // The newest are the last; each is another message, for what was corrected is not among them.
    let fitting = &fitting[fitting.len().saturating_sub(wanted.query.limit.max(1))..];
    if fitting.is_empty() {
        return Ok(Vec::new());
    }
    let selection = RowSelection::from_consecutive_ranges(fitting.iter().map(|&row| row..row + 1), all);
    let mut rows = Vec::with_capacity(fitting.len());
    for batch in group().with_row_selection(selection).with_batch_size(BATCH).build().map_err(fault)? {
        rows.extend(columns::rows(&batch.map_err(|error| error.to_string())?));
    }
    Ok(rows)
}

/// Which rows of a batch are looked for.
fn fits<'a>(batch: &'a RecordBatch, wanted: &'a Wanted<'_>, texts: &'a [(&'static str, &'a str)]) -> impl Iterator<Item = usize> + 'a {
    let (from, to) = wanted.query.ids();
    let ids = columns::column(batch, "id").as_primitive::<Int64Type>().values();
    let revisions = columns::column(batch, "revision").as_primitive::<UInt8Type>().values();
    let texts: Vec<_> = texts.iter().map(|(name, text)| (columns::column(batch, name).as_string::<i32>(), *text)).collect();
    (0..ids.len()).filter(move |&at| {
        let id = ids[at] as u64;
        (from..to).contains(&id)
            && texts.iter().all(|(column, text)| column.is_valid(at) && column.value(at) == *text)
            && !wanted.is_corrected(id, revisions[at])
    })
}
