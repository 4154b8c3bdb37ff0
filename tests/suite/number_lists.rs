//! `hongyan numbers`: what is kept, what is dropped and why, in whatever form a list comes.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error; `input` is standard input.
fn run(dir: &Path, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hongyan"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    let done = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// Kept, duplicates, invalid.
fn counts(found: &str) -> [u64; 3] {
    let found: Value = serde_json::from_str(found).unwrap_or_else(|error| panic!("{error}: {found}"));
    ["kept", "duplicates", "invalid"].map(|name| found[name].as_u64().unwrap())
}

#[test]
fn the_first_of_each_number_is_kept_whatever_its_notation_and_the_order_stays() {
    let dir = tempfile::tempdir().unwrap();
    let list = "name;mobile;note\r\nZhang;13900139000;\"a;b\"\r\nLi;+86 138-0013-8000;x\r\n\r\nWang;008613900139000;y\r\nZhao;13800138000.0;\r\n\
        Sun;1380013800;short\r\nZhou\r\nWu;'15000150000;last";
    std::fs::write(dir.path().join("list.csv"), list).unwrap();
    let (code, said, error) =
        run(dir.path(), &["numbers", "list.csv", "--out", "kept.csv", "--report", "report.csv", "--shards", "4"], b"");
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    for piece in
        ["7 numbers", "line 5: duplicate: 139****9000", "line 6: duplicate: 138****8000", "line 7: invalid: no country has such a number"]
    {
        assert!(said.contains(piece), "{piece}\n{said}");
    }
    assert!(said.contains("China Mobile") && said.contains("shards") && !said.contains("13800138000"), "{said}");
    let kept = std::fs::read_to_string(dir.path().join("kept.csv")).unwrap();
    assert_eq!(kept, "name;mobile;note\nZhang;8613900139000;\"a;b\"\nLi;8613800138000;x\nWu;8615000150000;last\n");
    let report = std::fs::read_to_string(dir.path().join("report.csv")).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[0], "line,result,reason,number,written");
    assert_eq!(lines[1], "5,duplicate,,8613900139000,Wang;008613900139000;y");
    assert_eq!(lines[3], "7,invalid,no country has such a number,,Sun;1380013800;short");
    assert_eq!(lines[4], "8,invalid,the line has 1 fields and no column of numbers,,Zhou");
    assert_eq!(lines.len(), 5);
}

#[test]
fn one_bad_line_costs_itself_alone_and_a_list_is_never_refused_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut list = b"id,phone\n1,13800138000\n\"2,13800138001\n3,13800138002\n".to_vec();
    list.extend(b"4,\xFF\xFE\x00\n5,");
    list.extend(vec![b'9'; 2 << 20]);
    list.extend(b"\n6,13800138003\n7,\"13800138004\"\n");
    let (code, said, error) = run(dir.path(), &["numbers", "-", "--json"], &list);
    assert_eq!((code, counts(&said)), (0, [4, 0, 3]), "{said}{error}");
    let found: Value = serde_json::from_str(&said).unwrap();
    let lines: Vec<u64> = found["first_problems"].as_array().unwrap().iter().map(|told| told["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 5, 6]);
}

#[test]
fn encodings_regions_and_empty_lists() {
    let dir = tempfile::tempdir().unwrap();
    let (gb, _, _) = encoding_rs::GB18030.encode("姓名,手机号\n张三,１３８００１３８０００\n李四,13800138000\n");
    let (code, said, _) = run(dir.path(), &["numbers", "-", "--json", "--out", "kept.csv"], &gb);
    assert_eq!((code, counts(&said)), (0, [1, 1, 0]), "{said}");
    let kept = std::fs::read(dir.path().join("kept.csv")).unwrap();
    assert_eq!(encoding_rs::GB18030.decode(&kept).0, "姓名,手机号\n张三,8613800138000\n");

    let (_, said, _) = run(dir.path(), &["numbers", "-", "--json", "--region", "gb"], "\u{FEFF}07912 345678\n+447912345678\n".as_bytes());
    assert_eq!(counts(&said), [1, 1, 0]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["countries"]["GB"], 1);
    for empty in ["", "\n\r\n", "\u{FEFF}", "phone\n"] {
        let (code, said, _) = run(dir.path(), &["numbers", "-", "--json"], empty.as_bytes());
        assert_eq!((code, counts(&said)), (0, [0, 0, 0]), "{empty:?}");
    }
}

#[test]
fn operators_come_from_the_configured_ranges() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("h.toml"), "[gateway]\nhome_region = \"GB\"\n[ranges]\nfiles = [\"r.csv\"]\noperators = [\"o.txt\"]\n")
        .unwrap();
    std::fs::write(dir.path().join("r.csv"), "national,country,operator,region\n7912,GB,Vodafone,North\n").unwrap();
    std::fs::write(dir.path().join("o.txt"), "Vodafone\n").unwrap();
    let (code, said, error) = run(dir.path(), &["numbers", "-", "--json", "--config", "h.toml"], b"07912345678\n07400123456\n");
    let found: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!((code, &found["operators"]["Vodafone"], &found["operators"][""]), (0, &1.into(), &1.into()), "{said}");
    assert_eq!(found["regions"]["North"], 1);
}

#[test]
fn what_can_t_be_done_says_why_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("l.csv"), "a,b\n1,2\n").unwrap();
    std::fs::write(dir.path().join("u.csv"), b"\xFF\xFE1\x003\x00").unwrap();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["numbers", "none.csv"], 1, "none.csv: can't be opened"),
        (&["numbers", "l.csv"], 1, "l.csv: which column holds the numbers?"),
        (&["numbers", "l.csv", "--column", "phone"], 1, "no column is called 'phone'; the first line has: a, b"),
        (&["numbers", "u.csv"], 1, "u.csv: is in UTF-16"),
        (&["numbers", "l.csv", "--column", "1", "--out", "./l.csv"], 1, "are the same file"),
        (&["numbers", "l.csv", "--column", "1", "--out", "no/such/dir"], 1, "no/such/dir can't be written"),
        (&["numbers", "l.csv", "--column", "0"], 2, "counted from 1"),
        (&["numbers", "l.csv", "--region", "XX"], 1, "'XX' is no country with a numbering plan"),
    ];
    for (arguments, code, piece) in cases {
        let (got, _, error) = run(dir.path(), arguments, b"");
        assert!(got == code && error.contains(piece), "{arguments:?}: {got} {error}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("l.csv")).unwrap(), "a,b\n1,2\n");
}
