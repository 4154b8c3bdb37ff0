//! Lists of numbers as people keep them: which column holds the number, and each line's number or the reason why it is none.

use super::packed;
use super::plan;
use super::records::{Fault, Record, Records, TextError};
use super::{HomeRegion, NumberError};
use std::io::{self, Read};

/// What columns with numbers are called, lower case, without blanks, `_` and `-`.
const NAMES: [&str; 22] = [
    "phone",
    "phonenumber",
    "phoneno",
    "mobile",
    "mobilenumber",
    "mobileno",
    "msisdn",
    "number",
    "tel",
    "telephone",
    "cell",
    "cellphone",
    "to",
    "recipient",
    "destination",
    "手机",
    "手机号",
    "手机号码",
    "电话",
    "电话号码",
    "联系电话",
    "号码",
];

/// Which column holds the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Found out: by its name, else by what the first line holds.
    Any,
    /// The one of this name; the first line is a header.
    Name(String),
    /// The one at this place, from 1.
    Place(usize),
}

/// Why a list can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No column of that name, or none that looks like it.
    #[error("{0}")]
    NoColumn(String),
}

/// Why a line has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line can't be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It ends before the column.
    #[error("the line has {0} fields and no column of numbers")]
    NoField(usize),
    /// What stands there is none.
    #[error(transparent)]
    Number(#[from] NumberError),
}

/// Reads a list.
pub struct List<R> {
    records: Records<R>,
    column: usize,
    header: Option<Vec<u8>>,
    names: Vec<String>,
    home: HomeRegion,
}

impl<R: Read> List<R> {
    /// Finds the column in the first line. `home` is the country of national forms.
    pub fn open(input: R, column: &Column, home: HomeRegion) -> Result<List<R>, ListError> {
        let mut records = Records::open(input)?;
        let (mut at, mut header, mut names) = (0, None, Vec::new());
        if let Some(first) = records.read().map_err(TextError::Io)? {
            let (found, is_header) = choose(&first, column, home)?;
            at = found;
            header = is_header.then(|| first.raw.to_vec());
            names = if is_header { (0..first.len()).map(|at| first.text(at).into_owned()).collect() } else { Vec::new() };
            if header.is_none() {
                records.put_back();
            }
        }
        Ok(List { records, column: at, header, names, home })
    }

    /// The header's octets, if the list has one.
    pub fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// What its columns are called; empty if the list has no header.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Place of the column with the number, from 0.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What separates fields; `None` for plain lines.
    pub fn delimiter(&self) -> Option<u8> {
        self.records.delimiter()
    }

    /// The next line that isn't blank, and its number.
    #[inline]
    pub fn read(&mut self) -> io::Result<Option<(Record<'_>, Result<u64, LineError>)>> {
        let (column, home) = (self.column, self.home);
        let Some(record) = self.records.read()? else { return Ok(None) };
        let number = match record.fault {
            Some(fault) => Err(fault.into()),
            None if column >= record.len() => Err(LineError::NoField(record.len())),
            None => record.number(column, home).map_err(LineError::from),
        };
        Ok(Some((record, number)))
    }
}

/// The column of numbers, and whether the first line is a header.
fn choose(first: &Record<'_>, column: &Column, home: HomeRegion) -> Result<(usize, bool), ListError> {
    let texts: Vec<String> = (0..first.len()).map(|at| first.text(at).into_owned()).collect();
    let is_name = |at: usize| texts.get(at).is_some_and(|text| !text.is_empty() && !text.chars().any(|c| c.is_numeric()));
    match column {
        Column::Place(place) => Ok((place - 1, is_name(place - 1))),
        Column::Name(name) => {
            let found = texts.iter().position(|text| fold(text) == fold(name));
            let listed = || ListError::NoColumn(format!("no column is called '{name}'; the first line has: {}", texts.join(", ")));
            found.map(|at| (at, true)).ok_or_else(listed)
        }
        Column::Any => {
            // A number by the patterns of its country first: a date or an id may have a number's length.
            let number = |at: &usize| first.number(*at, home).ok();
            let valid = |at: &usize| number(at).is_some_and(|number| plan::is_valid(&packed::unpack(number)));
            if let Some(at) = (0..texts.len()).find(valid).or_else(|| (0..texts.len()).find(|at| number(at).is_some())) {
                return Ok((at, false));
            }
            if let Some(at) = texts.iter().position(|text| NAMES.contains(&fold(text).as_str())) {
                return Ok((at, true));
            }
            if texts.len() < 2 {
                return Ok((0, is_name(0)));
            }
            let what = "which column holds the numbers? Name it (--column NAME) or count it (--column 2); the first line has";
            Err(ListError::NoColumn(format!("{what}: {}", texts.join(", "))))
        }
    }
}

/// Two names of a column mean the same.
pub fn same_name(one: &str, other: &str) -> bool {
    fold(one) == fold(other)
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with their numbers or reasons.
    fn read(text: &[u8], column: &Column) -> Result<Vec<(u64, String)>, String> {
        let mut list = List::open(text, column, HomeRegion::CHINA).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        while let Some((record, number)) = list.read().unwrap() {
            let told = number.map_or_else(|error| error.to_string(), |number| String::from_utf8(packed::unpack(number).to_vec()).unwrap());
            out.push((record.line, told));
        }
        Ok(out)
    }

    fn expect(rows: &[(u64, &str)]) -> Result<Vec<(u64, String)>, String> {
        Ok(rows.iter().map(|(line, told)| (*line, (*told).to_owned())).collect())
    }

    #[test]
    fn a_plain_list_needs_no_header_and_may_have_one() {
        let numbers = expect(&[(1, "8613800138000"), (2, "8613900139000")]);
        assert_eq!(read(b"13800138000\n+86 139-0013-9000\n", &Column::Any), numbers);
        assert_eq!(read("手机号\r\n13800138000\r\n".as_bytes(), &Column::Any), expect(&[(2, "8613800138000")]));
        assert_eq!(read(b"my friends\n13800138000\n", &Column::Any), expect(&[(2, "8613800138000")]));
        let odd = expect(&[(1, "the number has a character that no number has"), (2, "8613800138000")]);
        assert_eq!(read(b"1380O138000\n13800138000\n", &Column::Any), odd);
        assert_eq!(read(b"", &Column::Any), expect(&[]));
        assert_eq!(read(b"", &Column::Place(3)), expect(&[]));
    }

    #[test]
    fn the_column_is_found_by_name_by_place_or_by_what_it_holds() {
        let found = expect(&[(2, "8613800138000")]);
        let text = b"id,Mobile Number,date\n1001,13800138000,20240101\n";
        for column in [Column::Any, Column::Name("mobile_number".into()), Column::Place(2)] {
            assert_eq!(read(text, &column), found, "{column:?}");
        }
        assert_eq!(read(b"20240101;13800138000;x\n", &Column::Any), expect(&[(1, "8613800138000")]));
        let (gb, _, _) = encoding_rs::GB18030.encode("姓名,手机号码\n张三,１３８００１３８０００\n");
        assert_eq!(read(&gb, &Column::Any), found);
    }

    #[test]
    fn a_column_that_isn_t_there_is_told_with_those_that_are() {
        let told = "no column is called 'fax'; the first line has: id, phone";
        assert_eq!(read(b"id,phone\n", &Column::Name("fax".into())), Err(told.to_owned()));
        assert!(read(b"a,b\n1,2\n", &Column::Any).unwrap_err().contains("--column 2); the first line has: a, b"));
        let short = expect(&[(2, "the line has 1 fields and no column of numbers"), (3, "the number is empty")]);
        assert_eq!(read(b"id,phone\n1\n1,\n", &Column::Any), short);
    }
}
