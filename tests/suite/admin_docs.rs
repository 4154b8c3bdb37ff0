//! What the admin port tells of itself: the document and its page over a real socket, and every example of a body as it stands there.

use super::control_rig::{done, look, until};
use super::crash_rig::{GatewayProcess, configure};
use super::messages_door::post;
use super::peers_rig::RawPeer;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::BindKind;
use serde_json::Value;

#[test]
fn the_admin_port_tells_what_it_does_to_machines_and_on_a_page_without_anything_from_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    let (status, document) = look(gateway.admin, "/openapi.json");
    assert_eq!((status, document["openapi"].as_str().map(|version| &version[..3])), (200, Some("3.1")));
    let mut answer = ureq::get(format!("http://{}/docs", gateway.admin)).call().unwrap();
    let page = answer.body_mut().read_to_string().unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path} is not on the page");
    }
    for elsewhere in ["http://", "https://", "src=", "<link", "<script", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere} is on the page");
    }
}

#[test]
fn the_document_of_the_admin_port_is_guarded_like_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(directory.path().join("token"), "0123456789abcdef").unwrap();
    std::fs::write(&config, text.replacen("[admin]\n", "[admin]\ntoken_file = \"token\"\n", 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    for path in ["/openapi.json", "/docs"] {
        let (status, problem) = look(gateway.admin, path);
        assert_eq!((status, problem["code"].as_str()), (401, Some("no_token")), "{path}");
        let shown = ureq::get(format!("http://{}{path}", gateway.admin)).header("authorization", "Bearer 0123456789abcdef").call().unwrap();
        assert_eq!(shown.status(), 200, "{path}");
    }
}

/// Every example of a body with its path, in the order of the document.
fn examples(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let examples = verbs["post"]["requestBody"]["content"]["application/json"]["examples"].as_object();
        found.extend(examples.into_iter().flatten().map(|(_, example)| (path.clone(), example["value"].clone())));
    }
    found
}

#[test]
fn every_body_that_the_document_of_the_admin_port_shows_is_accepted_as_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let south = format!("[[carrier]]\nname = \"south\"\nhosts = [\"{}\"]\n", smsc.local_addr());
    let text = std::fs::read_to_string(&config).unwrap() + &south;
    std::fs::write(&config, text).unwrap();
    let gateway = GatewayProcess::start(&config);
    until("the carriers are up", || done(gateway.admin, &["status"])["carriers_not_up"].as_array().is_some_and(Vec::is_empty));
    let _client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let (_, document) = look(gateway.admin, "/openapi.json");
    let mut examples = examples(&document);
    let described = document["paths"].as_object().unwrap().values().filter(|verbs| verbs["post"]["requestBody"].is_object()).count();
    assert!(examples.len() >= described && described > 10, "every body has an example");
    // A test message needs a bind that nothing has taken down; changes stand in the way of what comes after them, and are there to be lifted.
    examples.sort_by_key(|(path, _)| match path.as_str() {
        "/v1/test-messages" => 0,
        "/v1/changes" => 2,
        "/v1/resume" => 3,
        _ => 1,
    });
    let mut refused = Vec::new();
    for (path, body) in examples {
        let (status, answer) = post(gateway.admin, &path.replace("{name}", "shop"), &body);
        if !(200..300).contains(&status) || answer["refused"].as_u64().is_some_and(|refused| refused > 0) {
            refused.push(format!("{path} {body}: {status} {answer}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
