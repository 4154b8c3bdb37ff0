//! Records of a text of any size: plain lines or CSV (comma, semicolon or tab, found out from the first line; quotes; CRLF, LF or CR), in UTF-8 with or
//! without byte order mark, or in GB18030. One bad line costs itself alone: a quote that is never closed does not swallow what follows.
//!
//! What the fields mean is the reader's. Memory is bounded by the longest record.

use super::written::from_text;
use super::{HomeRegion, NumberError};
use std::borrow::Cow;
use std::io::{self, Read};

/// Longest record, octets. A line that is longer is no record.
const RECORD_MAX: usize = 1 << 20;
/// Lines that a quoted field may run over.
const QUOTED_LINES_MAX: usize = 100;
/// Octets read at once.
const CHUNK: usize = 256 << 10;
/// Most fields of a record.
const FIELDS_MAX: usize = 4096;

/// Why a record can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A quoted field has no end.
    #[error("a quote is opened and never closed")]
    OpenQuote,
    /// See the bounds above.
    #[error("the line is longer than 1 MiB or has more than 4096 fields")]
    TooLong,
}

/// Why a whole text can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The source.
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    /// UTF-16.
    #[error("is in UTF-16; save it as CSV in UTF-8")]
    Utf16,
    /// An Excel workbook or another archive.
    #[error("is a workbook or an archive, not a text; save it as CSV in UTF-8")]
    Workbook,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r> {
    /// Its first line, from 1.
    pub line: u64,
    /// Its octets as they were read, without the end of the line.
    pub raw: &'r [u8],
    /// Why it can't be read, if so; it then has no fields.
    pub fault: Option<Fault>,
    text: &'r [u8],
    fields: &'r [(usize, usize)],
    gb18030: bool,
}

impl<'r> Record<'r> {
    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The octets of a field, without its quotes.
    #[inline]
    pub fn octets(&self, at: usize) -> Option<&'r [u8]> {
        self.fields.get(at).map(|&(start, end)| &self.text[start..end])
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        let text = self.text;
        self.fields.iter().map(move |&(start, end)| &text[start..end])
    }

    /// The text of a field, without blanks around it; empty if there is no such field.
    pub fn text(&self, at: usize) -> Cow<'r, str> {
        decode(self.octets(at).unwrap_or_default().trim_ascii(), self.gb18030)
    }

    /// The text of the whole record.
    pub fn raw_text(&self) -> Cow<'r, str> {
        decode(self.raw, self.gb18030)
    }

    /// The number that a field is.
    #[inline]
    pub fn number(&self, at: usize, home: HomeRegion) -> Result<u64, NumberError> {
        let octets = self.octets(at).unwrap_or_default();
        if octets.is_ascii() { from_text(octets, home) } else { from_text(decode(octets, self.gb18030).as_bytes(), home) }
    }
}

/// A text is UTF-8 until it is seen not to be; then it is GB18030, which holds GBK and GB2312.
fn decode(octets: &[u8], gb18030: bool) -> Cow<'_, str> {
    if !gb18030 && let Ok(text) = std::str::from_utf8(octets) {
        return Cow::Borrowed(text);
    }
    encoding_rs::GB18030.decode_without_bom_handling(octets).0
}

/// Reads records one after the other.
pub struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    /// Of the buffer, what is not read yet.
    start: usize,
    ended: bool,
    line: u64,
    /// Octets and lines of the last record, so that it can be put back.
    taken: (usize, u64),
    delimiter: Option<u8>,
    line_end: u8,
    gb18030: bool,
    parser: csv_core::Reader,
    unquoted: Vec<u8>,
    ends: Vec<usize>,
    fields: Vec<(usize, usize)>,
}

impl<R: Read> Records<R> {
    /// Looks at the beginning of `input` to find out how it is written.
    pub fn open(input: R) -> Result<Records<R>, TextError> {
        let mut records = Records {
            input,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            line: 0,
            taken: (0, 0),
            delimiter: None,
            line_end: b'\n',
            gb18030: false,
            parser: csv_core::Reader::new(),
            unquoted: vec![0; 1024],
            ends: vec![0; 64],
            fields: Vec::new(),
        };
        // Up to the end of the first line, however the octets come.
        while !records.ended && records.buffer.len() < CHUNK && !records.buffer.contains(&b'\n') {
            records.fill()?;
        }
        match records.buffer.as_slice() {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return Err(TextError::Utf16),
            [b'P', b'K', 3, 4, ..] | [0xD0, 0xCF, 0x11, 0xE0, ..] => return Err(TextError::Workbook),
            [0xEF, 0xBB, 0xBF, ..] => records.start = 3,
            _ => {}
        }
        // As old Macintoshes wrote: lines end with CR where no LF is in sight.
        let seen = &records.buffer[records.start..];
        if !seen.contains(&b'\n') && seen.contains(&b'\r') {
            records.line_end = b'\r';
        }
        let end = records.line_end;
        let first = records.buffer[records.start..].split(|&octet| octet == end).find(|line| !line.trim_ascii().is_empty());
        records.delimiter = first.and_then(delimiter);
        let mut builder = csv_core::ReaderBuilder::new();
        records.parser = builder.delimiter(records.delimiter.unwrap_or(b',')).build();
        Ok(records)
    }

    /// Fields are separated by commas if the first line doesn't say otherwise: a table is no text of plain lines.
    #[must_use]
    pub fn or_comma(mut self) -> Records<R> {
        self.delimiter.get_or_insert(b',');
        self
    }

    /// What separates fields; `None` for a text of plain lines.
    pub fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    /// The last record comes again. Once, and before anything else is read.
    pub fn put_back(&mut self) {
        let (octets, lines) = std::mem::take(&mut self.taken);
        self.start -= octets;
        self.line -= lines;
    }

    /// The next record that isn't blank.
    pub fn read(&mut self) -> io::Result<Option<Record<'_>>> {
        loop {
            let Some((length, ending)) = self.line_from(0)? else { return Ok(None) };
            self.line += 1;
            let line = self.line;
            let raw = self.start..self.start + length;
            self.taken = (length + ending, 1);
            if length > RECORD_MAX {
                self.start += length + ending;
                return Ok(Some(self.faulty(line, raw, Fault::TooLong)));
            }
            if self.buffer[raw.clone()].trim_ascii().is_empty() {
                self.start += length + ending;
                continue;
            }
            if self.delimiter.is_some() && memchr::memchr(b'"', &self.buffer[raw.clone()]).is_some() {
                return self.quoted(line, length, ending).map(Some);
            }
            self.start += length + ending;
            let fits = split(&self.buffer[raw.clone()], self.delimiter, &mut self.fields);
            if !fits {
                return Ok(Some(self.faulty(line, raw, Fault::TooLong)));
            }
            self.notice_encoding(raw.clone());
            let text = &self.buffer[raw];
            return Ok(Some(Record { line, raw: text, fault: None, text, fields: &self.fields, gb18030: self.gb18030 }));
        }
    }

    fn faulty(&mut self, line: u64, raw: std::ops::Range<usize>, fault: Fault) -> Record<'_> {
        self.fields.clear();
        let raw = raw.start..raw.end.min(raw.start + RECORD_MAX);
        Record { line, raw: &self.buffer[raw], fault: Some(fault), text: &[], fields: &self.fields, gb18030: self.gb18030 }
    }

    /// A record with quotes, whose first line has `length` octets: takes further lines while a quote is open.
    fn quoted(&mut self, line: u64, length: usize, ending: usize) -> io::Result<Record<'_>> {
        let (mut end, mut next) = (length, length + ending);
        for lines in 1..=QUOTED_LINES_MAX {
            let raw = self.start..self.start + end;
            if self.parse(raw.clone()) {
                self.start += next;
                self.line += lines as u64 - 1;
                self.taken = (next, lines as u64);
                self.notice_encoding(raw.clone());
                let raw = &self.buffer[raw];
                return Ok(Record { line, raw, fault: None, text: &self.unquoted, fields: &self.fields, gb18030: self.gb18030 });
            }
            let Some((further, ending)) = self.line_from(next)? else { break };
            end = next + further;
            next = end + ending;
            if end > RECORD_MAX {
                break;
            }
        }
        // Only this line is lost: the next record begins with the next one.
        let raw = self.start..self.start + length;
        self.start += length + ending;
        Ok(self.faulty(line, raw, Fault::OpenQuote))
    }

    /// Parses a record with quotes; false if a quote is still open at its end.
    fn parse(&mut self, raw: std::ops::Range<usize>) -> bool {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        self.parser.reset();
        let text = &self.buffer[raw];
        // A line end after the text closes the record, unless a quote is open.
        let closing: [&[u8]; 2] = [text, b"\n"];
        let (mut part, mut read, mut written, mut ends) = (0, 0, 0, 0);
        let closed = loop {
            let (result, taken, wrote, ended) =
                self.parser.read_record(&closing[part][read..], &mut self.unquoted[written..], &mut self.ends[ends..]);
            (read, written, ends) = (read + taken, written + wrote, ends + ended);
            match result {
                Record => break true,
                OutputFull => self.unquoted.resize(self.unquoted.len() * 2, 0),
                OutputEndsFull if self.ends.len() < FIELDS_MAX => self.ends.resize(self.ends.len() * 2, 0),
                InputEmpty if part == 0 => (part, read) = (1, 0),
                InputEmpty | End | OutputEndsFull => break false,
            }
        };
        self.fields.clear();
        let mut start = 0;
        for &end in &self.ends[..ends] {
            self.fields.push((start, end));
            start = end;
        }
        // Closed before the end: a line end inside, where a quote was none.
        closed && (part == 1 || read == text.len())
    }

    fn notice_encoding(&mut self, raw: std::ops::Range<usize>) {
        let text = &self.buffer[raw];
        if !self.gb18030 && !text.is_ascii() && std::str::from_utf8(text).is_err() {
            self.gb18030 = true;
        }
    }

    /// Length of the line that begins `at` octets after the start, and of its end; `None` if there is none. A line over the bound is cut off.
    fn line_from(&mut self, at: usize) -> io::Result<Option<(usize, usize)>> {
        let mut seen = at;
        loop {
            if let Some(found) = memchr::memchr(self.line_end, &self.buffer[self.start + seen..]) {
                let length = seen + found - at;
                let text = &self.buffer[self.start + at..self.start + at + length];
                let carriage = usize::from(self.line_end == b'\n' && text.last() == Some(&b'\r'));
                return Ok(Some((length - carriage, 1 + carriage)));
            }
            seen = self.buffer.len() - self.start;
            if self.ended {
                return Ok((seen > at).then_some((seen - at, 0)));
            }
            if seen - at > RECORD_MAX {
                self.shorten_line(at)?;
                return Ok(Some((RECORD_MAX + 1, usize::from(!self.ended))));
            }
            self.fill()?;
        }
    }

    /// Throws away what a line over the bound has beyond it, up to its end.
    fn shorten_line(&mut self, at: usize) -> io::Result<()> {
        loop {
            let keep = self.start + at + RECORD_MAX + 1;
            if let Some(found) = memchr::memchr(self.line_end, &self.buffer[keep..]) {
                self.buffer.drain(keep..keep + found);
                return Ok(());
            }
            self.buffer.truncate(keep);
            if self.ended {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.truncate(filled + read);
        self.ended = read == 0;
        Ok(())
    }
}

/// What the first line separates its fields with.
fn delimiter(line: &[u8]) -> Option<u8> {
    let mut quoted = false;
    let mut counts = [(0, b','), (0, b';'), (0, b'\t')];
    for &octet in line {
        quoted ^= octet == b'"';
        if let Some(count) = counts.iter_mut().find(|(_, delimiter)| *delimiter == octet && !quoted) {
            count.0 += 1;
        }
    }
    // The first of those that stand most often.
    counts.into_iter().rev().max_by_key(|&(count, _)| count).filter(|&(count, _)| count > 0).map(|(_, delimiter)| delimiter)
}

/// The fields of a line without quotes; false if it has too many.
fn split(line: &[u8], delimiter: Option<u8>, fields: &mut Vec<(usize, usize)>) -> bool {
    fields.clear();
    let mut start = 0;
    if let Some(delimiter) = delimiter {
        for end in memchr::memchr_iter(delimiter, line) {
            fields.push((start, end));
            start = end + 1;
        }
    }
    fields.push((start, line.len()));
    fields.len() <= FIELDS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and fields of each record, or its fault.
    fn read(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::open(text).unwrap();
        let mut out = Vec::new();
        while let Some(record) = records.read().unwrap() {
            let fields = match record.fault {
                Some(fault) => vec![format!("{fault:?}")],
                None => (0..record.len()).map(|at| record.text(at).into_owned()).collect(),
            };
            out.push((record.line, fields));
        }
        out
    }

    fn rows(rows: &[(u64, &[&str])]) -> Vec<(u64, Vec<String>)> {
        rows.iter().map(|(line, fields)| (*line, fields.iter().map(|field| (*field).to_owned()).collect())).collect()
    }

    #[test]
    fn lines_end_with_crlf_lf_or_cr_and_blank_ones_count() {
        for text in ["a\r\n\r\nb\r\nc", "a\n\nb\nc\n", "a\r\rb\rc", "\u{FEFF}a\n \nb\nc\n\n"] {
            assert_eq!(read(text.as_bytes()), rows(&[(1, &["a"]), (3, &["b"]), (4, &["c"])]), "{text:?}");
        }
        assert!(read(b"").is_empty() && read(b"\n\r\n  \n").is_empty() && read("\u{FEFF}".as_bytes()).is_empty());
    }

    #[test]
    fn fields_are_separated_as_in_the_first_line_and_quotes_may_hold_anything() {
        let expected = rows(&[(1, &["name", "phone"]), (2, &["a,b", "1"]), (3, &["c\nd \"e\"", "2"]), (5, &["f", "3"])]);
        for delimiter in [",", ";", "\t"] {
            let text = "name|phone\n\"a,b\"|1\n\"c\nd \"\"e\"\"\"|2\r\nf|\"3\"".replace('|', delimiter);
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(read(b"\"x\"\n\"y,z\"\n").len(), 2);
        assert_eq!(read(b"a,b\n1,2,3\n4\n"), rows(&[(1, &["a", "b"]), (2, &["1", "2", "3"]), (3, &["4"])]));
    }

    #[test]
    fn an_open_quote_costs_its_line_alone() {
        let text = format!("a,b\n\"1,2\n3,4\n{}", "5,6\n".repeat(200));
        let read = read(text.as_bytes());
        assert_eq!(read[1], (2, vec!["OpenQuote".to_owned()]));
        assert_eq!(read[2], (3, vec!["3".to_owned(), "4".to_owned()]));
        assert_eq!(read.len(), 203);
        assert_eq!(super::tests::read(b"a,b\n\"1,2"), rows(&[(1, &["a", "b"]), (2, &["OpenQuote"])]));
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut text = b"a\n".to_vec();
        text.extend(vec![b'x'; 3 << 20]);
        text.extend(b"\nb\n");
        assert_eq!(read(&text), rows(&[(1, &["a"]), (2, &["TooLong"]), (3, &["b"])]));
        let quoted = [b"a,b\n\"1,2\n3,4\n".to_vec(), vec![b'x'; 3 << 20], b"\n5,6".to_vec()].concat();
        assert_eq!(
            read(&quoted).iter().map(|(line, fields)| (*line, fields.len())).collect::<Vec<_>>(),
            [(1, 2), (2, 1), (3, 2), (4, 1), (5, 2)]
        );
        let many = [b"a,b\n".to_vec(), vec![b','; 5000], b"\nc,d".to_vec()].concat();
        assert_eq!(read(&many), rows(&[(1, &["a", "b"]), (2, &["TooLong"]), (3, &["c", "d"])]));
    }

    #[test]
    fn what_is_not_utf_8_is_gb18030() {
        let (text, _, _) = encoding_rs::GB18030.encode("手机,姓名\n１３８,张三\n139,\"李,四\"\n");
        assert_eq!(read(&text), rows(&[(1, &["手机", "姓名"]), (2, &["１３８", "张三"]), (3, &["139", "李,四"])]));
        assert_eq!(read("手机,姓名\n".as_bytes()), rows(&[(1, &["手机", "姓名"])]));
    }

    #[test]
    fn what_is_no_text_says_what_to_do() {
        assert!(matches!(Records::open(&b"\xFF\xFE1\0"[..]), Err(TextError::Utf16)));
        assert!(matches!(Records::open(&b"PK\x03\x04...."[..]), Err(TextError::Workbook)));
    }

    /// A source that gives one octet at a time.
    struct Drops<'t>(&'t [u8]);
    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn it_does_not_matter_how_the_octets_come() {
        let mut records = Records::open(Drops(b"a,b\n\"1\n2\",3\n")).unwrap();
        assert_eq!(records.read().unwrap().unwrap().len(), 2);
        let second = records.read().unwrap().unwrap();
        assert_eq!((second.line, second.text(0).as_ref(), second.text(1).as_ref()), (2, "1\n2", "3"));
        records.put_back();
        assert_eq!(records.read().unwrap().map(|record| (record.line, record.len())), Some((2, 2)));
        assert!(records.read().unwrap().is_none());
    }
}
