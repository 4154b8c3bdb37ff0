//! The rules of the house, kept by reading the sources: imports point down only, the lower layers know no clock, thread, channel or chance,
//! stores are named where they are built, files say what they are for, and nothing unwraps outside tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a module stands; imports may only name a lower number. `config` and `telemetry` stand aside.
fn layer(module: &str) -> Option<u8> {
    Some(match module {
        "model" => 0,
        "smpp" | "text" | "number" => 1,
        "store" | "recorder" => 2,
        "engine" => 3,
        "link" | "records" => 4,
        "sim" | "load" | "http" => 5,
        "cli" | "app" | "main" => 6,
        _ => return None,
    })
}

/// Modules that stand aside: open to all, importing only model.
const ASIDE: [&str; 2] = ["config", "telemetry"];

/// Words that the pure layers don't use, each with what it stands for.
const BANNED: [(&str, &str); 9] = [
    ("tokio", "a runtime"),
    ("std::thread", "a thread"),
    ("thread::spawn", "a thread"),
    ("mpsc", "a channel"),
    ("crossbeam", "a channel"),
    ("Instant::now", "a clock"),
    ("SystemTime", "a clock"),
    ("SystemClock", "a clock"),
    ("rand::", "a random source"),
];

/// True if the file at `path` (below src) is driven by whoever passes it the time: no threads, channels, clocks or chance.
fn is_pure(path: &str) -> bool {
    let pure =
        ["model/", "smpp/", "text/", "number/", "engine/", "sim/", "store/", "recorder/"].iter().any(|folder| path.starts_with(folder));
    // The one place that reads the clocks; the stores and the threads that own them; the simulator's sockets.
    let stated =
        ["model/clock.rs", "store/local", "store/cluster", "store/writer.rs", "store/ledger_writer.rs", "store/tail.rs", "sim/smsc"];
    pure && !stated.iter().any(|start| path.starts_with(start))
}

/// True if the file may name a concrete store: what builds the gateway, the deterministic world, and the tool that reads a stopped one.
fn builds_stores(path: &str) -> bool {
    path.starts_with("app") || path.starts_with("sim/world") || path == "cli/store.rs" || path.starts_with("store/")
}

/// True for files that hold only tests.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// `source` with the insides of comments, strings and character literals blanked, lines kept.
fn code_only(source: &str) -> String {
    let text = source.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = match &text[at..] {
            [b'/', b'/', ..] => text[at..].iter().position(|&c| c == b'\n').map_or(text.len(), |length| at + length),
            [b'/', b'*', ..] => block_comment_end(text, at),
            [b'r', b'"', ..] | [b'r', b'#', b'"' | b'#', ..] if !at.checked_sub(1).is_some_and(|before| is_word(text[before])) => {
                raw_string_end(text, at)
            }
            [b'"', ..] => string_end(text, at),
            [b'\'', b'\\', ..] => text[at + 3..].iter().position(|&c| c == b'\'').map_or(text.len(), |length| at + 4 + length),
            [b'\'', _, b'\'', ..] => at + 3,
            _ => {
                out.push(text[at]);
                at += 1;
                continue;
            }
        };
        out.extend(text[at..end].iter().map(|&c| if c == b'\n' { b'\n' } else { b' ' }));
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

fn block_comment_end(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < text.len() && depth > 0 {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string_end(text: &[u8], start: usize) -> usize {
    let hashes = text[start + 1..].iter().take_while(|&&c| c == b'#').count();
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = start + 2 + hashes;
    text[body.min(text.len())..].windows(end.len()).position(|window| window == end).map_or(text.len(), |length| body + length + end.len())
}

/// `code` without the items under `#[cfg(test)]`, lines kept.
fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(start) = code[from..].find("#[cfg(test)]").map(|at| from + at) {
        let rest = &code[start..];
        let open = rest.find('{').unwrap_or(rest.len());
        let end = match rest.find(';').filter(|&semicolon| semicolon < open) {
            Some(semicolon) => start + semicolon + 1,
            None => start + block_length(rest, open),
        };
        out[start..end].iter_mut().filter(|c| **c != b'\n').for_each(|c| *c = b' ');
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Length of `text` up to the brace that closes the one at `open`.
fn block_length(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in text.bytes().enumerate().skip(open) {
        depth += i32::from(c == b'{') - i32::from(c == b'}');
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Every path that starts with `crate::` (or `hongyan::`), groups spelt out, up to three names deep, with its offset.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate::", "hongyan::"] {
        for (start, _) in code.match_indices(root) {
            if !start.checked_sub(1).is_some_and(|before| is_word(code.as_bytes()[before]) || code.as_bytes()[before] == b'$') {
                spell_out(code, start + root.len(), String::new(), 0, &mut found);
            }
        }
    }
    found
}

/// Reads one use-tree at `at`, writing down its paths; returns where it ends.
fn spell_out(code: &str, at: usize, so_far: String, depth: usize, found: &mut Vec<(usize, String)>) -> usize {
    let rest = &code[at..];
    let skipped = rest.len() - rest.trim_start().len();
    let (at, rest) = (at + skipped, rest.trim_start());
    if rest.starts_with('{') && depth < 3 {
        let mut place = at + 1;
        loop {
            place = spell_out(code, place, so_far.clone(), depth, found);
            let tail = code[place..].trim_start();
            place = code.len() - tail.len();
            if let Some(after) = tail.strip_prefix(',') {
                place = code.len() - after.len();
                if after.trim_start().starts_with('}') {
                    return code.len() - after.trim_start().len() + 1;
                }
            } else {
                return place + 1;
            }
        }
    }
    let length = rest.bytes().take_while(|&c| is_word(c)).count();
    if length == 0 {
        return at + usize::from(rest.starts_with('*'));
    }
    let path = if so_far.is_empty() { rest[..length].to_owned() } else { format!("{so_far}::{}", &rest[..length]) };
    let mut end = at + length;
    if code[end..].starts_with("::") && depth < 3 {
        end = spell_out(code, end + 2, path, depth + 1, found);
    } else {
        found.push((at, path));
    }
    let after = code[end..].trim_start();
    match after.strip_prefix("as ") {
        Some(name) => code.len() - name.len() + name.bytes().take_while(|&c| is_word(c)).count(),
        None => end,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

/// Every breach of the rules in the file at `path` (below src).
fn breaches(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = code_only(source);
    let module = path.split(['/', '.']).next().unwrap_or_default();
    if !source.starts_with("//!") {
        found.push((1, "a file opens with //! and says what it is for".to_owned()));
    }
    for (offset, target) in paths(&code) {
        let to = target.split("::").next().unwrap_or_default();
        if let Some(rule) = bad_import(module, to) {
            found.push((line_of(&code, offset), rule));
        }
        if (target.starts_with("store::local") || target.starts_with("store::cluster")) && !builds_stores(path) && !is_test_file(path) {
            found.push((line_of(&code, offset), format!("{target} is named only in app, sim/world, cli/store and tests")));
        }
    }
    if !is_test_file(path) {
        let shipped = without_tests(&code);
        for (offset, _) in shipped.match_indices(".unwrap()") {
            found.push((line_of(&code, offset), "no unwrap outside tests: an expect states the invariant".to_owned()));
        }
        if is_pure(path) {
            for (word, what) in BANNED {
                for (offset, _) in shipped.match_indices(word) {
                    let inside_word = shipped.as_bytes()[..offset].last().is_some_and(|&before| is_word(before));
                    if !inside_word {
                        found.push((line_of(&code, offset), format!("{word}: {what} is passed in, never taken, in {module}")));
                    }
                }
            }
        }
    }
    found.into_iter().map(|(line, rule)| format!("src/{path}:{line}: {rule}")).collect()
}

/// Why `from` may not import `to`, if it may not.
fn bad_import(from: &str, to: &str) -> Option<String> {
    if from == to || from == "lib" {
        return None;
    }
    if ASIDE.contains(&from) {
        let allowed = to == "model" || layer(to).is_none();
        return (!allowed).then(|| format!("{from} imports only model, not {to}"));
    }
    let here = layer(from)?;
    if ASIDE.contains(&to) {
        return (here == 0).then(|| format!("model imports nothing, not even {to}"));
    }
    let there = layer(to)?;
    let fine = there < here || here == 6;
    (!fine).then(|| format!("imports point down: {from} (layer {here}) must not import {to} (layer {there})"))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "the sources were not found");
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        found.extend(breaches(&path, &fs::read_to_string(&file).unwrap()));
    }
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn each_rule_is_seen_to_be_broken() {
    let cases = [
        (
            "smpp/a.rs",
            "//! A.\nuse crate::engine::port;\n",
            "src/smpp/a.rs:2: imports point down: smpp (layer 1) must not import engine (layer 3)",
        ),
        (
            "smpp/a.rs",
            "//! A.\nuse crate::{model::Now, text::Udh};\n",
            "src/smpp/a.rs:2: imports point down: smpp (layer 1) must not import text (layer 1)",
        ),
        (
            "load/a.rs",
            "//! A.\nfn f() { crate::sim::run() }\n",
            "src/load/a.rs:2: imports point down: load (layer 5) must not import sim (layer 5)",
        ),
        ("config/a.rs", "//! A.\nuse crate::engine;\n", "src/config/a.rs:2: config imports only model, not engine"),
        ("model/a.rs", "//! A.\nuse crate::config::Config;\n", "src/model/a.rs:2: model imports nothing, not even config"),
        ("engine/a.rs", "//! A.\n\nuse tokio::net;\n", "src/engine/a.rs:3: tokio: a runtime is passed in, never taken, in engine"),
        (
            "engine/a.rs",
            "//! A.\nfn f() { std::time::Instant::now(); }\n",
            "src/engine/a.rs:2: Instant::now: a clock is passed in, never taken, in engine",
        ),
        ("sim/carrier.rs", "//! A.\nuse rand::Rng;\n", "src/sim/carrier.rs:2: rand::: a random source is passed in, never taken, in sim"),
        (
            "link/a.rs",
            "//! A.\nuse crate::store::{self, local::Journal};\n",
            "src/link/a.rs:2: store::local::Journal is named only in app, sim/world, cli/store and tests",
        ),
        ("link/a.rs", "//! A.\nfn f() { x.unwrap() }\n", "src/link/a.rs:2: no unwrap outside tests: an expect states the invariant"),
        ("link/a.rs", "use std::fmt;\n", "src/link/a.rs:1: a file opens with //! and says what it is for"),
    ];
    for (path, source, breach) in cases {
        assert_eq!(breaches(path, source), [breach], "{source}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let cases = [
        (
            "engine/a.rs",
            "//! Not [`crate::link`], not tokio.\n// crate::link::x, y.unwrap()\nconst A: &str = \"tokio crate::link .unwrap()\";\n",
        ),
        (
            "engine/a.rs",
            "//! A.\nuse crate::model::Now;\n#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); std::thread::spawn(g); }\n}\n",
        ),
        ("engine/a.rs", "//! A.\n#[cfg(test)]\nmod tests;\nfn operand::stand() {}\n"),
        ("smpp/tests.rs", "//! A.\nfn f() { x.unwrap() }\n"),
        ("model/clock.rs", "//! A.\nfn f() { std::time::Instant::now(); }\n"),
        ("sim/smsc.rs", "//! A.\nuse tokio::net;\n"),
        ("app.rs", "//! A.\nuse crate::{cli, store::local};\n"),
        ("link/a.rs", "//! A.\nuse crate::{config::Config, engine::port::{Input, Output as Out}, telemetry};\nfn f() -> char { '\"' }\n"),
        ("cli/a.rs", "//! A.\nuse crate::app;\n"),
    ];
    for (path, source) in cases {
        assert_eq!(breaches(path, source), Vec::<String>::new(), "{source}");
    }
}
