//! A file of millions of numbers as people have them, through `hongyan numbers` as a process of its own: time, CPU and memory for normalising, dropping
//! duplicates and sharding.

use super::{Common, Scene, Stage, mib};
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Arguments of `hongyan bench numbers`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan bench numbers\n  hongyan bench numbers --lines 1000000 --json")]
pub struct Args {
    /// Lines of the file
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run<C>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    let file = stage.directory.join("numbers.txt");
    (stage.line)(&format!("writing {} lines", args.lines));
    let expected = write_list(&file, args.lines).map_err(|error| format!("{}: {error}", file.display()))?;
    let binary = std::env::current_exe().map_err(|error| format!("can't find this binary: {error}"))?;
    let began = Instant::now();
    let mut child = Command::new(binary)
        .args(["numbers", "--json", "--shards", "64"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("can't start `hongyan numbers`: {error}"))?;
    let mut peak_rss = 0;
    let ended = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
        peak_rss = peak_rss.max(high.unwrap_or(0) * 1024);
        if let Ok(Some(ended)) = child.try_wait() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let elapsed_s = began.elapsed().as_secs_f64();
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("`hongyan numbers` ended with {ended}: {error}"))?;
    let count = |key: &str| said[key].as_u64().unwrap_or(0);
    let (kept, duplicate, invalid) = (count("kept"), count("duplicates"), count("invalid"));
    let result = json!({
        "settings": { "lines": args.lines }, "elapsed_s": elapsed_s, "peak_rss": peak_rss, "kept": kept, "duplicate": duplicate, "invalid": invalid,
        "expected": { "kept": expected.0, "duplicate": expected.1, "invalid": expected.2 },
    });
    let lines = vec![format!(
        "{} lines in {elapsed_s:.2} s, {:.0} MiB at most: {kept} kept, {duplicate} duplicate, {invalid} invalid",
        args.lines,
        mib(peak_rss)
    )];
    let mut problems = Vec::new();
    if (kept, duplicate, invalid) != expected {
        problems.push(format!("kept {kept}, duplicate {duplicate}, invalid {invalid}; the file has {expected:?}"));
    }
    Ok(Scene { result, lines, problems })
}

/// Writes the list; how many of its lines are to be kept, are duplicates, are no numbers.
fn write_list(file: &Path, lines: u64) -> std::io::Result<(u64, u64, u64)> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(file)?);
    let (mut kept, mut duplicate, mut invalid) = (0, 0, 0);
    for line in 0..lines {
        // Each tenth repeats an earlier one, in another form; each thousandth is none.
        if line % 1000 == 999 {
            invalid += 1;
            writeln!(out, "room {line}")?;
            continue;
        }
        let repeats = line % 10 == 9;
        let of = if repeats { line - 9 } else { line };
        if repeats {
            duplicate += 1;
        } else {
            kept += 1;
        }
        // A permutation of 10^8 numbers of 139: 61,803,399 has no divisor in common with it.
        let tail = of.wrapping_mul(61_803_399) % 100_000_000;
        match line % 7 {
            0 => writeln!(out, "+86 139 {:04} {:04}", tail / 10_000, tail % 10_000)?,
            1 => writeln!(out, "0086139{tail:08}")?,
            2 => writeln!(out, "86-139-{:04}-{:04}", tail / 10_000, tail % 10_000)?,
            _ => writeln!(out, "139{tail:08}")?,
        }
    }
    out.flush()?;
    Ok((kept, duplicate, invalid))
}
