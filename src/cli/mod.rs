//! The command line: what the words mean, exit codes, where output goes. Leaves all work to the modules that the commands name.
//!
//! Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage.

mod admin;
mod balance;
mod block;
mod check;
mod completions;
mod counts;
mod demo;
mod inspect;
pub mod inspect_number;
pub mod inspect_pdu;
pub mod inspect_receipt;
pub mod inspect_text;
mod key;
mod logs;
mod notify;
mod numbers;
mod operate;
mod output;
mod profile;
mod ranges;
mod record;
mod records;
mod send;
mod serve;
pub mod store;
mod store_events;
mod tables;
mod tail;
mod tools;
mod top;
mod trail;

pub use logs::start as start_logs;
pub use output::Output;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A high-throughput SMPP gateway: messages in over SMPP, durable before the yes, out to carriers, receipts back.
#[derive(Debug, Parser)]
#[command(
    name = "hongyan",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Examples:\n  \
        hongyan demo                                 try it: everything on loopback\n  \
        hongyan check --config config/hongyan.toml   validate and explain a configuration\n  \
        hongyan serve --config config/hongyan.toml   run the gateway\n  \
        hongyan status                               what the running gateway is about\n  \
        hongyan top                                  watch it and act, in a terminal\n  \
        hongyan pause --carrier north --for 2h       let a carrier rest\n  \
        hongyan send list.csv --account shop --text 'Dear {name}, ...'\n  \
        hongyan bench                                measure it on this machine\n  \
        hongyan inspect number +8613800138000        what a number is\n  \
        hongyan numbers list.csv --out clean.csv     normalise a list, drop duplicates\n  \
        hongyan completions bash > hongyan.bash      shell completions\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage. `hongyan COMMAND --help` shows examples of each command."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a gateway, two simulated carriers and a trickle of messages, all on loopback
    Demo(demo::Args),
    /// Run the gateway
    Serve(serve::Args),
    /// Run a simulated carrier
    Smsc(Box<crate::sim::smsc::args::SmscArgs>),
    /// Send messages and judge what comes of them
    Load(crate::load::command::LoadArgs),
    /// Pass PDUs on and nothing else: the floor of comparisons
    Relay(crate::load::command::RelayArgs),
    /// Play a recording again: a client's side against a gateway or simulated carrier, or a carrier's side
    Replay(crate::load::replay::ReplayArgs),
    /// Measure the gateway between a load generator and a simulated carrier
    Bench(crate::load::bench::BenchArgs),
    /// Validate a configuration, explain what it means, and exit with 1 if it is refused
    Check(check::Args),
    /// Take apart a PDU, a text, a receipt or a number and print it as JSON
    Inspect(inspect::Args),
    /// Check, compare and ask range tables: country, operator, region, kind and time zone by prefix
    Ranges(ranges::Args),
    /// Normalise a list of numbers, drop duplicates and tell what is wrong with it
    Numbers(numbers::Args),
    /// Send a file of messages through the running gateway
    Send(Box<send::Args>),
    /// Lists of numbers that must not be written to
    #[command(subcommand)]
    Block(block::Block),
    /// What an account has, and topping it up
    Balance(balance::BalanceArgs),
    /// Keys for the HTTP API
    #[command(subcommand)]
    Key(key::Key),
    /// Verify, count or dump a data directory while the gateway is stopped
    Store(store::Args),
    /// Ask and check the records of finished messages
    Records(records::Args),
    /// The flight recorder: the latest PDUs of a bind or session, for Wireshark
    #[command(subcommand)]
    Record(record::Record),
    /// Profiles of carriers: those that ship, and one learned from a recording
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Print completions for a shell
    Completions(completions::Args),
    /// A live view of the running gateway: rates, carriers, lanes, accounts, alarms; pause, resume and drain by keys
    Top(top::Args),
    /// Follow what happens: binds, sessions, throttling, changes, messages (masked)
    Tail(tail::Args),
    #[command(flatten)]
    Operate(operate::Operate),
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    run(Cli::parse(), &mut Output::standard())
}

/// Runs one parsed command; what it prints goes to `output`.
fn run(cli: Cli, output: &mut Output) -> ExitCode {
    let done = match cli.command {
        Command::Demo(args) => demo::run(&args, output),
        Command::Serve(args) => serve::run(&args, output),
        Command::Smsc(args) => tools::smsc(&args, output),
        Command::Load(args) => tools::load(&args, output),
        Command::Relay(args) => tools::relay(&args, output),
        Command::Replay(args) => tools::replay(&args, output),
        Command::Bench(args) => tools::bench(&args, output),
        Command::Check(args) => check::run(&args, output),
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Ranges(args) => ranges::run(&args, output),
        Command::Numbers(args) => numbers::run(&args, output),
        Command::Send(args) => send::run(&args, output),
        Command::Block(block) => block::run(&block, output),
        Command::Balance(args) => balance::run(&args, output),
        Command::Key(key) => key::run(&key, output),
        Command::Store(args) => store::run(&args, &store_events::decode, output),
        Command::Records(args) => records::run(&args, output),
        Command::Record(record) => record::run(&record, output),
        Command::Profile(command) => profile::run(&command, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Top(args) => top::run(&args, output),
        Command::Tail(args) => tail::run(&args, output),
        Command::Operate(operate) => operate::run(&operate, output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            output.error(&reason);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_shows_examples() {
        let mut cli = Cli::command();
        cli.clone().debug_assert();
        cli.build();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            let mut with_examples = vec![command];
            if command.has_subcommands() {
                with_examples = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
            }
            for command in with_examples {
                let help = command.clone().render_long_help().to_string();
                assert!(help.contains("Example"), "{} shows no example:\n{help}", command.get_name());
            }
        }
    }
}
