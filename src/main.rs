//! The binary: sets the allocator and hands over to the command line in `cli`.

use std::process::ExitCode;

/// Messages are freed on other threads than they were made on, which is what mimalloc is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hongyan::cli::main()
}
