//! What the person in front of `top` sees and does: the panel, the selection, the window on top, and what a key asks for. Draws and asks nothing.

use super::look::{Looks, spelt_out};
use super::rows::{Panel, Row, rows};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

/// What is to be posted, once it is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Path of the admin port.
    pub path: &'static str,
    /// The body.
    pub body: Value,
    /// In words: `drain carrier north`.
    pub what: String,
}

/// A window over the panels.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// The keys.
    Help,
    /// All that is known of a row.
    Detail {
        /// Whose.
        title: String,
        /// One line a field.
        lines: Vec<String>,
        /// First line that is shown.
        from: usize,
    },
    /// Is that meant?
    Confirm {
        /// What happens.
        wish: Wish,
        /// What it does to messages.
        effect: &'static str,
    },
}

/// All of it.
#[derive(Debug, Default)]
pub struct State {
    /// What was seen.
    pub looks: Looks,
    /// The panel that keys go to.
    pub panel: Panel,
    /// The chosen row of each panel, by its key.
    chosen: [Option<String>; 3],
    /// The window on top.
    pub window: Option<Window>,
    /// What was done last, or why it wasn't; true if that went wrong.
    pub said: Option<(String, bool)>,
    /// Why there is no answer, and since when (seconds of the looks' clock).
    pub lost: Option<(f64, String)>,
    /// The end.
    pub quit: bool,
}

impl State {
    /// The next look, or why there is none.
    pub fn looked(&mut self, look: Result<super::look::Look, String>, at_s: f64) {
        match look {
            Ok(look) => {
                if self.lost.take().is_some() {
                    self.said = Some(("the gateway answers again".to_owned(), false));
                }
                self.looks.push(look);
            }
            Err(why) => {
                let since = self.lost.take().map_or(at_s, |(since, _)| since);
                self.lost = Some((since, why));
            }
        }
    }

    /// Rows of a panel and the place of the chosen one.
    pub fn rows(&self, panel: Panel) -> (Vec<Row>, Option<usize>) {
        let rows = rows(panel, &self.looks);
        let chosen = self.chosen[panel as usize].as_ref();
        let at = chosen.and_then(|key| rows.iter().position(|row| row.key == *key));
        let at = at.or((!rows.is_empty()).then_some(0));
        (rows, at)
    }

    fn chosen(&self) -> Option<Row> {
        let (mut rows, at) = self.rows(self.panel);
        at.map(|at| rows.swap_remove(at))
    }

    fn step(&mut self, by: isize) {
        let (rows, at) = self.rows(self.panel);
        if let Some(at) = at {
            let at = at.saturating_add_signed(by).min(rows.len() - 1);
            self.chosen[self.panel as usize] = Some(rows[at].key.clone());
        }
    }

    /// What a key does; a wish is to be posted.
    pub fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            self.quit = true;
            return None;
        }
        match self.window.take() {
            Some(Window::Confirm { wish, .. }) => match key.code {
                KeyCode::Char('y' | 'Y') => return Some(wish),
                _ => self.said = Some(("nothing was changed".to_owned(), false)),
            },
            Some(Window::Detail { title, lines, from }) => {
                let from = match key.code {
                    KeyCode::Down | KeyCode::Char('j') => from + 1,
                    KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => from + 10,
                    KeyCode::PageUp => from.saturating_sub(10),
                    _ => return None,
                };
                let from = from.min(lines.len().saturating_sub(1));
                self.window = Some(Window::Detail { title, lines, from });
            }
            Some(Window::Help) => {}
            None => self.plain_key(key.code),
        }
        None
    }

    fn plain_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => self.quit = true,
            KeyCode::Char('?' | 'h') => self.window = Some(Window::Help),
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(2),
            KeyCode::Char('1') => self.panel = Panel::Carriers,
            KeyCode::Char('2') => self.panel = Panel::Lanes,
            KeyCode::Char('3') => self.panel = Panel::Accounts,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Enter | KeyCode::Char('i') => self.inspect(),
            KeyCode::Char('p') => self.wish("pause"),
            KeyCode::Char('d') => self.wish("drain"),
            KeyCode::Char('r') => self.wish("resume"),
            _ => {}
        }
    }

    fn turn(&mut self, by: usize) {
        let panels = [Panel::Carriers, Panel::Lanes, Panel::Accounts];
        self.panel = panels[(self.panel as usize + by) % panels.len()];
    }

    fn inspect(&mut self) {
        let Some(row) = self.chosen() else { return };
        let about = |change: &&Value| {
            let scope = change["scope"].as_object();
            scope.is_some_and(|scope| scope.iter().any(|(key, value)| row.scope.get(key) == Some(value)))
        };
        let changes = self.looks.last().map_or(&Value::Null, |look| &look.changes);
        let changes = changes.as_array().into_iter().flatten().filter(about);
        let mut lines: Vec<String> = changes.map(|change| format!("in force: {}", super::super::tables::change(change))).collect();
        lines.extend(spelt_out(&row.value));
        self.window = Some(Window::Detail { title: super::super::tables::scope(&row.scope), lines, from: 0 });
    }

    /// Pausing and draining hurt and are asked for; resuming is asked for too, since a flood may wait behind it.
    fn wish(&mut self, action: &'static str) {
        let Some(row) = self.chosen() else {
            self.said = Some(("nothing is chosen: this panel is empty".to_owned(), true));
            return;
        };
        if action == "drain" && self.panel != Panel::Carriers {
            self.said = Some(("only a carrier or a bind can be drained; p pauses".to_owned(), true));
            return;
        }
        let (path, body, effect) = match action {
            "pause" => {
                ("/v1/changes", json!({ "action": "pause", "scope": row.scope, "reason": "from top" }), "it waits until it is resumed")
            }
            "drain" => (
                "/v1/changes",
                json!({ "action": "drain", "scope": row.scope, "then_unbind": false, "reason": "from top" }),
                "it takes no more; what waits there goes to the next carrier",
            ),
            _ => ("/v1/resume", json!({ "scope": row.scope, "reason": "from top" }), "pauses and drains of exactly this are lifted"),
        };
        let what = format!("{action} {}", super::super::tables::scope(&row.scope));
        self.window = Some(Window::Confirm { wish: Wish { path, body, what }, effect });
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::Look;
    use super::*;

    fn state() -> State {
        let carriers = json!([{ "carrier": "north", "binds": [{ "bind": 0, "state": "up" }, { "bind": 1, "state": "up" }] }, { "carrier": "south", "binds": [] }]);
        let accounts = json!([{ "account": "shop", "binds": [] }]);
        let mut state = State::default();
        state.looked(Ok(Look { carriers, accounts, ..Look::default() }), 0.0);
        state
    }

    fn press(state: &mut State, keys: &[KeyCode]) -> Option<Wish> {
        keys.iter().map(|&code| state.key(KeyEvent::from(code))).last().flatten()
    }

    #[test]
    fn nothing_is_changed_before_it_is_confirmed() {
        let mut state = state();
        assert_eq!(press(&mut state, &[KeyCode::Down, KeyCode::Down, KeyCode::Char('d')]), None);
        assert!(matches!(state.window, Some(Window::Confirm { .. })));
        assert_eq!(press(&mut state, &[KeyCode::Enter]), None, "only y means yes");
        assert_eq!((&state.window, state.said.as_ref().unwrap().0.as_str()), (&None, "nothing was changed"));
        let wish = press(&mut state, &[KeyCode::Char('d'), KeyCode::Char('y')]).unwrap();
        assert_eq!((wish.path, wish.what.as_str()), ("/v1/changes", "drain carrier north, bind 1"));
        assert_eq!(wish.body["scope"], json!({ "carrier": "north", "bind": 1 }));
    }

    #[test]
    fn an_account_is_paused_and_resumed_but_not_drained() {
        let mut state = state();
        press(&mut state, &[KeyCode::Char('3'), KeyCode::Char('d')]);
        assert!(state.window.is_none() && state.said.as_ref().unwrap().1);
        let wish = press(&mut state, &[KeyCode::Char('p'), KeyCode::Char('y')]).unwrap();
        assert_eq!(wish.body, json!({ "action": "pause", "scope": { "account": "shop" }, "reason": "from top" }));
        let wish = press(&mut state, &[KeyCode::Char('r'), KeyCode::Char('y')]).unwrap();
        assert_eq!((wish.path, wish.body["scope"].clone()), ("/v1/resume", json!({ "account": "shop" })));
        press(&mut state, &[KeyCode::Tab, KeyCode::BackTab, KeyCode::Char('2'), KeyCode::Char('p')]);
        assert!(state.window.is_none(), "no lane to pause");
    }

    #[test]
    fn the_chosen_row_stays_the_same_when_others_come_and_go() {
        let mut state = state();
        press(&mut state, &[KeyCode::PageDown]);
        assert_eq!(state.chosen().unwrap().key, "south");
        state.looked(
            Ok(Look { at_s: 1.0, carriers: json!([{ "carrier": "south", "binds": [] }, { "carrier": "west" }]), ..Look::default() }),
            1.0,
        );
        assert_eq!(state.chosen().unwrap().key, "south");
        state.looked(Ok(Look { at_s: 2.0, carriers: json!([{ "carrier": "west" }]), ..Look::default() }), 2.0);
        assert_eq!(state.chosen().unwrap().key, "west", "what is gone can't be paused");
    }

    #[test]
    fn a_lost_gateway_is_told_of_until_it_answers_again() {
        let mut state = state();
        state.looked(Err("refused".to_owned()), 5.0);
        state.looked(Err("refused".to_owned()), 9.0);
        assert_eq!(state.lost.as_ref().unwrap().0, 5.0, "since the first failure");
        assert!(state.looks.last().is_some(), "what was known last stays on the screen");
        state.looked(Ok(Look { at_s: 10.0, ..Look::default() }), 10.0);
        assert!(state.lost.is_none());
    }

    #[test]
    fn keys_close_windows_and_end_it() {
        let mut state = state();
        press(&mut state, &[KeyCode::Char('?')]);
        assert_eq!(state.window, Some(Window::Help));
        press(&mut state, &[KeyCode::Esc, KeyCode::Char('i'), KeyCode::Down]);
        assert!(matches!(&state.window, Some(Window::Detail { from: 1, lines, .. }) if lines.len() > 3), "{:?}", state.window);
        press(&mut state, &[KeyCode::Char('q')]);
        assert!(state.window.is_none() && !state.quit, "a window goes first");
        press(&mut state, &[KeyCode::Char('q')]);
        assert!(state.quit);
    }
}
