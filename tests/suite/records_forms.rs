//! Numbers in the record files are masked or encrypted where that is asked; files past their time go; small ones become one; and a query of a message that is
//! over is answered from them.

use super::control_rig::{done, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, decoded, header, message_id, submit};
use super::records_crash::{duckdb, files};
use hongyan::records::files::hour_name;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::pdu::QuerySm;
use hongyan::smpp::{Addr, BindKind, DecodeLimits, Pdu};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A gateway with these lines in its section of records, and the carrier that must live as long.
fn configured(directory: &Path, records: &str) -> (Smsc, PathBuf) {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory, smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap() + "[records]\n" + records;
    std::fs::write(&config, text).unwrap();
    (smsc, config)
}

/// Sends one message and waits until it is delivered and its sender told.
fn deliver(gateway: &GatewayProcess, client: &mut RawPeer, number: &[u8]) -> String {
    let answer = client.ask(&Pdu::SubmitSm(submit(number, b"for your eyes only")));
    assert_eq!(header(&answer).status, 0);
    let id = message_id(&answer);
    until("its sender is told", || {
        client.serve_deliveries();
        !done(gateway.admin, &["explain", &id])["told_ms"].is_null()
    });
    id
}

#[test]
fn numbers_are_masked_or_encrypted_as_configured_and_texts_are_not_there() {
    for (settings, find) in [("numbers = \"masked\"\n", false), ("numbers = \"encrypted\"\nkey_file = \"key\"\n", true)] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "0123456789abcdef".repeat(8) + "\n").unwrap();
        let (_smsc, config) = configured(directory.path(), settings);
        let gateway = GatewayProcess::start(&config);
        let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
        let id = deliver(&gateway, &mut client, b"8613812341234");
        done(gateway.admin, &["records", "status", "--flush"]);
        assert_eq!(done(gateway.admin, &["explain", &id])["number"], "138****1234");
        let asked = ["records", "find", "--number", "+8613812341234"];
        match find {
            true => assert_eq!(done(gateway.admin, &asked)["messages"][0]["message"], json!(id)),
            false => assert!(refused(gateway.admin, &asked).contains("numbers are masked in the records")),
        }
        let data = directory.path().join("data");
        let rows = duckdb(&format!("SELECT number, text FROM {}", files(&data)));
        let number = rows[0][0].as_str().unwrap();
        assert!(rows[0][1].is_null() && !number.contains("13812341234"), "{rows}");
        assert_eq!(number == "138****1234", !find, "{rows}");
        assert!(gateway.terminate().success());
        // No file of the folder has it in clear (the journal and the ledger have, until they let it go).
        for hour in std::fs::read_dir(data.join("records")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
            for file in std::fs::read_dir(hour).unwrap().map(|entry| entry.unwrap().path()) {
                let octets = std::fs::read(&file).unwrap();
                assert!(!octets.windows(11).any(|octets| octets == b"13812341234"), "{}", file.display());
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, config) = configured(directory.path(), "numbers = \"encrypted\"\n");
    let refusal = hongyan::config::Config::load(&config).unwrap_err().to_string();
    assert!(refusal.contains("records.numbers") && refusal.contains("key_file"), "{refusal}");
}

#[test]
fn files_past_their_days_go_and_small_files_of_an_hour_that_is_over_become_one() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, config) = configured(directory.path(), "keep_days = 2\n");
    let gateway = GatewayProcess::start(&config);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let mut ids = Vec::new();
    for number in [b"8613812341230", b"8613812341231", b"8613812341232"] {
        ids.push(deliver(&gateway, &mut client, number));
        done(gateway.admin, &["records", "status", "--flush"]);
    }
    assert!(gateway.terminate().success());
    let data = directory.path().join("data");
    let records = data.join("records");
    let before = duckdb(&format!("SELECT id, number, carrier_id, told_at FROM {} ORDER BY id", files(&data)));
    assert_eq!(before.as_array().unwrap().len(), 3);
    // As if it were some hours later: yesterday's files, and one of a week ago.
    let hour = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 3_600;
    let (yesterday, long_ago) = (records.join(hour_name(hour - 24)), records.join(hour_name(hour - 7 * 24)));
    std::fs::create_dir(&yesterday).unwrap();
    std::fs::create_dir(&long_ago).unwrap();
    let found: Vec<PathBuf> = hongyan::records::files::list(&records).unwrap().iter().map(|file| file.path(&records)).collect();
    assert_eq!(found.len(), 3);
    for file in found {
        std::fs::copy(&file, long_ago.join(file.file_name().unwrap())).unwrap();
        std::fs::rename(&file, yesterday.join(file.file_name().unwrap())).unwrap();
    }
    let gateway = GatewayProcess::start(&config);
    until("old files are gone and the others are one", || hongyan::records::files::list(&records).unwrap().len() == 1);
    assert!(!long_ago.exists());
    assert_eq!(duckdb(&format!("SELECT id, number, carrier_id, told_at FROM {} ORDER BY id", files(&data))), before);
    for id in &ids {
        assert_eq!(done(gateway.admin, &["explain", id])["state"], "delivered", "after the merge too");
    }
    let found = done(gateway.admin, &["records", "find", "--number", "+8613812341231"]);
    assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{found}");
    assert!(gateway.terminate().success());
}

#[test]
fn a_query_of_a_message_that_is_over_is_answered_from_the_records_to_its_own_account_only() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, config) = configured(directory.path(), "");
    let gateway = GatewayProcess::start(&config);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let id = deliver(&gateway, &mut client, b"8613812341234");
    let ask = |client: &mut RawPeer, id: &str, source: &[u8]| {
        let query = QuerySm { message_id: id.as_bytes(), source: Addr { ton: 5, npi: 0, addr: source } };
        let answer = client.ask(&Pdu::QuerySm(query));
        match header(&answer).status {
            0 => match decoded(&answer, &DecodeLimits::default()) {
                Pdu::QuerySmResp(Some(told)) => Ok((told.message_state, !told.final_date.is_empty())),
                other => panic!("{other:?}"),
            },
            status => Err(status),
        }
    };
    assert_eq!(ask(&mut client, &id, b"SHOP"), Ok((2, true)), "from memory");
    done(gateway.admin, &["records", "status", "--flush"]);
    assert_eq!(ask(&mut client, &id, b"SHOP"), Ok((2, true)), "from a file");
    let unknown = ask(&mut client, "1950000000000000000", b"SHOP").unwrap_err();
    assert_eq!(ask(&mut client, &id, b"OTHER"), Err(unknown), "another source");
    let mut other = RawPeer::bound(gateway.address, BindKind::Transceiver, "codes", "secret");
    assert_eq!(ask(&mut other, &id, b"SHOP"), Err(unknown), "another account");
    assert!(gateway.terminate().success());
}
