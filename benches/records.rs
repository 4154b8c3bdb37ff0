//! What records cost a message at full speed (CPU of their threads, from the encoded groups to synced files, merged by the hour), and how long look-ups by id,
//! number, reference and campaign take afterwards. The groups are as the gateway writes them: a message accepted, sent, reported and handed over, each in
//! another group. The messages are those of a whole day: a tenth have a reference, a quarter belong to campaigns.
//!
//! `cargo bench --bench records [-- MESSAGES [NUMBERS [DIRECTORY]]]`: records are written into the directory and stay there; where it has some, they are
//! looked up once more, without writing any. Without a directory they are written into one that goes at the end.

use hongyan::engine::event::{self, DeliveryKey, Event, PartReceipt};
use hongyan::model::id::MessageIds;
use hongyan::model::notes::Notes;
use hongyan::model::state::ReceiptState;
use hongyan::model::{AccountId, Address, Body, CampaignId, CarrierId, Class, Encoding, Message, MessageId, Report};
use hongyan::records::Records;
use hongyan::records::find::Query;
use hongyan::records::keeper::{KeeperSettings, Start};
use hongyan::records::numbers::Numbers;
use hongyan::records::row::Names;
use hongyan::store::{EachGroup, JournalReader, StoreError};
use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As the gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages accepted in one group.
const PER_GROUP: u64 = 1_000;
/// Groups between a message's acceptance and its end.
const IN_FLIGHT: u64 = 100;
/// Messages from a campaign's first to its last.
const CAMPAIGN: u64 = 400_000;
const HOUR_MS: u64 = 3_600_000;
/// In so long at least one merge is done, if there is one to do.
const MERGED: Duration = Duration::from_secs(30);

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Everything comes from memory.
struct Nothing;

impl JournalReader for Nothing {
    fn read(&mut self, from: u64, _: u32, _: EachGroup<'_>) -> Result<u64, StoreError> {
        Ok(from)
    }
    fn bounds(&mut self) -> Result<(u64, u64), StoreError> {
        Ok((1, 1))
    }
}

/// The number of the `n`th message.
fn number(n: u64, numbers: u64) -> u64 {
    13_800_000_000 + n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % numbers
}

/// The sender's name of the `n`th message, if it has one.
fn reference(n: u64) -> String {
    format!("order-{n}")
}

fn accepted(n: u64, id: MessageId, at_ms: u64, numbers: u64) -> Message {
    let digits = format!("86{}", number(n, numbers));
    let to = Address::new(1, 1, digits.as_bytes()).expect("it is short");
    let from = Address::new(5, 0, b"SHOP").expect("it is short");
    let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: vec![b'x'; 80].into() };
    let packed = hongyan::number::from_text(format!("+{digits}").as_bytes(), hongyan::number::HomeRegion::default()).expect("a number");
    let report = Report { on_success: true, on_failure: true, intermediate: false };
    let message = Message::new(AccountId((n % 4) as u32), Class::Transactional, [from, to], packed, body);
    let notes = n.is_multiple_of(10).then(|| Arc::new(Notes { reference: reference(n).into(), ..Notes::default() }));
    let campaign = CampaignId(if n % 4 == 3 { 1 + (n / CAMPAIGN) as u32 } else { 0 });
    Message { id, accepted_ms: at_ms, expires_ms: at_ms + 86_400_000, report, notes, campaign, ..message }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let figure = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let (messages, numbers) = (figure(0, 2_000_000), figure(1, 1_000_000));
    let passing = arguments.get(2).is_none().then(|| tempfile::tempdir_in(".").expect("a directory"));
    let folder = passing.as_ref().map_or_else(|| PathBuf::from(&arguments[2]), |passing| passing.path().to_path_buf());
    let settings = KeeperSettings {
        root: folder.join("records"),
        flush: Duration::from_secs(60),
        keep_days: 30,
        texts: false,
        numbers: Numbers::Plain,
        max_behind_octets: 1 << 30,
    };
    let accounts = (0..4).map(|n| format!("account-{n}")).collect();
    let names = Names { accounts, carriers: vec!["north".to_owned()], ..Names::default() };
    let groups = messages / PER_GROUP;
    let steps = groups + 2 * IN_FLIGHT;
    let now_ms = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_millis() as u64;
    let (about, begin) = (folder.join("made"), (now_ms / HOUR_MS - 25) * HOUR_MS);
    let earlier = std::fs::read_to_string(&about).ok();
    let begin_ms = earlier.as_ref().map_or(begin, |text| {
        let begin = text.strip_prefix(&format!("{messages} {numbers} ")).expect("the directory has records of other figures");
        begin.trim_end().parse().expect("a time")
    });
    let at_ms = |group: u64| begin_ms + group * 24 * HOUR_MS / groups;
    let mut ids = MessageIds::new(0);
    let made: Vec<MessageId> = (0..groups * PER_GROUP).map(|n| ids.next(at_ms(n / PER_GROUP))).collect();
    let start = Start { settings, names, reader: Box::new(Nothing) };
    let (records, thread) = Records::start(start, if earlier.is_some() { steps } else { 0 }).expect("it starts");
    if earlier.is_none() {
        write(&records, &made, numbers, at_ms);
        std::fs::write(about, format!("{messages} {numbers} {begin_ms}\n")).expect("it is written");
    }
    look_up(&records, &made, numbers);
    records.feed().close();
    thread.join().expect("it ends");
}

fn write(records: &Records, made: &[MessageId], numbers: u64, at_ms: impl Fn(u64) -> u64) {
    let groups = made.len() as u64 / PER_GROUP;
    let (began, cpu_before) = (Instant::now(), [cpu(ClockId::ProcessCPUTime), cpu(ClockId::ThreadCPUTime)]);
    let campaign = |n: u64| Event::Campaign { campaign: CampaignId(n as u32), name: format!("campaign-{n}").into() };
    for group in 0..groups + 2 * IN_FLIGHT {
        let at_ms = at_ms(group);
        let mut octets = Vec::with_capacity(512 << 10);
        event::open(&mut octets, group + 1);
        if (group * PER_GROUP).is_multiple_of(CAMPAIGN) {
            event::write(&campaign(1 + group * PER_GROUP / CAMPAIGN), &mut octets);
        }
        for at in 0..PER_GROUP {
            if group < groups {
                let n = group * PER_GROUP + at;
                event::write_accepted(&accepted(n, made[n as usize], at_ms, numbers), 0, &mut octets);
            }
            let before = |by: u64| group.checked_sub(by).filter(|&of| of < groups).map(|of| made[(of * PER_GROUP + at) as usize]);
            if let Some(id) = before(2) {
                event::write_sent(id, [0, 1], CarrierId(0), at_ms, 0, format!("{:010}", id.0 % 10_000_000_000).as_bytes(), &mut octets);
            }
            if let Some(id) = before(IN_FLIGHT) {
                let facts =
                    PartReceipt { state: ReceiptState::Delivered, is_final: true, error: *b"000", network_error: None, done_ms: at_ms - 1 };
                event::write_receipt(id, 0, at_ms, &facts, &mut octets);
            }
            if let Some(message) = before(IN_FLIGHT + 2) {
                event::write(&Event::HandedOver { key: DeliveryKey { message, serial: 0 }, taken: true }, &mut octets);
            }
        }
        event::seal(&mut octets);
        while records.figures().position + 60 < group {
            std::thread::sleep(Duration::from_millis(1));
        }
        records.feed().synced(group + 1, octets);
    }
    records.flush().expect("it is written");
    let mut before = usize::MAX;
    while records.files().list().len() < before {
        before = records.files().list().len();
        std::thread::sleep(MERGED);
    }
    let spent = (cpu(ClockId::ProcessCPUTime) - cpu_before[0]).saturating_sub(cpu(ClockId::ThreadCPUTime) - cpu_before[1]);
    let figures = records.figures();
    println!(
        "{} rows in {:.1} s; {:.3} us CPU a message in the records' thread; {:.1} octets a row on disk; {figures:?}",
        figures.written,
        began.elapsed().as_secs_f64(),
        spent.as_secs_f64() * 1e6 / made.len() as f64,
        figures.octets as f64 / figures.written.max(1) as f64,
    );
}

fn look_up(records: &Records, made: &[MessageId], numbers: u64) {
    let (mut times, mut rows) = (Vec::new(), 0);
    for n in 0..200usize {
        let id = made[n * (made.len() / 200)];
        let began = Instant::now();
        rows += usize::from(records.message(id).expect("it is asked").is_some());
        times.push(began.elapsed());
    }
    told("by id", times, rows, 0);
    let all = made.len() as u64;
    let number_of = |n: u64| Query { number: Some(format!("86{}", number(n * (all / 100), numbers))), ..Query::default() };
    let reference_of = |n: u64| Query { reference: Some(reference(n * (all / 100) / 10 * 10)), ..Query::default() };
    let campaign_of = |n: u64| Query { campaign: Some(format!("campaign-{}", 1 + n * (all / 100) / CAMPAIGN)), ..Query::default() };
    // What lies in files that nobody has looked at for a while may have to come from the disk: the second round is without that.
    for round in ["first", "again"] {
        let named = |what: &str| format!("{what}, {round}");
        told_of(&named("by number"), records, number_of);
        told_of(&named("by reference"), records, reference_of);
        told_of(&named("by campaign"), records, campaign_of);
        told_of(&named("by a reference that nobody has"), records, |n| Query { reference: Some(format!("none-{n}")), ..Query::default() });
        told_of(&named("by a campaign that nobody has"), records, |n| Query { campaign: Some(format!("none-{n}")), ..Query::default() });
    }
}

/// A hundred look-ups of 50 rows at most.
fn told_of(what: &str, records: &Records, query: impl Fn(u64) -> Query) {
    let (mut times, mut rows, mut partial) = (Vec::new(), 0, 0);
    for n in 0..100u64 {
        let query = Query { limit: 50, ..query(n) };
        let began = Instant::now();
        let looked = records.find(&query).expect("it is asked");
        (rows, partial) = (rows + looked.rows.len(), partial + usize::from(looked.partial));
        times.push(began.elapsed());
    }
    told(what, times, rows, partial);
}

fn told(what: &str, mut times: Vec<Duration>, rows: usize, partial: usize) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (count, p50, p99, max) = (times.len(), at(0.5), at(0.99), at(1.0));
    println!("{what}: {count} look-ups, {rows} rows, {partial} of them cut short; p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
}
