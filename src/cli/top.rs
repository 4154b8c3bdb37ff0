//! `hongyan top`: a live view of a running gateway, over its admin port, local or not; pauses, resumes and drains by keys. One thread asks, so that the screen
//! never waits for the network; this one draws and reads keys.

mod alarms;
mod draw;
mod look;
mod rows;
mod state;

use super::Output;
use super::admin::{Client, Where};
use draw::{Paint, draw};
use look::Look;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use state::{State, Wish};
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long one answer of the gateway may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long keys are waited for between looks at what has come.
const BEAT: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan top\n  hongyan top --admin 10.0.0.7:9465 --token-file token\n  hongyan top --interval 5\n\n\
        Keys: tab, up, down choose; enter inspects; p pauses, r resumes, d drains (after asking); ? is help, q leaves.")]
pub(super) struct Args {
    #[command(flatten)]
    at: Where,
    /// Seconds between looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
}

/// Seconds between looks.
pub(super) fn interval(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s| (0.2..=60.0).contains(s)).ok_or_else(|| "0.2 to 60".to_owned())
}

/// What the asking thread says.
enum News {
    Look(Result<Box<Look>, String>),
    Done(Result<String, String>),
}

pub(super) fn run(args: &Args, _output: &mut Output) -> Result<(), String> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err("top needs a terminal; for scripts: hongyan status --json, carriers, lanes, accounts".to_owned());
    }
    let client = args.at.client()?.patient(PATIENCE);
    let base = client.base().to_owned();
    let started = Instant::now();
    let (wishes, wished) = channel();
    let (news, told) = channel();
    let interval = Duration::from_secs_f64(args.interval);
    std::thread::spawn(move || ask(&client, started, interval, &wished, &news));
    let paint = Paint { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal: {error}"))?;
    let ended = show(&mut terminal, &base, started, paint, &told, &wishes);
    ratatui::restore();
    ended.map_err(|error| format!("the terminal: {error}"))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    base: &str,
    started: Instant,
    paint: Paint,
    told: &Receiver<News>,
    wishes: &Sender<Wish>,
) -> std::io::Result<()> {
    let mut state = State::default();
    // Something is to be drawn that wasn't yet.
    let mut stale = true;
    while !state.quit {
        let now_s = started.elapsed().as_secs_f64();
        for news in told.try_iter() {
            stale = true;
            match news {
                News::Look(look) => state.looked(look.map(|look| *look), now_s),
                News::Done(done) => {
                    let failed = done.is_err();
                    state.said = Some((done.unwrap_or_else(|why| why), failed));
                }
            }
        }
        // A lost gateway's time runs on.
        if stale || state.lost.is_some() {
            terminal.draw(|frame| draw(frame, &state, base, now_s, paint))?;
        }
        stale = event::poll(BEAT)?;
        if stale
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            state.said = None;
            if let Some(wish) = state.key(key) {
                // The asking thread lives as long as this one.
                let _ = wishes.send(wish);
            }
        }
    }
    Ok(())
}

/// Looks again and again, and does what is wished at once. Ends when nobody listens.
fn ask(client: &Client, started: Instant, interval: Duration, wished: &Receiver<Wish>, news: &Sender<News>) {
    let mut told = true;
    while told {
        told = news.send(News::Look(look(client, started).map(Box::new))).is_ok();
        match wished.recv_timeout(interval) {
            Ok(wish) => {
                let done = client.post(wish.path, &wish.body).map(|_| format!("done: {}", wish.what));
                told &= news.send(News::Done(done)).is_ok();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn look(client: &Client, started: Instant) -> Result<Look, String> {
    let status = client.get("/v1/status")?;
    Ok(Look {
        at_s: started.elapsed().as_secs_f64(),
        status,
        carriers: client.get("/v1/carriers")?,
        accounts: client.get("/v1/accounts")?,
        lanes: client.get("/v1/lanes")?,
        changes: client.get("/v1/changes")?,
        metrics: client.text("/metrics")?,
    })
}
