//! The rules of the plan from the configuration: who may be written to, and whose inbound messages are.

use crate::config::{self, Config, OptOutLevel};
use crate::engine::rules::phrases::Phrases;
use crate::engine::rules::plan::{AccountRules, Allowed, CarrierRules, ReplyLevel, ReplyRules, RulesPlan};
use crate::engine::rules::routing::InboundRule;
use crate::engine::rules::velocity::VelocityRule;
use crate::engine::rules::words::Words;
use crate::model::AccountId;
use crate::number::{HomeRegion, PrefixTable, pack};
use std::sync::Arc;

/// The rules. What the configuration's own checks can't know (which countries there are) is told in words.
pub fn of(config: &Config) -> Result<RulesPlan, String> {
    let accounts = config.accounts.iter().map(|of| account(of, &config.opt_out).map_err(|error| format!("account {}: {error}", of.name)));
    let carriers = config.carriers.iter().map(|of| carrier(of).map_err(|error| format!("carrier {}: {error}", of.name)));
    let mut rules = RulesPlan::new(accounts.collect::<Result<_, _>>()?, carriers.collect::<Result<_, _>>()?);
    let out = &config.opt_out;
    rules.replies = replies(&out.words, &out.back_words, false, out.level, out.deliver);
    if !out.countries.is_empty() {
        let rows = out.countries.iter().map(|of| (of.prefix.as_str(), (Words::new(&of.words), Words::new(&of.back_words))));
        rules.replies_by_prefix = Some(PrefixTable::new(rows).map_err(|error| format!("opt_out.country: {error}"))?);
    }
    for route in &config.inbound {
        let account = config.accounts.iter().position(|account| account.name == route.account);
        let account = account.ok_or_else(|| format!("inbound: no account is called '{}'", route.account))?;
        let carrier = match &route.carrier {
            Some(name) => Some(config.carrier_by_name(name).ok_or_else(|| format!("inbound: no carrier is called '{name}'"))?.0),
            None => None,
        };
        rules.inbound.push(InboundRule::new(route.service.as_bytes(), &route.keyword, carrier, AccountId(account as u32)));
    }
    Ok(rules)
}

fn replies(out: &[String], back: &[String], own: bool, level: OptOutLevel, deliver: bool) -> ReplyRules {
    let level = match level {
        OptOutLevel::Sender => ReplyLevel::Sender,
        OptOutLevel::Account => ReplyLevel::Account,
        OptOutLevel::Platform => ReplyLevel::Platform,
    };
    ReplyRules { out: Words::new(out), own, back: Words::new(back), level, deliver }
}

fn account(account: &config::Account, general: &config::OptOut) -> Result<AccountRules, String> {
    let rules = &account.rules;
    let allowed = match rules.allowed_destinations.is_empty() {
        true => None,
        false => Some(allowed(&rules.allowed_destinations)?),
    };
    let velocity = rules.velocity.iter().map(|limit| VelocityRule {
        prefix: pack(limit.prefix.as_bytes()).unwrap_or(0),
        digits: limit.digits,
        most: limit.most,
        window_ms: u64::from(limit.window_s) * 1000,
    });
    let words = rules.opt_out_words.is_some() || rules.opt_in_words.is_some();
    let own = words || rules.opt_out_level.is_some() || rules.opt_out_deliver.is_some();
    let replies = own.then(|| {
        let out = rules.opt_out_words.as_ref().unwrap_or(&general.words);
        let back = rules.opt_in_words.as_ref().unwrap_or(&general.back_words);
        let deliver = rules.opt_out_deliver.unwrap_or(general.deliver);
        replies(out, back, words, rules.opt_out_level.unwrap_or(general.level), deliver)
    });
    Ok(AccountRules { allowed, velocity: velocity.collect(), phrases: phrases(&rules.deny_phrases)?, replies })
}

fn carrier(carrier: &config::Carrier) -> Result<CarrierRules, String> {
    let elsewhere = carrier.rules.deny_action == config::DenyAction::Elsewhere;
    Ok(CarrierRules { phrases: phrases(&carrier.rules.deny_phrases)?, elsewhere })
}

fn phrases(written: &[String]) -> Result<Option<Arc<Phrases>>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    Phrases::new(written.iter().cloned()).map(|list| Some(Arc::new(list))).map_err(|error| format!("rules.deny_phrases: {error}"))
}

fn allowed(destinations: &[String]) -> Result<Allowed, String> {
    let (prefixes, countries): (Vec<&String>, Vec<&String>) =
        destinations.iter().partition(|text| text.bytes().all(|c| c.is_ascii_digit()));
    if let Some(bad) = countries.iter().find(|country| HomeRegion::from_iso(country).is_none()) {
        let allowed = "allowed: CN, US, DE ... or a prefix";
        return Err(format!("rules.allowed_destinations: '{bad}' is no country with a numbering plan; {allowed}"));
    }
    let prefixes = PrefixTable::new(prefixes.into_iter().map(|prefix| (prefix.as_str(), ())));
    let prefixes = prefixes.map_err(|error| format!("rules.allowed_destinations: {error}"))?;
    Ok(Allowed { countries: countries.into_iter().cloned().collect(), prefixes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TEXT: &str = r#"
        [opt_out]
        words = ["TD"]
        [[opt_out.country]]
        prefix = "1"
        words = ["QUIT"]
        [[account]]
        name = "shop"
        system_id = "shop"
        password = "secret"
        [account.rules]
        allowed_destinations = ["CN", "CA", "8525"]
        velocity = [{ prefix = "86", digits = 7, most = 5, window_s = 60 }]
        deny_phrases = ["loan"]
        deny_phrases_file = "phrases.txt"
        opt_out_level = "account"
        [[carrier]]
        name = "north"
        hosts = ["127.0.0.1:2776"]
        [carrier.rules]
        deny_phrases = ["offer"]
        deny_action = "reject"
        [[inbound]]
        service = "1069"
        keyword = "Vote"
        account = "shop"
        [[route]]
        carriers = ["north"]
    "#;

    fn read(text: &str) -> Result<RulesPlan, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("phrases.txt"), "代开发票\n\n free money \n").unwrap();
        let config = Config::parse(text, directory.path()).map_err(|error| error.to_string())?;
        of(&config)
    }

    #[test]
    fn the_configuration_becomes_rules() {
        let rules = read(TEXT).unwrap();
        let shop = &rules.accounts()[0];
        let number = |digits: &str| pack(digits.as_bytes()).unwrap();
        let allowed = shop.allowed.as_ref().unwrap();
        let ranges = crate::number::RangeTable::shipped();
        let may = |digits| allowed.permits(number(digits), &ranges);
        assert_eq!((may("8613800138000"), may("85251234567"), may("14165550123")), (true, true, true));
        assert_eq!((may("85291234567"), may("12125551234"), may("861")), (false, false, true), "Canada is not all of +1");
        assert_eq!(shop.velocity, [VelocityRule { prefix: number("86"), digits: 7, most: 5, window_ms: 60_000 }]);
        assert_eq!(shop.phrases.as_ref().unwrap().len(), 3);
        assert!(!rules.carriers()[0].elsewhere && rules.is_any());
        let (general, out, _) = rules.replies(None, number("8613800138000"));
        assert_eq!((general.level, out.mean("td")), (ReplyLevel::Sender, true));
        let (own, out, _) = rules.replies(Some(AccountId(0)), number("12125551234"));
        assert_eq!((own.level, out.mean("td"), out.mean("quit")), (ReplyLevel::Account, false, true), "its country's words, its own level");
        assert_eq!(rules.inbound, [InboundRule::new(b"1069", "vote", None, AccountId(0))]);
        assert!(!of(&Config::demo(Path::new("x"))).unwrap().is_any());
    }

    #[test]
    fn a_country_that_is_none_is_told() {
        let error = read(&TEXT.replace("\"CN\"", "\"XX\"")).err().unwrap();
        assert!(error.contains("account shop: rules.allowed_destinations: 'XX' is no country"), "{error}");
    }
}
