//! A footer for each row group of a file: what a reader of that group alone needs to know. A file's own footer tells of all groups, and a look-up wants one of
//! five hundred. They stand behind the filters, where other readers pass over them, and the file's footer says where.

use super::columns;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter, ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::schema::types::SchemaDescPtr;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// The key under which a file's footer says where they begin, and how long each is.
const KEY: &str = "hongyan.footers";

/// Writes the footers of all groups of a file that is to have no more.
///
/// # Errors
/// In words.
pub(super) fn append(writer: &mut ArrowWriter<File>) -> Result<(), String> {
    let fault = |error: &dyn std::fmt::Display| error.to_string();
    let footers: Vec<Vec<u8>> = writer.flushed_row_groups().iter().map(footer).collect::<Result<_, _>>().map_err(|error| fault(&error))?;
    let mut places = writer.bytes_written().to_string();
    for footer in &footers {
        places = format!("{places} {}", footer.len());
        writer.write_all(footer).map_err(|error| fault(&error))?;
    }
    writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), places));
    Ok(())
}

fn footer(group: &RowGroupMetaData) -> Result<Vec<u8>, ParquetError> {
    let plain = |chunk: &ColumnChunkMetaData| chunk.clone().into_builder().clear_statistics().clear_page_encoding_stats().build();
    let columns = group.columns().iter().map(plain).collect::<Result<_, _>>()?;
    let group = group.clone().into_builder().set_column_metadata(columns).build()?;
    let about = FileMetaData::new(1, group.num_rows(), None, None, group.schema_descr_ptr(), None);
    let mut octets = Vec::with_capacity(8 << 10);
    ParquetMetaDataWriter::new(&mut octets, &ParquetMetaData::new(about, vec![group])).finish()?;
    Ok(octets)
}

/// Where they stand, by the footer of a file of so many groups and octets; `None` if it has none.
pub(super) fn places(about: &[KeyValue], groups: usize, octets: u64) -> Option<Vec<Range<u64>>> {
    let places = about.iter().find(|about| about.key == KEY)?.value.as_deref()?;
    let mut figures = places.split(' ').map(str::parse::<u64>);
    let mut at = figures.next()?.ok()?;
    let mut places = Vec::with_capacity(groups);
    for length in figures {
        let end = at.checked_add(length.ok()?).filter(|end| *end <= octets)?;
        places.push(at..end);
        at = end;
    }
    (places.len() == groups).then_some(places)
}

/// How one is read: without what is known of all our files, and without what no look-up needs.
pub(super) struct Footers {
    options: ArrowReaderOptions,
}

impl Footers {
    /// # Errors
    /// None, unless our schema can't be Parquet's.
    pub fn new() -> Result<Footers, String> {
        let schema = columns::schema();
        let parquet: SchemaDescPtr = Arc::new(ArrowSchemaConverter::new().convert(&schema).map_err(|error| error.to_string())?);
        let options = columns::reading(ParquetStatisticsPolicy::SkipAll).with_parquet_schema(parquet).with_schema(schema);
        Ok(Footers { options })
    }

    /// Reads one; its file is known to have our schema.
    ///
    /// # Errors
    /// It is not as it should be.
    pub fn read(&self, octets: Vec<u8>) -> Result<ArrowReaderMetadata, String> {
        ArrowReaderMetadata::load(&Bytes::from(octets), self.options.clone()).map_err(|error| error.to_string())
    }
}
