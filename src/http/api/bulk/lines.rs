//! The lines of a body as drafts, in batches. Runs on a thread of its own, which waits for octets; lines that are there are handed on before it does.

use super::super::request::{Recipient, Shared, Submission, Variable};
use super::book::Refusal;
use crate::engine::port::Draft;
use crate::engine::scope::Fault;
use crate::http::problem::from_body;
use crate::link::accounts::AccountEntry;
use crate::link::submissions::Submissions;
use crate::model::Message;
use crate::number::list::{Column, LineError, List, same_name};
use crate::number::unpack;
use crate::text::template::{Piece, pieces};
use axum::body::Bytes;
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::Xxh3;

/// Lines in one batch at most: each is one step of the engine, which an urgent message may have to wait for.
const BATCH_MAX: usize = 1_000;
/// Longest line of NDJSON, octets.
const LINE_MAX: usize = 128 << 10;
/// Octets read at once.
const CHUNK: usize = 256 << 10;
/// What columns with texts are called.
const TEXT_NAMES: [&str; 6] = ["text", "message", "content", "短信", "短信内容", "内容"];

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines with fields, as people keep them.
    Csv,
    /// A JSON object a line.
    Json,
}

/// What holds for all lines.
pub(super) struct Plan {
    /// The hash of the submission's id.
    pub job: u64,
    pub all: Submission,
    pub shared: Shared,
    pub campaign: Option<Arc<str>>,
    pub number_column: Option<String>,
    pub account: Arc<AccountEntry>,
    pub submissions: Submissions,
}

impl Plan {
    /// The draft of a line.
    pub(super) fn draft(&self, own: &Recipient) -> Result<Draft, Fault> {
        let (account, submissions) = (&self.account, &self.submissions);
        let sender = submissions.sender(account);
        let mut message = self.shared.message(0, own, &self.all, &sender)?;
        // Just made: nothing is copied. A key of the line's own holds in other submissions too.
        let made = Arc::make_mut(&mut message);
        if own.idempotency_key.is_none() {
            made.identity = identity(self.job, made);
        }
        Ok(Draft { token: 0, message, campaign: self.campaign.clone() })
    }
}

/// What a line is called in a job: whatever would make another message of it is in it.
fn identity(job: u64, message: &Message) -> u64 {
    let mut hash = Xxh3::with_seed(job);
    let mut field = |octets: &[u8]| {
        hash.update(&(octets.len() as u32).to_le_bytes());
        hash.update(octets);
    };
    let mut head = [0; 26];
    head[..8].copy_from_slice(&message.number.to_le_bytes());
    head[8..16].copy_from_slice(&message.due_ms.to_le_bytes());
    head[16..24].copy_from_slice(&message.expires_ms.to_le_bytes());
    head[24..].copy_from_slice(&[message.body.encoding as u8, message.body.header_len]);
    [&head[..], &message.source.digits, &message.body.octets].into_iter().for_each(&mut field);
    if let Some(notes) = &message.notes {
        field(notes.reference.as_bytes());
        notes.tags.iter().for_each(|tag| field(tag.as_bytes()));
        field(notes.callback.as_ref().map_or(&[], |callback| callback.url.as_bytes()));
    }
    hash.digest().max(1)
}

/// Some lines.
#[derive(Default)]
pub(super) struct Batch {
    /// What can be handed in.
    pub drafts: Vec<Draft>,
    /// Where each of these stands, and what it was made of: a draft is spent when it is handed in.
    pub lines: Vec<(u64, Recipient)>,
    /// What can't.
    pub bad: Vec<Refusal>,
    /// Octets that were read since the batch before.
    pub octets: u64,
}

/// Where batches go.
struct Out {
    batch: Batch,
    sender: mpsc::Sender<Batch>,
}

impl Out {
    fn send(&mut self) -> io::Result<()> {
        if self.batch.lines.is_empty() && self.batch.bad.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.sender.blocking_send(batch).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn sent_if_full(&mut self) -> io::Result<()> {
        if self.batch.lines.len() + self.batch.bad.len() < BATCH_MAX { Ok(()) } else { self.send() }
    }
}

/// The octets of the body. An error: not all of it came.
struct Octets {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    out: Rc<RefCell<Out>>,
}

impl Read for Octets {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let next = match self.chunks.try_recv() {
                Ok(next) => Some(next),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    // Nobody knows how long the next one takes.
                    self.out.borrow_mut().send()?;
                    self.chunks.blocking_recv()
                }
            };
            let Some(next) = next else { return Ok(0) };
            self.chunk = next?;
            self.out.borrow_mut().batch.octets += self.chunk.len() as u64;
        }
        let length = into.len().min(self.chunk.len());
        into[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// Reads all of a body; false if it can't be read at all, as `opened` learns too. Ends early when nobody takes batches any more, or the octets end in an error:
/// what came of a line that was cut off makes no message.
pub(super) fn read(
    kind: Kind,
    plan: &Plan,
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    sender: mpsc::Sender<Batch>,
    opened: oneshot::Sender<Result<(), Fault>>,
) -> bool {
    let out = Rc::new(RefCell::new(Out { batch: Batch::default(), sender }));
    let octets = Octets { chunks, chunk: Bytes::new(), out: Rc::clone(&out) };
    let read = match kind {
        Kind::Csv => match Table::open(octets, plan) {
            Ok(table) => {
                let _ = opened.send(Ok(()));
                table.read(plan, &out)
            }
            Err(fault) => {
                let _ = opened.send(Err(fault));
                return false;
            }
        },
        Kind::Json => {
            let _ = opened.send(Ok(()));
            objects(octets, plan, &out)
        }
    };
    // Whoever feeds it knows why the octets ended.
    let _ = read.and_then(|()| out.borrow_mut().send());
    true
}

pub(super) fn refusal(line: u64, fault: Fault) -> Refusal {
    let Fault { code, field, what, fix } = super::super::request::public(fault);
    Refusal { line, code: code.to_owned(), field: field.to_owned(), detail: what, fix }
}

fn take(plan: &Plan, line: u64, own: Recipient, out: &RefCell<Out>) -> io::Result<()> {
    let made = plan.draft(&own);
    let mut out = out.borrow_mut();
    match made {
        Ok(draft) => {
            out.batch.drafts.push(draft);
            out.batch.lines.push((line, own));
        }
        Err(fault) => out.batch.bad.push(refusal(line, fault)),
    }
    out.sent_if_full()
}

fn pass_over(bad: Refusal, out: &RefCell<Out>) -> io::Result<()> {
    let mut out = out.borrow_mut();
    out.batch.bad.push(bad);
    out.sent_if_full()
}

/// NDJSON.
fn objects(octets: Octets, plan: &Plan, out: &RefCell<Out>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(CHUNK, octets);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if (&mut input).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.len() > LINE_MAX {
            skip_line(&mut input)?;
            let fault = Fault::of("too_long", "", "the line is too long", format!("at most {LINE_MAX} octets"));
            pass_over(refusal(number, fault), out)?;
            continue;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        // serde takes a list for a struct's fields in order.
        if text[0] != b'{' {
            let fault = Fault::of("bad_value", "", "the line is no JSON object", "{\"to\": \"+8613800138000\", ...}");
            pass_over(refusal(number, fault), out)?;
            continue;
        }
        match from_body::<Recipient>(text) {
            Ok(own) => take(plan, number, own, out)?,
            Err(problem) => {
                let [code, field, detail, fix] = [problem.code, problem.field, problem.detail, problem.fix].map(String::from);
                pass_over(Refusal { line: number, code, field, detail, fix }, out)?;
            }
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        match memchr::memchr(b'\n', buffer) {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None if buffer.is_empty() => return Ok(()),
            None => {
                let length = buffer.len();
                input.consume(length);
            }
        }
    }
}

/// CSV, whose first line is read.
struct Table {
    list: List<Octets>,
    /// The column of texts, if there is no text for all.
    text: Option<usize>,
    reference: Option<usize>,
    /// Columns that the text names.
    variables: Vec<(String, usize)>,
}

impl Table {
    fn open(octets: Octets, plan: &Plan) -> Result<Table, Fault> {
        let column = match &plan.number_column {
            None => Column::Any,
            Some(text) => match text.trim().parse() {
                Ok(place @ 1..) => Column::Place(place),
                _ => Column::Name(text.clone()),
            },
        };
        let unreadable = |error: crate::number::list::ListError| {
            let field = if plan.number_column.is_some() { "number_column" } else { "" };
            Fault::of("unreadable", field, error.to_string(), "CSV with a column of numbers; number_column names it")
        };
        let list = List::open(octets, &column, plan.submissions.home()).map_err(unreadable)?;
        let names = list.names();
        let named = |wanted: &[&str]| names.iter().position(|name| wanted.iter().any(|other| same_name(name, other)));
        let (text, variables) = match &plan.all.text {
            Some(text) => (None, columns(text, names)?),
            None => {
                let none = || Fault::of("length", "text", "there is no text", "the parameter text, or a column of this name");
                (Some(named(&TEXT_NAMES).ok_or_else(none)?), Vec::new())
            }
        };
        Ok(Table { text, reference: named(&["reference"]), variables, list })
    }

    fn read(mut self, plan: &Plan, out: &RefCell<Out>) -> io::Result<()> {
        while let Some((record, number)) = self.list.read()? {
            let line = record.line;
            let number = match number {
                Ok(number) => number,
                Err(error) => {
                    let is_number = matches!(error, LineError::Number(_));
                    let (code, field) = if is_number { ("destination", "to") } else { ("unreadable", "") };
                    let fix = if is_number { "a phone number such as +8613800138000" } else { "a line as the first one" };
                    pass_over(refusal(line, Fault::of(code, field, error.to_string(), fix)), out)?;
                    continue;
                }
            };
            if let Some((name, _)) = self.variables.iter().find(|(_, at)| *at >= record.len()) {
                let what = format!("the text names {{{name}}}, and the line has no such field");
                pass_over(refusal(line, Fault::of("bad_value", "text", what, "a field for every column")), out)?;
                continue;
            }
            let value = |(name, at): &(String, usize)| (name.clone(), Variable::Text(record.text(*at).into_owned()));
            let own = Recipient {
                to: format!("+{}", String::from_utf8_lossy(&unpack(number))),
                text: self.text.map(|at| record.text(at).into_owned()),
                variables: self.variables.iter().map(value).collect(),
                reference: self.reference.map(|at| record.text(at).into_owned()),
                ..Recipient::default()
            };
            take(plan, line, own, out)?;
        }
        Ok(())
    }
}

/// The columns that a text names, by their names or by their places from 1.
fn columns(text: &str, names: &[String]) -> Result<Vec<(String, usize)>, Fault> {
    let bad = |what: String| Fault::of("bad_value", "text", what, "{name} or {2} for a column, {{ or }} for a brace");
    let mut all = Vec::new();
    for piece in pieces(text).ok_or_else(|| bad("a brace stands alone".to_owned()))? {
        let Piece::Name(name) = piece else { continue };
        let by_name = names.iter().position(|other| same_name(other, name));
        let by_place = || name.trim().parse::<usize>().ok().and_then(|place| place.checked_sub(1));
        let at = by_name.or_else(by_place).ok_or_else(|| match names {
            [] => bad(format!("{{{name}}} names a column, and the first line is no header")),
            names => bad(format!("no column is called '{name}'; the first line has: {}", names.join(", "))),
        })?;
        all.push((name.to_owned(), at));
    }
    Ok(all)
}
