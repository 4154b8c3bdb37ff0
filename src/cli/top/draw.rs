//! How `top` looks: two lines of figures, alarms, the panels, one line of keys, and the window on top. From 150 columns on, lanes and accounts stand side
//! by side.

use super::super::tables::{list, text};
use super::alarms::{Severity, alarms};
use super::look::{Looks, answers, number, seconds, short};
use super::rows::{Mood, Panel, Row, columns};
use super::state::{State, Window};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};

/// Alarms that are shown at once.
const ALARMS_MAX: usize = 5;
/// From this width on panels stand side by side.
const WIDE: u16 = 150;

/// What is drawn with: colours, if they are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Colours may be used.
    pub colour: bool,
}

impl Paint {
    fn of(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.of(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Warning => self.of(Color::Yellow),
            Severity::Note => self.of(Color::Cyan),
        }
    }

    fn mood(self, mood: Mood) -> Style {
        match mood {
            Mood::Well => Style::new(),
            Mood::Dim => self.of(Color::Cyan),
            Mood::Bad => self.of(Color::Red),
        }
    }
}

/// Draws everything. `base`: the gateway's address; `now_s`: seconds of the looks' clock.
pub fn draw(frame: &mut Frame, state: &State, base: &str, now_s: f64, paint: Paint) {
    let area = frame.area();
    let found = alarms(&state.looks);
    let lines = (found.len().min(ALARMS_MAX) as u16).max(1) + 1;
    let [head, of_alarms, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Length(lines), Constraint::Min(6), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(header(state, base, now_s, paint)), head);
    draw_alarms(frame, of_alarms, &found, paint);
    panels(frame, body, state, paint);
    frame.render_widget(Paragraph::new(footer(state, paint)), foot);
    if let Some(window) = &state.window {
        draw_window(frame, area, window, paint);
    }
}

fn header<'a>(state: &State, base: &str, now_s: f64, paint: Paint) -> Vec<Line<'a>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let looks = &state.looks;
    let mut first = vec![Span::styled("hongyan ", bold), Span::raw(base.trim_start_matches("http://").to_owned())];
    if let Some((since, why)) = &state.lost {
        let why: String = why.split("; ").next().unwrap_or_default().chars().take(160).collect();
        first.push(Span::styled(format!("  LOST for {}: trying again. {why}", seconds(now_s - since)), paint.severity(Severity::Critical)));
    } else if let Some(look) = looks.last() {
        let status = &look.status;
        first.push(Span::raw(format!(
            "  node {}  {}  up {}  disk {}  lost {}",
            status["node"],
            text(&status["version"]),
            seconds(number(status, &["uptime_s"])),
            text(&status["disk"]),
            status["lost"]
        )));
    } else {
        first.push(Span::raw("  looking ..."));
    }
    vec![Line::from(first), Line::from(figures(looks))]
}

fn figures<'a>(looks: &Looks) -> Vec<Span<'a>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(look) = looks.last() else { return Vec::new() };
    let carriers: Vec<String> = list(&look.carriers).iter().map(|carrier| text(&carrier["carrier"])).collect();
    let sent = looks.rate(|look| carriers.iter().map(|name| answers(look, name, "sent")).sum());
    let delivered = looks.rate(|look| number(&look.status, &["states", "delivered"]));
    let waiting = number(&look.status, &["states", "waiting"]) + number(&look.status, &["states", "deferred"]);
    let commit = looks.quantiles("hongyan_journal_commit_seconds", None);
    let commit = commit.map_or("-".to_owned(), |(median, most)| format!("{} p99 {}", seconds(median), seconds(most)));
    let pairs = [
        ("in/s ", short(looks.rate(|look| number(&look.status, &["accepted"])))),
        ("sent/s ", short(sent)),
        ("delivered/s ", short(delivered)),
        ("waiting ", short(waiting)),
        ("durable in ", commit),
    ];
    pairs.into_iter().flat_map(|(name, value)| [Span::raw(name), Span::styled(value, bold), Span::raw("  ")]).collect()
}

fn draw_alarms(frame: &mut Frame, area: Rect, found: &[super::alarms::Alarm], paint: Paint) {
    let more = found.len().saturating_sub(ALARMS_MAX);
    let title = if more > 0 { format!(" ALARMS, and {more} more ") } else { " ALARMS ".to_owned() };
    let mut lines: Vec<Line> = Vec::new();
    for alarm in found.iter().take(ALARMS_MAX) {
        let mark = match alarm.severity {
            Severity::Critical => "!! ",
            Severity::Warning => "!  ",
            Severity::Note => "i  ",
        };
        let mut line = Line::styled(format!("{mark}{}", alarm.what), paint.severity(alarm.severity));
        // Half a hint is none.
        if line.width() + alarm.hint.len() + 2 <= usize::from(area.width) {
            line.push_span(Span::styled(format!("  {}", alarm.hint), Style::reset().add_modifier(Modifier::DIM)));
        }
        lines.push(line);
    }
    if found.is_empty() {
        lines.push(Line::from("none"));
    }
    frame.render_widget(Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(title)), area);
}

fn panels(frame: &mut Frame, area: Rect, state: &State, paint: Paint) {
    let rows = [Panel::Carriers, Panel::Lanes, Panel::Accounts].map(|panel| state.rows(panel));
    // A title and a head above the rows of each.
    let wanted = rows.each_ref().map(|(rows, _)| rows.len().max(1) as u16 + 2);
    let [of_carriers, of_lanes, of_accounts] = if area.width >= WIDE {
        let lower = wanted[1].max(wanted[2]).clamp(4, (area.height / 2).max(4));
        let [carriers, lower] = Layout::vertical([Constraint::Min(4), Constraint::Length(lower)]).areas(area);
        let [lanes, accounts] = Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)]).spacing(1).areas(lower);
        [carriers, lanes, accounts]
    } else {
        let heights = share(area.height, wanted);
        Layout::vertical(heights.map(Constraint::Length)).areas(area)
    };
    let areas = [of_carriers, of_lanes, of_accounts];
    let titles = ["1 CARRIERS", "2 LANES", "3 ACCOUNTS"];
    for (((panel, area), title), (rows, at)) in
        [Panel::Carriers, Panel::Lanes, Panel::Accounts].into_iter().zip(areas).zip(titles).zip(&rows)
    {
        let style = if state.panel == panel { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        let title = Span::styled(format!(" {title} ({}) ", rows.len()), style);
        draw_panel(frame, area, panel, title, rows, at.filter(|_| state.panel == panel), paint);
    }
}

/// Heights for three panels that want so much: nobody gets less than 3 while others have more than they want.
fn share(height: u16, wanted: [u16; 3]) -> [u16; 3] {
    let mut given = wanted;
    while given.iter().sum::<u16>() > height && given.iter().any(|&g| g > 3) {
        let largest = (0..3).max_by_key(|&at| given[at]).unwrap_or(0);
        given[largest] -= 1;
    }
    // What is left goes to the carriers.
    given[0] += height.saturating_sub(given.iter().sum());
    given
}

fn draw_panel(frame: &mut Frame, area: Rect, panel: Panel, title: Span, rows: &[Row], at: Option<usize>, paint: Paint) {
    let shown: Vec<usize> = (0..columns(panel).len()).filter(|&column| columns(panel)[column].2 <= area.width).collect();
    let head = TableRow::new(shown.iter().map(|&column| columns(panel)[column].0)).style(Style::new().add_modifier(Modifier::DIM));
    let widths = shown.iter().map(|&column| Constraint::Length(columns(panel)[column].1));
    let lines =
        rows.iter().map(|row| TableRow::new(shown.iter().map(|&column| Cell::from(row.cells[column].clone()))).style(paint.mood(row.mood)));
    let block = Block::new().borders(Borders::TOP).title(title);
    if rows.is_empty() {
        let nothing = if panel == Panel::Lanes { "nothing waits" } else { "none" };
        frame.render_widget(Paragraph::new(nothing).block(block), area);
        return;
    }
    let table = Table::new(lines, widths)
        .header(head)
        .column_spacing(1)
        .block(block)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut selection = TableState::default().with_selected(at);
    frame.render_stateful_widget(table, area, &mut selection);
}

fn footer<'a>(state: &State, paint: Paint) -> Line<'a> {
    match &state.said {
        Some((said, true)) => Line::styled(said.clone(), paint.severity(Severity::Critical)),
        Some((said, false)) => Line::styled(said.clone(), Style::new().add_modifier(Modifier::BOLD)),
        None => Line::styled(
            "tab panel  up/down choose  enter inspect  p pause  r resume  d drain  ? help  q",
            Style::new().add_modifier(Modifier::DIM),
        ),
    }
}

const HELP: &str = "\
tab, 1 2 3     next panel; carriers, lanes, accounts
up down, k j   choose a row
enter, i       everything that is known of the row
p              pause: what is meant waits until it is resumed
d              drain a carrier or bind: it takes no more, its window empties
r              resume: lift pauses and drains of exactly this row
y              yes, that is meant
q, esc         close a window; leave

SENT/S, IN/S   over the last 5 seconds
LIMIT/S        the configured rate, or what the carrier's answers allow
THROT          share of its answers in the last minute that say slow down
ANSWER, P99    time to its answers; ~ is estimated from the window
DRAINS         when the lane is empty at its present rate

Everything that is changed here is on record: hongyan audit";

fn draw_window(frame: &mut Frame, area: Rect, window: &Window, paint: Paint) {
    let (title, lines, style): (String, Vec<Line>, Style) = match window {
        Window::Help => (" help ".to_owned(), HELP.lines().map(Line::from).collect(), Style::new()),
        Window::Detail { title, lines, from } => {
            (format!(" {title} "), lines.iter().skip(*from).map(|line| Line::from(line.clone())).collect(), Style::new())
        }
        Window::Confirm { wish, effect } => {
            let lines =
                vec![Line::from(format!("{}?", wish.what)), Line::from(*effect), Line::from(""), Line::from("y: yes    any other key: no")];
            (" is that meant? ".to_owned(), lines, paint.of(Color::Yellow))
        }
    };
    let longest = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len()) as u16;
    let (width, height) = ((longest + 4).min(area.width), (lines.len() as u16 + 2).min(area.height));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(title).border_style(style).padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), place);
}

#[cfg(test)]
mod tests {
    use super::super::look::Look;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};
    use serde_json::json;

    fn look(at_s: f64, sent: u64) -> Look {
        Look {
            at_s,
            status: json!({ "node": 1, "version": "0.1.0", "uptime_s": 100.0 + at_s, "disk": "ok", "lost": 0, "accepted": 1_000 + sent,
                "now_ms": 1_790_000_060_000u64, "states": { "waiting": 12, "delivered": sent } }),
            carriers: json!([
                { "carrier": "north", "standing": "up", "usable": true, "health": "well", "waiting": { "otp": 3 }, "rate_per_s": 100, "allowed_per_s": 42.5,
                  "in_flight": 7, "window": 20, "answers": { "sent": sent, "throttled": sent / 10 }, "waits_on": "permits: 12 ms",
                  "binds": [{ "bind": 0, "kind": "trx", "standing": "up", "state": "up", "since_ms": 1_790_000_000_000u64, "in_flight": 7, "window": 10 },
                            { "bind": 1, "kind": "trx", "standing": "connecting", "state": "connecting", "since_ms": 1_790_000_000_000u64, "in_flight": 0, "window": 10 }] },
            ]),
            accounts: json!([{ "account": "shop", "sessions": 2, "rate_per_s": 500, "waiting": 12, "max_waiting": 1_000_000, "outbox": 4,
                "states": { "delivered": sent, "waiting": 12 }, "binds": [{ "session": 1, "kind": "trx", "window": 10 }] }]),
            lanes: json!([{ "carrier": "north", "class": "otp", "account": "shop", "campaign": "", "in_memory": 3, "on_disk": 0,
                "oldest_ms": 1_790_000_050_000u64, "per_s": 2.5, "drains_in_s": 90.0, "waits_on": "rate" }]),
            changes: json!([]),
            metrics: String::new(),
        }
    }

    fn state() -> State {
        let mut state = State::default();
        state.looked(Ok(look(0.0, 0)), 0.0);
        state.looked(Ok(look(10.0, 1_000)), 10.0);
        state
    }

    /// The screen, line by line, without blanks at the ends.
    fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, "http://127.0.0.1:9465", 20.0, Paint { colour: true })).unwrap();
        let buffer = terminal.backend().buffer();
        (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned()).collect()
    }

    fn line<'a>(screen: &'a [String], of: &str) -> &'a str {
        screen.iter().find(|line| line.contains(of)).unwrap_or_else(|| panic!("{of} is nowhere:\n{}", screen.join("\n")))
    }

    #[test]
    fn at_80_columns_everything_that_matters_stands_on_one_screen() {
        let screen = screen(&state(), 80, 24);
        for piece in [
            "hongyan 127.0.0.1:9465",
            "in/s 100",
            "sent/s 100",
            "delivered/s 100",
            "waiting 12",
            "ALARMS",
            "1 CARRIERS",
            "2 LANES",
            "3 ACCOUNTS",
            "? help  q",
        ] {
            line(&screen, piece);
        }
        assert!(line(&screen, "!! north: otp of shop waits for 10 s").len() <= 80);
        let carrier: Vec<&str> = line(&screen, "north   ").split_whitespace().collect();
        assert_eq!(carrier, ["north", "1/2", "up", "7/20", "100", "42", "9.1%", "~64ms", "3"], "within both limits and windows");
        assert!(line(&screen, "north/1 trx").contains("connecting"));
        let lane: Vec<&str> = line(&screen, "otp   ").split_whitespace().collect();
        assert_eq!(lane, ["north", "otp", "shop", "3", "10", "s", "2.5", "90", "s"]);
        let account: Vec<&str> = line(&screen, "1000k").split_whitespace().collect();
        assert_eq!(account, ["shop", "2", "100", "500", "12/1000k", "1000", "4"]);
    }

    #[test]
    fn at_200_columns_lanes_and_accounts_stand_side_by_side_and_say_more() {
        let screen = screen(&state(), 200, 50);
        assert!(line(&screen, "2 LANES").contains("3 ACCOUNTS"));
        assert!(line(&screen, "WINDOW").contains("REFUSED/S") && line(&screen, "7/20").contains("permits: 12 ms"));
        assert!(line(&screen, "DRAINS").contains("WAITS ON"));
        assert!(line(&screen, "north/0 trx").contains("60 s"), "since when it is up");
    }

    #[test]
    fn a_small_screen_still_shows_each_panel() {
        for (width, height) in [(80u16, 14u16), (60, 10), (20, 5), (1, 1)] {
            let screen = screen(&state(), width, height);
            assert!(height < 14 || ["CARRIERS", "LANES", "ACCOUNTS"].iter().all(|panel| screen.iter().any(|line| line.contains(panel))));
        }
        assert_eq!(share(9, [20, 9, 4]), [3, 3, 3]);
        assert_eq!(share(20, [4, 3, 3]), [14, 3, 3]);
    }

    #[test]
    fn windows_stand_on_top_and_name_what_is_about_to_happen() {
        let mut state = state();
        state.key(KeyEvent::from(KeyCode::Char('d')));
        let asked = screen(&state, 80, 24);
        assert!(line(&asked, "drain carrier north?").contains('│') && line(&asked, "y: yes").contains("no"));
        state.key(KeyEvent::from(KeyCode::Esc));
        state.key(KeyEvent::from(KeyCode::Char('?')));
        line(&screen(&state, 80, 24), "hongyan audit");
        state.key(KeyEvent::from(KeyCode::Esc));
        state.key(KeyEvent::from(KeyCode::Enter));
        let inspected = screen(&state, 80, 24);
        assert!(line(&inspected, " carrier north ").contains('┌') && line(&inspected, "allowed_per_s").contains("42.5"));
    }

    #[test]
    fn a_lost_gateway_is_told_and_what_was_known_stays() {
        let mut state = state();
        state.looked(Err("no gateway answers at http://127.0.0.1:9465: refused; start it".to_owned()), 12.0);
        let screen = screen(&state, 120, 24);
        assert!(line(&screen, "LOST for 8.0 s: trying again").contains("no gateway answers"));
        line(&screen, "north/0 trx");
    }
}
