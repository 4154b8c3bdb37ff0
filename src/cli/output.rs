//! Where a command's words go: results to standard output, everything else to standard error, colours only on a terminal.

use std::io::{IsTerminal, Write};

/// What a command writes to. A reader that goes away early (`hongyan ... | head`) is no failure.
pub struct Output {
    out: Box<dyn Write>,
    error: Box<dyn Write>,
    colour: bool,
    error_colour: bool,
}

impl Output {
    /// The process's own streams.
    pub fn standard() -> Output {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Output {
            out: Box::new(std::io::stdout()),
            error: Box::new(std::io::stderr()),
            colour: wanted && std::io::stdout().is_terminal(),
            error_colour: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// Writes a line of the result.
    pub fn line(&mut self, text: &str) {
        // A closed pipe means that nobody wants the rest.
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    /// Writes raw octets of the result.
    pub fn raw(&mut self, octets: &[u8]) {
        let _ = self.out.write_all(octets);
        let _ = self.out.flush();
    }

    /// Writes a JSON value, on one line or, if `pretty`, indented for people.
    pub fn json(&mut self, value: &serde_json::Value, pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(&text.expect("a JSON value is always writable"));
    }

    /// A heading for people.
    pub fn heading(&mut self, text: &str) {
        let text = if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
        self.line(&text);
    }

    /// A warning, on standard error.
    pub fn warning(&mut self, text: &str) {
        let word = if self.error_colour { "\x1b[33mwarning:\x1b[0m" } else { "warning:" };
        let _ = writeln!(self.error, "{word} {text}");
    }

    /// What a person is told beside the result, on standard error.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.error, "{text}");
    }

    /// Why the command failed, on standard error; one line for each line of `text`.
    pub fn error(&mut self, text: &str) {
        let word = if self.error_colour { "\x1b[31merror:\x1b[0m" } else { "error:" };
        for line in text.lines() {
            let _ = writeln!(self.error, "{word} {line}");
        }
    }
}
