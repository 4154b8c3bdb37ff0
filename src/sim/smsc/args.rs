//! `hongyan smsc`: the simulated carrier as a command. Printing is left to `cli`.

use super::{Smsc, SmscSettings};
use crate::config::Profile;
use crate::sim::behaviour::{Behaviour, IdForm, ReceiptBind, ReceiptPlace, Share, StateNumber};
use crate::sim::profile::settings_of;
use serde::Serialize;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Arguments of `hongyan smsc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hongyan smsc                                          takes everything, delivers everything\n  \
    hongyan smsc --rate-per-s 100 --receipt-delay-ms 500  throttles above 100 messages a second\n  \
    hongyan smsc --profile hex-ids --errors 0x08:0.01     behaves as a profile says, and fails a little\n  \
    hongyan smsc --lost-answers 0.01 --hang-up-every 1000 a bad day")]
pub struct SmscArgs {
    /// Port to listen on; 0: chosen by the system
    #[arg(long, default_value_t = 2776)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub address: IpAddr,
    /// The only system_id that may bind [default: any]
    #[arg(long)]
    pub system_id: Option<String>,
    /// The only password that is accepted [default: any]
    #[arg(long)]
    pub password: Option<String>,
    /// Deliveries unanswered on one session
    #[arg(long, default_value_t = 500)]
    pub window: usize,
    /// Refuse bind_transceiver
    #[arg(long)]
    pub no_transceiver: bool,
    /// Seed of its dice
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Behave as this profile says: a shipped one (standard, hex-ids, ...), profiles/NAME.toml, or a path ending in .toml
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Write the final report here too
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Single habits; they go before the profile
    #[command(flatten)]
    pub habits: HabitArgs,
}

/// The fields of [`Behaviour`] as options; what is given replaces the profile's.
#[derive(Debug, Default, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Habits")]
#[allow(missing_docs, reason = "each is the field of Behaviour of its name, and its help says what it is")]
pub struct HabitArgs {
    /// Time to the answer, milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_delay_ms: Option<u64>,
    /// Up to so much more, evenly spread
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_jitter_ms: Option<u64>,
    /// Submits a second above which it answers 0x58
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// Submits at once before the rate counts
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Statuses answered instead of 0, each with its share: 0x08:0.01,0x45:0.02
    #[arg(long, value_delimiter = ',', value_name = "STATUS:SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Share<u32>>>,
    /// Share of submits taken and never answered
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_answers: Option<f64>,
    /// What receipts report, each with its share; the rest gets none: delivered:0.9,undeliverable:0.05 (none:1 for no receipts)
    #[arg(long, value_delimiter = ',', value_name = "STATE:SHARE", value_parser = parse_receipt)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Vec<Share<StateNumber>>>,
    /// Time to the receipt, milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_delay_ms: Option<u64>,
    /// Up to so much more, evenly spread
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_jitter_ms: Option<u64>,
    /// Share of receipts sent before the answer
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_receipts: Option<f64>,
    /// Share of receipts sent twice
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_receipts: Option<f64>,
    /// Parts of one text get one receipt in all
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_receipt: Option<bool>,
    /// Answer query_sm
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_sm: Option<bool>,
    /// Send ENROUTE first where it is asked for
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate: Option<bool>,
    /// On which bind receipts come
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_bind: Option<ReceiptBind>,
    /// Where receipts show id and state
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_place: Option<ReceiptPlace>,
    /// Form of the id in the answer
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_answer: Option<IdForm>,
    /// Form of the id in the receipt's text
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_receipt: Option<IdForm>,
    /// Form of the id in receipted_message_id
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tlv: Option<IdForm>,
    /// Hang up at every so many submits of a session
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_up_every: Option<u64>,
    /// Hang up when a session is so old, milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_up_after_ms: Option<u64>,
    /// Unbind when a session is so old, milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unbind_after_ms: Option<u64>,
    /// Messages from phones, a second
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_per_s: Option<f64>,
    /// The number that phones write to
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_to: Option<String>,
}

fn parse_receipt(text: &str) -> Result<Share<StateNumber>, String> {
    // "none" is what every unnamed rest gets; a share of 0 keeps the list from being empty.
    if text.starts_with("none") { Ok(Share { what: StateNumber(2), share: 0.0 }) } else { text.parse() }
}

impl HabitArgs {
    /// `behaviour` with what is given here in its place.
    ///
    /// # Errors
    /// If a value is out of what [`Behaviour`] can hold.
    pub fn over(&self, behaviour: &Behaviour) -> Result<Behaviour, String> {
        let mut whole = serde_json::to_value(behaviour).map_err(|error| error.to_string())?;
        let given = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let (Value::Object(whole), Value::Object(given)) = (&mut whole, given) {
            whole.extend(given);
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }
}

impl SmscArgs {
    /// The settings that these arguments mean.
    ///
    /// # Errors
    /// If the profile can't be read, in words.
    pub fn settings(&self) -> Result<SmscSettings, String> {
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let base = match &self.profile {
            Some(name) => {
                let profile = Profile::find(name, std::path::Path::new(".")).map_err(|error| error.to_string())?;
                settings_of(&profile, wall_ms)
            }
            None => SmscSettings::default(),
        };
        Ok(SmscSettings {
            listen: SocketAddr::new(self.address, self.port),
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            window: self.window,
            no_transceiver: self.no_transceiver || base.no_transceiver,
            seed: self.seed,
            // Who starts it anew has messages that wait for receipts of its earlier life.
            behaviour: self.habits.over(&base.behaviour)?.begin_ids_at(wall_ms),
            ..base
        })
    }
}

/// Runs the carrier until SIGINT or SIGTERM; `line` gets a line of summary each second. Returns the final report.
///
/// # Errors
/// In words: the port is taken, the profile can't be read, the report can't be written.
pub fn run(args: &SmscArgs, line: &mut dyn FnMut(&str)) -> Result<Value, String> {
    let settings = args.settings()?;
    let smsc = Smsc::start(settings.clone()).map_err(|error| format!("can't listen on {}: {error}", settings.listen))?;
    line(&format!("simulated carrier on {}; system_id {}, password {}", smsc.local_addr(), any(&args.system_id), any(&args.password)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(watch(&smsc, line)).map_err(|error| error.to_string())?;
    let runs = runs(&smsc);
    let report = json!({ "counts": smsc.stop(), "runs": runs, "behaviour": settings.behaviour });
    if let Some(file) = &args.report {
        std::fs::write(file, report.to_string()).map_err(|error| format!("can't write {}: {error}", file.display()))?;
    }
    Ok(report)
}

fn any(wanted: &Option<String>) -> &'static str {
    if wanted.is_some() { "as given" } else { "any" }
}

fn runs(smsc: &Smsc) -> Vec<Value> {
    let entry = |(run, reached, duplicates): ([u8; 4], u64, u64)| json!({ "run": String::from_utf8_lossy(&run), "reached": reached, "duplicates": duplicates });
    smsc.runs().into_iter().map(entry).collect()
}

async fn watch(smsc: &Smsc, line: &mut dyn FnMut(&str)) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut before = smsc.stats();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = second.tick() => {}
        }
        let now = smsc.stats();
        if now != before {
            line(&format!(
                "{} binds  {}/s in  {} taken  {} refused  {} receipts delivered  {} waiting",
                now.bound,
                now.submits - before.submits,
                now.taken,
                now.refused + now.throttled,
                now.delivered,
                now.waiting
            ));
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        args: SmscArgs,
    }

    #[test]
    fn options_replace_single_habits_of_the_profile() {
        let line = "smsc --profile hex-ids --port 0 --answer-delay-ms 7 --errors 0x08:0.25,0x45:0.5 --receipts none:1 --id-receipt uuid";
        let settings = Whole::try_parse_from(line.split(' ')).unwrap().args.settings().unwrap();
        let behaviour = settings.behaviour;
        assert_eq!((behaviour.answer_delay_ms, behaviour.id_answer, behaviour.id_receipt), (7, IdForm::HexUpper, IdForm::Uuid));
        assert_eq!(behaviour.errors, [Share { what: 8, share: 0.25 }, Share { what: 0x45, share: 0.5 }]);
        assert_eq!(behaviour.receipts, [Share { what: StateNumber(2), share: 0.0 }]);
        assert_eq!(behaviour.receipt_date_digits, 12);
    }
}
