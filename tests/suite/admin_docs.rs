//! What the admin port tells of itself: the document and its page over a real socket, and every example of a body as it stands there.

use super::control_rig::{done, look, until};
use super::crash_rig::{GatewayProcess, configure};
use super::messages_door::post;
use super::peers_rig::{self, RawPeer};
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
fn where_a_token_is_set_all_but_probes_and_the_document_ask_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(directory.path().join("token"), "0123456789abcdef").unwrap();
    std::fs::write(&config, text.replacen("[admin]\n", "[admin]\ntoken_file = \"token\"\n", 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    for path in ["/v1/status", "/metrics", "/v1/nothing"] {
        let (status, problem) = look(gateway.admin, path);
        assert_eq!((status, problem["code"].as_str()), (401, Some("no_token")), "{path}");
    }
    let shown = |path: &str| ureq::get(format!("http://{}{path}", gateway.admin)).header("authorization", "Bearer 0123456789abcdef").call();
    let page = shown("/metrics").unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("\nhongyan_"), "{page}");
    for path in ["/openapi.json", "/docs", "/healthz", "/readyz"] {
        assert_eq!(ureq::get(format!("http://{}{path}", gateway.admin)).call().unwrap().status(), 200, "{path}");
    }
    assert_eq!(look(gateway.admin, "/readyz").1, serde_json::json!({ "ready": true, "disk": "ok" }));
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

#[test]
fn schemathesis_finds_no_answer_of_the_admin_port_that_its_document_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    let document = format!("http://{}/openapi.json", gateway.admin);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let mut arguments =
        vec!["-m", "schemathesis.cli", "run", &document, "-H", "X-Hongyan-User: tester", "--max-examples", "20", "-c", checks];
    // By chance too few of its requests are ones that HTTP can carry: that says nothing of us. What it finds by chance, it finds at a desk: here each run is the same.
    arguments.extend(["--no-color", "--suppress-health-check=filter_too_much", "--seed", "7"]);
    let out = std::process::Command::new(peers_rig::python()).args(arguments).current_dir(directory.path()).output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(gateway.terminate().success());
}
