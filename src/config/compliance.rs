//! Who may be written to, and with what: `[account.rules]`, `[carrier.rules]`, `[opt_out]`; and whose messages from phones are: `[[inbound]]`.

use super::Config;
use super::check::Checks;
use serde::Deserialize;
use std::path::Path;

/// Phrases of one list.
const PHRASES_MAX: usize = 100_000;
/// Characters of a phrase or a word.
const PHRASE_MAX: usize = 200;
/// Words of one list.
const WORDS_MAX: usize = 200;
/// Velocity limits of an account.
const LIMITS_MAX: usize = 16;

/// `[account.rules]`: to whom and what an account may write.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRules {
    /// Countries (two capital letters, as the range table has them) and number prefixes that it may write to; empty: any. Default empty.
    pub allowed_destinations: Vec<String>,
    /// How often it may write to one range of numbers. Default empty; at most 16.
    pub velocity: Vec<VelocityLimit>,
    /// Phrases that its texts must not have. Default empty; at most 100,000 with those of the file.
    pub deny_phrases: Vec<String>,
    /// File with more of them, one a line, relative to the configuration file.
    pub deny_phrases_file: Option<String>,
    /// Words that opt out, in place of all others'; empty: none.
    pub opt_out_words: Option<Vec<String>>,
    /// Words that opt in again, in place of all others'.
    pub opt_in_words: Option<Vec<String>>,
    /// What opting out binds, in place of `opt_out.level`.
    pub opt_out_level: Option<OptOutLevel>,
    /// Whether the account gets such messages, in place of `opt_out.deliver`.
    pub opt_out_deliver: Option<bool>,
}

impl AccountRules {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        for (index, destination) in self.allowed_destinations.iter().enumerate() {
            let country = destination.len() == 2 && destination.bytes().all(|c| c.is_ascii_uppercase());
            c.require(
                at,
                &format!("allowed_destinations[{index}]"),
                country || is_prefix(destination, 1),
                &format!("'{destination}' is no country and no prefix"),
                "two capital letters (CN), or 1 to 15 digits without + (8613)",
            );
        }
        c.require(at, "velocity", self.velocity.len() <= LIMITS_MAX, &format!("has {} limits", self.velocity.len()), "at most 16");
        for (index, limit) in self.velocity.iter().enumerate() {
            limit.check(&format!("{at}.velocity[{index}]"), c);
        }
        check_phrases(at, &self.deny_phrases, c);
        for (key, list) in [("opt_out_words", &self.opt_out_words), ("opt_in_words", &self.opt_in_words)] {
            check_words(at, key, list.as_deref().unwrap_or(&[]), c);
        }
        let (out, back) = (self.opt_out_words.as_deref().unwrap_or(&[]), self.opt_in_words.as_deref().unwrap_or(&[]));
        check_apart(at, "opt_in_words", out, back, c);
    }
}

/// At most so many messages in any window to numbers of one range.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VelocityLimit {
    /// Only numbers that begin with these digits; empty: all. Default empty.
    pub prefix: String,
    /// Leading digits that make up a range; 0: all numbers of `prefix` are one range. Default 0; 0 to 15.
    pub digits: u8,
    /// Messages accepted in a window. No default; 1 to 100,000,000.
    pub most: u32,
    /// The window, seconds. No default; 1 to 2,592,000 (30 days).
    pub window_s: u32,
}

impl VelocityLimit {
    fn check(&self, at: &str, c: &mut Checks) {
        check_prefix(at, "prefix", &self.prefix, c);
        c.range(at, "digits", self.digits, 0..=15);
        c.range(at, "most", self.most, 1..=100_000_000);
        c.range(at, "window_s", self.window_s, 1..=2_592_000);
        let longer = self.digits == 0 || usize::from(self.digits) >= self.prefix.len();
        c.require(at, "digits", longer, "are fewer than those of the prefix", "0, or as many as the prefix has or more");
    }
}

/// `[carrier.rules]`: what must not be sent to a carrier.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CarrierRules {
    /// Phrases that must not be sent to it. Default empty; at most 100,000 with those of the file.
    pub deny_phrases: Vec<String>,
    /// File with more of them, one a line, relative to the configuration file.
    pub deny_phrases_file: Option<String>,
    /// What becomes of a message with one of them: `elsewhere` or `reject`. Default `elsewhere`.
    pub deny_action: DenyAction,
}

impl CarrierRules {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        check_phrases(at, &self.deny_phrases, c);
    }
}

/// What becomes of a message that a carrier must not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyAction {
    /// The next carrier of its route gets it; it is rejected after the last.
    #[default]
    Elsewhere,
    /// It is rejected.
    Reject,
}

/// `[opt_out]`: what is made of phones' wishes not to be written to.
#[derive(Debug, Clone, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptOut {
    /// Words that opt out. Default TD, T, R, N, 退订, STOP, UNSUBSCRIBE; empty: such messages are like all others.
    pub words: Vec<String>,
    /// Words that opt in again. Default empty.
    pub back_words: Vec<String>,
    /// What opting out binds: `sender`, `account` or `platform`. Default `sender`.
    pub level: OptOutLevel,
    /// The account gets the message all the same. Default true.
    pub deliver: bool,
    /// Other words for phones of a country.
    #[serde(rename = "country")]
    pub countries: Vec<OptOutCountry>,
}

impl Default for OptOut {
    fn default() -> OptOut {
        OptOut {
            words: ["TD", "T", "R", "N", "退订", "STOP", "UNSUBSCRIBE"].map(str::to_owned).to_vec(),
            back_words: Vec::new(),
            level: OptOutLevel::Sender,
            deliver: true,
            countries: Vec::new(),
        }
    }
}

/// `[[opt_out.country]]`: words in place of the general ones.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptOutCountry {
    /// Beginning of the phone's number; the longest counts. 1 to 15 digits.
    pub prefix: String,
    /// Words that opt out.
    pub words: Vec<String>,
    /// Words that opt in again.
    pub back_words: Vec<String>,
}

/// What opting out binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutLevel {
    /// The number that was replied to.
    #[default]
    Sender,
    /// The account that it belongs to.
    Account,
    /// Everybody.
    Platform,
}

/// One `[[inbound]]`: whose messages from phones are.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InboundRoute {
    /// Beginning of the number that was written to; what follows is an extension. Default empty: any; up to 20 characters.
    pub service: String,
    /// First word of the text; case and width make no difference. Default empty: any text.
    pub keyword: String,
    /// Only from this carrier.
    pub carrier: Option<String>,
    /// The account (its name) that gets it. No default.
    pub account: String,
}

/// Reads the files of phrases behind the phrases that stand in the configuration.
pub(super) fn read_phrases(config: &mut Config, base_dir: &Path, c: &mut Checks) {
    let accounts = config.accounts.iter_mut().enumerate();
    let accounts = accounts.map(|(at, a)| (format!("account[{at}].rules"), &a.rules.deny_phrases_file, &mut a.rules.deny_phrases));
    let carriers = config.carriers.iter_mut().enumerate();
    let carriers = carriers.map(|(at, a)| (format!("carrier[{at}].rules"), &a.rules.deny_phrases_file, &mut a.rules.deny_phrases));
    for (at, file, phrases) in accounts.chain(carriers) {
        let Some(file) = file else { continue };
        match std::fs::read_to_string(base_dir.join(file)) {
            Ok(text) => phrases.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)),
            Err(error) => {
                c.problem(
                    &at,
                    "deny_phrases_file",
                    format!("'{file}' can't be read: {error}; allowed: a text file (UTF-8), a phrase a line"),
                );
            }
        }
    }
}

pub(super) fn check(config: &Config, c: &mut Checks) {
    let out = &config.opt_out;
    check_words("opt_out", "words", &out.words, c);
    check_words("opt_out", "back_words", &out.back_words, c);
    check_apart("opt_out", "back_words", &out.words, &out.back_words, c);
    for (index, country) in out.countries.iter().enumerate() {
        let at = format!("opt_out.country[{index}]");
        let whole = is_prefix(&country.prefix, 1);
        c.require(&at, "prefix", whole, &format!("'{}' is no prefix", country.prefix), "1 to 15 digits without +");
        let twin = out.countries[..index].iter().any(|other| other.prefix == country.prefix);
        c.require(&at, "prefix", !twin, "stands above already", "each prefix once");
        check_words(&at, "words", &country.words, c);
        check_words(&at, "back_words", &country.back_words, c);
        check_apart(&at, "back_words", &country.words, &country.back_words, c);
    }
    for (index, route) in config.inbound.iter().enumerate() {
        route.check(index, config, c);
    }
}

impl InboundRoute {
    fn check(&self, index: usize, config: &Config, c: &mut Checks) {
        let at = format!("inbound[{index}]");
        c.length(&at, "service", &self.service, 0..=crate::model::address::ADDRESS_MAX);
        if !self.keyword.is_empty() {
            check_words(&at, "keyword", std::slice::from_ref(&self.keyword), c);
            let one = !self.keyword.trim().contains(char::is_whitespace);
            c.require(&at, "keyword", one, "has a blank: no first word is that", "one word");
        }
        let known = config.accounts.iter().any(|account| account.name == self.account);
        let names = config.accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
        c.require(&at, "account", known, &format!("no account is called '{}'", self.account), &names);
        if let Some(carrier) = &self.carrier {
            let names = config.carriers.iter().map(|carrier| carrier.name.as_str()).collect::<Vec<_>>().join(", ");
            let known = config.carrier_by_name(carrier).is_some();
            c.require(&at, "carrier", known, &format!("no carrier is called '{carrier}'"), &names);
        }
        let same = |other: &InboundRoute| {
            (&other.service, other.keyword.to_lowercase(), &other.carrier) == (&self.service, self.keyword.to_lowercase(), &self.carrier)
        };
        c.require(
            &at,
            "service",
            !config.inbound[..index].iter().any(same),
            "has the same rule above",
            "each number, keyword and carrier once",
        );
        if self.keyword.is_empty() && self.carrier.is_none() {
            let owner = config.accounts.iter().find(|account| account.service_numbers.contains(&self.service));
            let other = owner.filter(|account| account.name != self.account);
            c.require(&at, "service", other.is_none(), "is another account's service number", "a number that is nobody's, or a keyword");
        }
    }
}

fn is_prefix(text: &str, least: usize) -> bool {
    (least..=15).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
}

fn check_prefix(at: &str, key: &str, prefix: &str, c: &mut Checks) {
    c.require(at, key, is_prefix(prefix, 0), &format!("'{prefix}' is no prefix"), "up to 15 digits without + (empty: every number)");
}

fn check_phrases(at: &str, phrases: &[String], c: &mut Checks) {
    c.require(at, "deny_phrases", phrases.len() <= PHRASES_MAX, &format!("has {} phrases", phrases.len()), "at most 100000");
    let bad = phrases.iter().position(|phrase| phrase.trim().is_empty() || phrase.chars().count() > PHRASE_MAX);
    if let Some(bad) = bad {
        c.problem(at, "deny_phrases", format!("phrase {} is empty or too long; allowed: 1 to {PHRASE_MAX} characters", bad + 1));
    }
}

fn check_words(at: &str, key: &str, words: &[String], c: &mut Checks) {
    c.require(at, key, words.len() <= WORDS_MAX, &format!("has {} words", words.len()), "at most 200");
    for word in words {
        let sound = word.chars().any(char::is_alphanumeric) && word.chars().count() <= PHRASE_MAX;
        c.require(at, key, sound, &format!("'{word}' is no word"), "words with a letter or a digit, up to 200 characters");
    }
}

/// No word opts out and in.
fn check_apart(at: &str, key: &str, out: &[String], back: &[String], c: &mut Checks) {
    let both = back.iter().find(|word| out.iter().any(|other| other.to_lowercase() == word.to_lowercase()));
    if let Some(word) = both {
        c.problem(at, key, format!("'{word}' opts out too; allowed: words of its own"));
    }
}
