//! The list of an account's messages by the HTTP API: by what they were handed in with, page by page, nobody else's.

use super::api_rig::{OTHER, ask, call, with_http};
use super::control_rig::until;
use super::crash_rig::GatewayProcess;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};

fn numbers(told: &Value) -> Vec<String> {
    told["messages"].as_array().unwrap_or_else(|| panic!("{told}")).iter().map(|one| one["to"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn messages_are_listed_by_what_they_were_handed_in_with_page_by_page_for_their_account_alone() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let recipients: Vec<Value> = (0..25).map(|n| json!({ "to": format!("138{n:08}"), "reference": format!("order {n}") })).collect();
    let spring = json!({ "text": "Hello", "campaign": "spring", "recipients": recipients });
    assert_eq!(call(&gateway, "POST", "/v1/messages", &spring.to_string()).json()["accepted"].as_u64(), Some(25));
    let later = json!({ "to": "13900000000", "text": "later", "send_at": soon, "campaign": "autumn" });
    assert_eq!(call(&gateway, "POST", "/v1/messages", &later.to_string()).status, 202);
    let list = |query: &str| call(&gateway, "GET", &format!("/v1/messages?{query}"), "").json();
    until("all have ended", || list("state=delivered&limit=100")["messages"].as_array().is_some_and(|rows| rows.len() == 25));

    assert_eq!(numbers(&list("to=13800000007")), ["+8613800000007"]);
    assert_eq!(numbers(&list("reference=order%203")), ["+8613800000003"]);
    assert_eq!(numbers(&list("state=waiting")), ["+8613900000000"]);
    assert_eq!(numbers(&list("campaign=autumn")), ["+8613900000000"]);
    assert_eq!(numbers(&list("campaign=spring&to=13900000000")).len(), 0);
    assert_eq!(numbers(&list("from_time=2020-01-01T00:00:00Z&to_time=2020-01-02T00:00:00%2B08:00")).len(), 0);
    assert_eq!(numbers(&list("from_time=2020-01-01T00:00:00Z")).len(), 26);
    // Page by page, though more comes meanwhile: each once, newest first.
    let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(&format!("campaign=spring&limit=10{cursor}"));
        all.extend(numbers(&page));
        pages += 1;
        assert_eq!(call(&gateway, "POST", "/v1/messages", &json!({ "to": "13700000000", "text": "x" }).to_string()).status, 202);
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert!(next.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet)), "{next}");
        cursor = format!("&cursor={next}");
    }
    assert_eq!((all.len(), pages), (25, 3));
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
    // Nobody sees another's.
    let bearer = format!("Bearer {OTHER}");
    let others = ask(&gateway, "GET", "/v1/messages?campaign=spring", &[("authorization", &bearer)], "").json();
    assert_eq!((numbers(&others).len(), others["partial"].as_bool()), (0, Some(false)), "{others}");
    for (query, field) in [
        ("to=12x", "to"),
        ("state=lost", "state"),
        ("from_time=yesterday", "from_time"),
        ("limit=0", "limit"),
        ("cursor=7", "cursor"),
        ("colour=red", "colour"),
    ] {
        let refused = call(&gateway, "GET", &format!("/v1/messages?{query}"), "").problem();
        assert_eq!(refused, (422, "bad_value".to_owned(), field.to_owned()), "{query}");
    }
    assert!(gateway.terminate().success());
}
