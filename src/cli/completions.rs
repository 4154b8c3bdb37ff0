//! `hongyan completions`: scripts that let a shell complete our commands.

use super::{Cli, Output};
use clap::CommandFactory;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan completions bash > /etc/bash_completion.d/hongyan\n  hongyan completions zsh > ~/.zfunc/_hongyan\n  hongyan completions fish > ~/.config/fish/completions/hongyan.fish"
)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hongyan", &mut script);
    output.raw(&script);
    Ok(())
}
