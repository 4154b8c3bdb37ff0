//! The columns of a record file: their names, types and encodings, how rows become columns and columns rows again. The schema is told in [`super`].

use super::row::{Row, RowStep};
use arrow_array::builder::{
    BooleanBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampMillisecondBuilder, UInt8Builder, UInt32Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType, UInt8Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{KeyValue, ParquetStatisticsPolicy};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows of a row group: of each whose filter says perhaps, a look-up reads all and decodes one column. Fewer make that cheaper, and the footers longer.
pub const ROW_GROUP_ROWS: usize = 8 << 10;
/// How often a filter says perhaps of what isn't there: some ten times in the 12,000 groups of a hundred million rows.
const FALSE: f64 = 0.001;
/// Rows of a page.
const PAGE_ROWS: usize = 4_096;
/// Columns of text with few values.
const FEW: [&str; 10] =
    ["account", "class", "campaign", "source", "encoding", "carrier", "state", "carrier_state", "carrier_error", "network_error"];
/// Columns with a filter in every row group: a look-up reads only groups whose filter says perhaps.
pub(super) const FILTERED: [&str; 3] = ["number", "reference", "campaign"];
const TIMES: [&str; 6] = ["accepted_at", "due_at", "sent_at", "final_at", "done_at", "told_at"];

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn step_fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    Fields::from(vec![
        Field::new("at", time(), false),
        Field::new("step", DataType::Utf8, false),
        text("carrier"),
        Field::new("part", DataType::UInt8, true),
        text("id"),
        text("state"),
        text("means"),
        text("error"),
        text("network_error"),
        Field::new("status", DataType::UInt32, true),
        Field::new("done_at", time(), true),
        Field::new("report", DataType::UInt8, true),
    ])
}

/// The schema of every file.
pub fn schema() -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let steps = Field::new_list("trail", Field::new_list_field(DataType::Struct(step_fields()), true), true);
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("revision", DataType::UInt8, false),
        Field::new("complete", DataType::Boolean, false),
        text("state", false),
        text("account", true),
        text("class", true),
        text("campaign", true),
        text("number", true),
        text("source", true),
        text("encoding", true),
        text("carrier", true),
        Field::new("segments", DataType::UInt8, true),
        Field::new("price", DataType::UInt32, false),
        text("identity", true),
        text("reference", true),
        Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), true),
        Field::new("accepted_at", time(), true),
        Field::new("due_at", time(), true),
        Field::new("sent_at", time(), true),
        Field::new("final_at", time(), true),
        Field::new("done_at", time(), true),
        Field::new("told_at", time(), true),
        text("carrier_state", true),
        text("carrier_error", true),
        text("network_error", true),
        Field::new("status", DataType::UInt32, true),
        text("carrier_id", true),
        Field::new("attempts", DataType::UInt8, false),
        text("text", true),
        steps,
    ]))
}

/// How files are written. `about`: keys and values that stand in the footer.
pub fn properties(about: Vec<(String, String)>) -> WriterProperties {
    let about = about.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    let path = |name: &str| ColumnPath::from(name);
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(format!("hongyan {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_key_value_metadata(Some(about))
        .set_column_encoding(path("id"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(ColumnPath::from("tags.list.item"), true);
    for name in FILTERED {
        properties = properties
            .set_column_bloom_filter_enabled(path(name), true)
            .set_column_bloom_filter_fpp(path(name), FALSE)
            .set_column_bloom_filter_max_ndv(path(name), ROW_GROUP_ROWS as u64);
    }
    for name in FEW {
        properties = properties.set_column_dictionary_enabled(path(name), true);
    }
    for name in TIMES {
        properties = properties.set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    for field in &step_fields() {
        if field.data_type() == &DataType::Utf8 && field.name() != "id" {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(format!("trail.list.item.{}", field.name())), true);
        }
    }
    properties.build()
}

/// How footers are read: of statistics only these, for no look-up needs the others.
pub(super) fn reading(statistics: ParquetStatisticsPolicy) -> ArrowReaderOptions {
    ArrowReaderOptions::new()
        .with_column_stats_policy(statistics)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

/// Rows on their way into columns.
pub struct Columns {
    rows: usize,
    id: Int64Builder,
    revision: UInt8Builder,
    complete: BooleanBuilder,
    texts: [StringBuilder; 15],
    tags: ListBuilder<StringBuilder>,
    segments: UInt8Builder,
    price: UInt32Builder,
    times: [TimestampMillisecondBuilder; 6],
    status: UInt32Builder,
    attempts: UInt8Builder,
    trail: ListBuilder<StructBuilder>,
}

fn times<const N: usize>() -> [TimestampMillisecondBuilder; N] {
    std::array::from_fn(|_| TimestampMillisecondBuilder::new().with_timezone("UTC"))
}

impl Default for Columns {
    fn default() -> Columns {
        Columns {
            rows: 0,
            id: Int64Builder::new(),
            revision: UInt8Builder::new(),
            complete: BooleanBuilder::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            tags: ListBuilder::new(StringBuilder::new()),
            segments: UInt8Builder::new(),
            price: UInt32Builder::new(),
            times: times(),
            status: UInt32Builder::new(),
            attempts: UInt8Builder::new(),
            trail: ListBuilder::new(StructBuilder::from_fields(step_fields(), 0)),
        }
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

impl Columns {
    /// Rows in it.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) {
        self.rows += 1;
        self.id.append_value(row.message as i64);
        self.revision.append_value(row.revision);
        self.complete.append_value(row.complete);
        let texts = [
            Some(&*row.state),
            filled(&row.account),
            filled(&row.class),
            filled(&row.campaign),
            filled(&row.number),
            row.complete.then_some(row.source.as_str()),
            filled(&row.encoding),
            row.carrier.as_deref(),
            row.identity.as_deref(),
            row.reference.as_deref(),
            row.carrier_state.as_deref(),
            row.carrier_error.as_deref(),
            row.network_error.as_deref(),
            row.carrier_id.as_deref(),
            row.text.as_deref(),
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_option(text));
        row.tags.iter().for_each(|tag| self.tags.values().append_value(tag));
        self.tags.append(!row.tags.is_empty());
        self.segments.append_option(row.segments);
        self.price.append_value(row.price);
        let times = [row.accepted_ms, row.due_ms, row.sent_ms, row.final_ms, row.done_ms, row.told_ms];
        self.times.iter_mut().zip(times).for_each(|(column, ms)| column.append_option(ms.map(|ms| ms as i64)));
        self.status.append_option(row.status);
        self.attempts.append_value(row.attempts);
        if row.trail.is_empty() {
            return self.trail.append_null();
        }
        row.trail.iter().for_each(|step| push_step(self.trail.values(), step));
        self.trail.append(true);
    }

    /// All rows as columns; none are left.
    ///
    /// # Errors
    /// None, unless schema and columns don't fit each other.
    pub fn finish(&mut self) -> Result<RecordBatch, String> {
        self.rows = 0;
        let mut texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let mut text = || texts.next().expect("there are fifteen");
        let mut times = self.times.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let mut time = || times.next().expect("there are six");
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(self.id.finish()), Arc::new(self.revision.finish()), Arc::new(self.complete.finish())];
        (0..8).for_each(|_| columns.push(text()));
        columns.push(Arc::new(self.segments.finish()));
        columns.push(Arc::new(self.price.finish()));
        (0..2).for_each(|_| columns.push(text()));
        columns.push(Arc::new(self.tags.finish()));
        (0..6).for_each(|_| columns.push(time()));
        (0..3).for_each(|_| columns.push(text()));
        columns.push(Arc::new(self.status.finish()));
        columns.push(text());
        columns.push(Arc::new(self.attempts.finish()));
        columns.push(text());
        columns.push(Arc::new(self.trail.finish()));
        RecordBatch::try_new(schema(), columns).map_err(|error| error.to_string())
    }
}

fn push_step(into: &mut StructBuilder, step: &RowStep) {
    let expected = "the builders are those of the fields";
    let mut time = |at: usize, ms: Option<u64>| {
        into.field_builder::<TimestampMillisecondBuilder>(at).expect(expected).append_option(ms.map(|ms| ms as i64));
    };
    time(0, Some(step.at_ms));
    time(10, step.done_ms);
    let texts = [
        (1, Some(&*step.step)),
        (2, step.carrier.as_deref()),
        (4, step.id.as_deref()),
        (5, step.state.as_deref()),
        (6, step.means.as_deref()),
        (7, step.error.as_deref()),
        (8, step.network_error.as_deref()),
    ];
    for (at, text) in texts {
        into.field_builder::<StringBuilder>(at).expect(expected).append_option(text);
    }
    for (at, number) in [(3, step.part), (11, step.report)] {
        into.field_builder::<UInt8Builder>(at).expect(expected).append_option(number);
    }
    into.field_builder::<UInt32Builder>(9).expect(expected).append_option(step.status);
    into.append(true);
}

/// A column by name; files of another schema are refused before they are read.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).expect("the schema has been compared")
}

fn text_at(column: &ArrayRef, at: usize) -> Option<String> {
    column.as_string_opt::<i32>().filter(|column| column.is_valid(at)).map(|column| column.value(at).to_owned())
}

fn ms_at(column: &ArrayRef, at: usize) -> Option<u64> {
    let column = column.as_primitive_opt::<TimestampMillisecondType>()?;
    column.is_valid(at).then(|| column.value(at) as u64)
}

fn u8_at(column: &ArrayRef, at: usize) -> Option<u8> {
    column.as_primitive_opt::<UInt8Type>().filter(|column| column.is_valid(at)).map(|column| column.value(at))
}

fn u32_at(column: &ArrayRef, at: usize) -> Option<u32> {
    column.as_primitive_opt::<UInt32Type>().filter(|column| column.is_valid(at)).map(|column| column.value(at))
}

fn tags_at(column: &ArrayRef, at: usize) -> Vec<String> {
    let tags = column.as_list_opt::<i32>().filter(|column| column.is_valid(at)).map(|column| column.value(at));
    tags.map_or_else(Vec::new, |tags| (0..tags.len()).filter_map(|at| text_at(&tags, at)).collect())
}

/// The rows of a batch, trails filled in.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    (0..batch.num_rows()).map(|at| row(batch, at)).collect()
}

fn row(batch: &RecordBatch, at: usize) -> Row {
    let text = |name: &str| text_at(column(batch, name), at);
    let words = |name: &str| Cow::Owned(text(name).unwrap_or_default());
    let ms = |name: &str| ms_at(column(batch, name), at);
    let id = column(batch, "id").as_primitive_opt::<Int64Type>().map_or(0, |column| column.value(at));
    let complete = column(batch, "complete").as_boolean_opt().is_some_and(|column| column.value(at));
    let mut row = Row {
        message: id as u64,
        revision: u8_at(column(batch, "revision"), at).unwrap_or(0),
        complete,
        state: words("state"),
        account: text("account").unwrap_or_default().into(),
        class: words("class"),
        campaign: text("campaign").unwrap_or_default(),
        number: text("number").unwrap_or_default(),
        source: text("source").unwrap_or_default(),
        encoding: words("encoding"),
        carrier: text("carrier").map(Arc::from),
        segments: u8_at(column(batch, "segments"), at),
        price: u32_at(column(batch, "price"), at).unwrap_or(0),
        identity: text("identity"),
        reference: text("reference"),
        tags: tags_at(column(batch, "tags"), at),
        accepted_ms: ms("accepted_at"),
        due_ms: ms("due_at"),
        sent_ms: ms("sent_at"),
        final_ms: ms("final_at"),
        done_ms: ms("done_at"),
        told_ms: ms("told_at"),
        carrier_state: text("carrier_state").map(Cow::Owned),
        carrier_error: text("carrier_error"),
        network_error: text("network_error"),
        status: u32_at(column(batch, "status"), at),
        carrier_id: text("carrier_id"),
        attempts: u8_at(column(batch, "attempts"), at).unwrap_or(0),
        text: text("text"),
        trail: Vec::new(),
    };
    if let Some(list) = column(batch, "trail").as_list_opt::<i32>().filter(|list| list.is_valid(at)) {
        let steps = list.value(at);
        row.trail = steps.as_struct_opt().map_or_else(Vec::new, steps_of);
    }
    row.fill_trail();
    row
}

fn steps_of(steps: &StructArray) -> Vec<RowStep> {
    let column = |at: usize| steps.column(at);
    let step = |at: usize| RowStep {
        at_ms: ms_at(column(0), at).unwrap_or(0),
        step: Cow::Owned(text_at(column(1), at).unwrap_or_default()),
        carrier: text_at(column(2), at),
        part: u8_at(column(3), at),
        id: text_at(column(4), at),
        state: text_at(column(5), at).map(Cow::Owned),
        means: text_at(column(6), at).map(Cow::Owned),
        error: text_at(column(7), at),
        network_error: text_at(column(8), at),
        status: u32_at(column(9), at),
        done_ms: ms_at(column(10), at),
        report: u8_at(column(11), at),
    };
    (0..steps.len()).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_from_its_columns_as_it_was() {
        let step = RowStep { at_ms: 5, step: "verdict".into(), state: Some("expired".into()), status: Some(7), ..RowStep::default() };
        let row = Row {
            message: 1_950_000_000_000_000_000,
            complete: true,
            state: "expired".into(),
            account: "shop".into(),
            class: "otp".into(),
            number: "8613800138000".into(),
            source: "10690001".into(),
            encoding: "ucs2".into(),
            carrier: Some("north".into()),
            accepted_ms: Some(1),
            final_ms: Some(5),
            status: Some(7),
            reference: Some("order 7".into()),
            tags: vec!["a".into(), "b".into()],
            trail: vec![step],
            ..Row::default()
        };
        let plain = Row {
            trail: Vec::new(),
            tags: Vec::new(),
            state: "delivered".into(),
            carrier_id: Some("9".into()),
            sent_ms: Some(3),
            ..row.clone()
        };
        let mut columns = Columns::default();
        columns.push(&row);
        columns.push(&plain);
        let back = rows(&columns.finish().unwrap());
        assert_eq!(back[0], row);
        let names: Vec<&str> = back[1].trail.iter().map(|step| &*step.step).collect();
        assert_eq!(names, ["accepted", "sent", "receipt"]);
    }
}
