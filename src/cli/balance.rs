//! `hongyan balance`: what an account has, and topping it up.

use super::Output;
use super::admin::{Client, Where};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What an account has, and topping it up
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Amounts are credits, with up to three places behind the point.\n\nExamples:\n  hongyan balance shop\n  hongyan balance top-up shop 500 --reference 'invoice 2026-117'"
)]
pub(super) struct BalanceArgs {
    /// Whose
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    at: Where,
    #[command(subcommand)]
    command: Option<BalanceCommand>,
}

#[derive(Debug, Subcommand)]
enum BalanceCommand {
    /// Change what an account has; the same reference again within 72 hours changes nothing
    #[command(
        after_help = "Examples:\n  hongyan balance top-up shop 500 --reference 'invoice 2026-117'\n  hongyan balance top-up shop -12.5 --reference 'correction of 117' --reason 'paid twice'"
    )]
    TopUp {
        /// Whose
        account: String,
        /// Credits; below 0 they are taken out
        #[arg(allow_hyphen_values = true, value_parser = thousandths)]
        amount: i64,
        /// What it is for: an invoice, a transfer
        #[arg(long, value_name = "TEXT")]
        reference: String,
        /// Why; stands in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        at: Where,
    },
}

pub(super) fn run(args: &BalanceArgs, output: &mut Output) -> Result<(), String> {
    match (&args.command, &args.account) {
        (Some(BalanceCommand::TopUp { account, amount, reference, reason, at }), _) => {
            let body = json!({ "change": amount, "reference": reference, "reason": reason });
            let client = at.client()?;
            let balance = client.post(&format!("/v1/accounts/{}/top-ups", name(account)?), &body)?;
            if balance["repeated"] == Value::Bool(true) && !client.json {
                output.line(&format!("'{reference}' was paid in before; nothing is changed"));
            }
            show(&client, &balance, output);
        }
        (None, Some(account)) => {
            let client = args.at.client()?;
            let balance = client.get(&format!("/v1/accounts/{}/balance", name(account)?))?;
            show(&client, &balance, output);
        }
        (None, None) => return Err("account: say whose: hongyan balance ACCOUNT".to_owned()),
    }
    Ok(())
}

/// For a path: names of accounts hold letters, digits and a few signs.
fn name(account: &str) -> Result<&str, String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    match !account.is_empty() && account.bytes().all(plain) {
        true => Ok(account),
        false => Err(format!("account: no account is called '{account}'; one that `accounts` shows")),
    }
}

fn show(client: &Client, balance: &Value, output: &mut Output) {
    if client.json {
        return output.json(balance, false);
    }
    output.heading(balance["account"].as_str().unwrap_or_default());
    for (term, words) in
        [("available", "available"), ("reserved", "reserved for what waits"), ("spent", "spent"), ("topped_up", "topped up")]
    {
        output.line(&format!("  {words:<24} {:>20}", credits(balance[term].as_i64().unwrap_or(0))));
    }
    match balance["limit"].as_i64() {
        None => output.line("  nothing is counted: the account has no [account.balance]"),
        Some(0) => {}
        Some(limit) => output.line(&format!("  {:<24} {:>20}", "may fall to", credits(-limit))),
    }
}

/// `12.345` from thousandths.
pub(super) fn credits(thousandths: i64) -> String {
    let (sign, size) = (if thousandths < 0 { "-" } else { "" }, thousandths.unsigned_abs());
    format!("{sign}{}.{:03}", super::counts::grouped(size / 1000), size % 1000)
}

/// Thousandths from `12.345`.
fn thousandths(text: &str) -> Result<i64, String> {
    let fix = || "credits such as 500 or -12.5, at most three places behind the point".to_owned();
    let (negative, plain) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    if whole.is_empty() || part.len() > 3 || !whole.bytes().chain(part.bytes()).all(|octet| octet.is_ascii_digit()) {
        return Err(fix());
    }
    let digits = format!("{whole}{part:0<3}");
    let size: i64 = digits.parse().map_err(|_| fix())?;
    Ok(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_read_and_written_exactly() {
        for (text, number) in [("500", 500_000), ("-12.5", -12_500), ("0.001", 1), ("1.25", 1_250)] {
            assert_eq!(thousandths(text), Ok(number), "{text}");
        }
        assert!(["", "-", ".5", "1.2345", "1,5", "1e3", "99999999999999999999"].iter().all(|text| thousandths(text).is_err()));
        assert_eq!((credits(-1_234_567), credits(5), credits(0)), ("-1,234.567".to_owned(), "0.005".to_owned(), "0.000".to_owned()));
    }
}
