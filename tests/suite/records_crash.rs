//! kill -9 in the middle of load: every finished message is in the record files exactly once, counted from outside by DuckDB.

use super::control_rig::done;
use super::crash_kill::{DELIVERED, SHOP, Stage, Told, client, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::python;
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KILLS: u64 = 6;

/// The rows of a query.
pub fn duckdb(query: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/duckdb_query.py");
    let run = Command::new(python()).args([script, query]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "DuckDB failed; if it is missing, run tests/setup.sh: {said}");
    serde_json::from_slice(&run.stdout).unwrap()
}

/// The record files of a data directory, as DuckDB names them.
pub fn files(data: &Path) -> String {
    format!("read_parquet('{}/records/*/*.parquet')", data.display())
}

#[test]
fn after_kills_in_the_middle_of_load_each_finished_message_is_in_the_records_exactly_once() {
    let behaviour =
        Behaviour { answer_delay_ms: 5, receipt_delay_ms: 20, receipt_jitter_ms: 600, redeliver_ms: 300, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap() + "[records]\nflush_s = 1\n";
    std::fs::write(&config, text).unwrap();
    let data = directory.path().join("data");
    let (stage, told) = (Stage::new(), Arc::new(Mutex::new(Told::default())));
    let shop = {
        let (stage, told) = (Arc::clone(&stage), Arc::clone(&told));
        std::thread::spawn(move || client(&stage, "shop", SHOP, &told))
    };
    for kill in 1..=KILLS {
        let gateway = GatewayProcess::start(&config);
        *stage.gateway.lock().unwrap() = Some(gateway.address);
        // Each at another moment of a write.
        std::thread::sleep(Duration::from_millis(2_000 + 130 * kill));
        gateway.kill();
    }
    let gateway = stage.last_life(&config, &told, &smsc);
    shop.join().unwrap();
    let status = done(gateway.admin, &["status"]);
    let finished = |state: &str| status["states"][state].as_u64().unwrap();
    assert_eq!((finished("waiting"), finished("sent_waiting")), (0, 0), "{status}");
    // Reports that were with a client when the gateway was killed are taken by no one any more: such ends are written after a while.
    let accepted = status["accepted"].as_u64().unwrap();
    until("all that has finished is in files", || {
        let records = done(gateway.admin, &["records", "status", "--flush"]);
        records["files_rows"].as_u64() == Some(accepted) && records["unwritten"] == 0
    });
    assert!(gateway.terminate().success());

    let told = told.lock().unwrap();
    assert!(told.acknowledged.len() > 1_000, "hardly any load");
    let from = files(&data);
    let counted = duckdb(&format!(
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (state = 'delivered'), count(*) FILTER (NOT complete) FROM {from}"
    ));
    assert_eq!(counted, json!([[accepted, accepted, finished("delivered"), 0]]), "{status}");
    let rows = duckdb(&format!("SELECT id, state, account, number, sent_at >= accepted_at AND final_at >= sent_at FROM {from}"));
    let rows: std::collections::HashMap<String, &Value> =
        rows.as_array().unwrap().iter().map(|row| (format!("{:019}", row[0].as_u64().unwrap()), row)).collect();
    for (id, number) in &told.acknowledged {
        let row = rows.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is in no file"));
        assert_eq!(told.receipts[id].contains(&DELIVERED), row[1] == "delivered", "{row}");
        assert_eq!((&row[2], &row[3], &row[4]), (&json!("shop"), &json!(format!("86138{number:08}")), &json!(true)), "{row}");
    }
    let said = Command::new(super::crash_rig::BINARY).args(["records", "verify", "--data-dir"]).arg(&data).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    println!("{} rows; {}", accepted, String::from_utf8_lossy(&said.stdout));
}
