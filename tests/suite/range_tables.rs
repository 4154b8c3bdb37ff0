//! `hongyan ranges`: sound tables are told in figures, bad ones by every line, a new one by what it would change; and the gateway refuses to start on a bad one.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error.
fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_hongyan")).args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const CONFIG: &[u8] =
    b"[ranges]\nfiles = [\"r.csv\"]\nported = [\"p.csv\"]\noperators = [\"o.txt\"]\nzones = { US = \"America/New_York\" }\n";

#[test]
fn a_sound_table_is_told_in_figures_and_asked_by_number() {
    let dir = folder(&[
        ("h.toml", CONFIG),
        ("r.csv", "\u{FEFF}prefix,operator,region\r\n861380,\"移动\",\"Guangdong, Guangzhou\"\r\n4479120,VF,\r\n".as_bytes()),
        ("p.csv", b"number,operator\n138-0013-8000,China Unicom\n"),
        ("o.txt", b"Vodafone,VF\n"),
    ]);
    let dir = dir.path();
    let (code, said, error) = run(dir, &["ranges", "check", "--config", "h.toml"]);
    assert!(code == 0 && said.starts_with("valid: ") && said.contains("1 ported") && said.contains("Vodafone"), "{said}{error}");
    let found = json(&run(dir, &["ranges", "check", "--json", "--config", "h.toml"]).1);
    assert_eq!(
        (found["valid"].as_bool(), found["ported"].as_u64(), found["operators"]["Vodafone"].as_u64()),
        (Some(true), Some(1), Some(1))
    );

    let numbers = ["+86 138 0013 8000", "13800138001", "+12125551234", "+447912012345"];
    let (code, said, _) = run(dir, &[&["ranges", "lookup", "--json", "--config", "h.toml"][..], &numbers[..]].concat());
    let told: Vec<Value> = said.lines().map(json).collect();
    assert_eq!(code, 0);
    let field = |at: usize, name: &str| told[at]["range"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (field(0, "operator"), field(0, "region"), field(0, "source")),
        ("China Unicom".into(), "Guangdong, Guangzhou".into(), "ported, over ./r.csv:2".into())
    );
    assert_eq!(
        (field(1, "operator"), field(1, "prefix"), field(1, "source")),
        ("China Mobile".into(), "861380".into(), "./r.csv:2".into())
    );
    assert_eq!((field(2, "country"), field(2, "zone"), field(2, "source")), ("US".into(), "America/New_York".into(), "shipped".into()));
    assert_eq!((field(3, "operator"), field(3, "country")), ("Vodafone".into(), "GB".into()));

    let (code, said, error) = run(dir, &["ranges", "lookup", "13800138000", "12x456789", "10086"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("8613800138000  CN, China Mobile, mobile, Asia/Shanghai  (86138..., shipped)"), "{said}");
    assert!(error.contains("character that no number has") && error.contains("short code") && error.lines().count() == 2, "{error}");
    let inspected = json(&run(dir, &["inspect", "number", "13800138000", "--config", "h.toml"]).1);
    assert_eq!(inspected["range"]["operator"], "China Unicom");
}

#[test]
fn a_bad_table_is_refused_with_every_line_by_check_and_by_the_gateway() {
    let bad = b"prefix,operator,region\n861380,Chna Mobile,a\n861381,CMCC,a\n861381,CMCC,b\n861390-861399,CMCC,c\n861395-861400,CMCC,d\n12,\"x\n86x,,\n";
    let dir = folder(&[("h.toml", CONFIG), ("r.csv", bad), ("p.csv", b"number,operator\n123,CMCC\n"), ("o.txt", b"")]);
    let dir = dir.path();
    let expected = [
        "p.csv:2: number '***': a short code",
        "r.csv:2: unknown operator 'Chna Mobile'; known: China Mobile",
        "r.csv:4: prefix 861381 stands in ./r.csv:3 already",
        "r.csv:6: prefix 861395 stands in ./r.csv:5 already",
        "r.csv:7: a quote is opened and never closed",
        "r.csv:8: prefix '86x' is none",
    ];
    for command in [&["ranges", "check", "--config", "h.toml"][..], &["check", "--config", "h.toml"], &["serve", "--config", "h.toml"]] {
        let (code, said, error) = run(dir, command);
        assert_eq!((code, said.as_str()), (1, ""), "{command:?}");
        for told in expected {
            assert!(error.contains(told), "{command:?}: {told}\n{error}");
        }
    }
    let (code, said, error) = run(dir, &["ranges", "check", "--json", "r.csv", "p.csv"]);
    let found = json(&said);
    assert_eq!((code, found["valid"].as_bool(), found["problems"].as_array().unwrap().len()), (1, Some(false), 6), "{said}");
    assert_eq!((found["problems"][0]["file"].as_str(), found["problems"][1]["line"].as_u64()), (Some("p.csv"), Some(2)));
    assert!(error.contains("6 problems"), "{error}");
    for (file, piece) in [("none.csv", "none.csv: can't be opened"), ("o.txt", "o.txt: is empty; the first line names the columns")] {
        let (code, _, error) = run(dir, &["ranges", "check", file]);
        assert!(code == 1 && error.contains(piece), "{error}");
    }
}

#[test]
fn a_diff_tells_prefixes_and_how_many_numbers_change_hands() {
    let dir = folder(&[
        ("old.csv", b"prefix,operator,region\n861380,CMCC,Guangdong\n861381,CMCC,Guangdong\n"),
        ("new.csv", b"prefix,operator,region\n861381,CUCC,Guangdong\n8613900,,Beijing\n"),
        ("p.csv", b"number,operator\n13800138000,CUCC\n13800138001,CUCC\n"),
    ]);
    let dir = dir.path();
    let (code, said, error) = run(dir, &["ranges", "diff", "old.csv", "new.csv"]);
    assert_eq!(code, 0, "{error}");
    for piece in [
        "prefixes: 1 appear, 1 go, 1 change",
        "  - 861380           CN, China Mobile, Guangdong",
        "  ~ 861381           CN, China Mobile, Guangdong, mobile, Asia/Shanghai  ->  CN, China Unicom",
        "  + 8613900          CN, China Mobile, Beijing",
        "21,000,000 numbers get another operator or region",
        "  China Mobile -> China Unicom  10,000,000",
        "  (none) -> Beijing  1,000,000",
    ] {
        assert!(said.contains(piece), "{piece}\n{said}");
    }
    let found = json(&run(dir, &["ranges", "diff", "shipped", "p.csv", "--json"]).1);
    assert_eq!(
        (found["ported"]["appear"].as_u64(), found["numbers"].as_u64(), found["changed_prefixes"].as_u64()),
        (Some(2), Some(0), Some(0))
    );
    assert_ne!(found["old_version"], found["new_version"]);
    let (_, said, _) = run(dir, &["ranges", "diff", "old.csv", "new.csv", "--limit", "1"]);
    assert!(said.contains("... and 2 more (--limit 0 shows all)"), "{said}");
    let same = json(&run(dir, &["ranges", "diff", "old.csv", "old.csv", "--json"]).1);
    assert_eq!((same["changed_prefixes"].as_u64(), &same["old_version"]), (Some(0), &same["new_version"]));
}
