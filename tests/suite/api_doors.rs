//! Clients of other gateways: requests in the forms of Kannel's and Jasmin's manuals, and Twilio's own Python client, are taken as they stand, and told of
//! their reports in the way that they expect.

use super::api_rig::{Answered, KEY, ask, call, with_http};
use super::control_rig::{done, until};
use super::crash_rig::GatewayProcess;
use super::hooks_sockets::Receiver;
use super::peers_rig;
use argon2::{Argon2, PasswordHasher};
use hongyan::sim::behaviour::Share;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

fn get(gateway: &GatewayProcess, path: &str) -> Answered {
    ask(gateway, "GET", path, &[], "")
}

fn accepted(gateway: &GatewayProcess) -> u64 {
    done(gateway.admin, &["status"])["accepted"].as_u64().unwrap()
}

#[test]
fn kannels_sendsms_is_served_in_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let dlr = Receiver::start();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let who = "/cgi-bin/sendsms?username=shop&password=secret";
    let url = format!("http%3A%2F%2F{}%2Fdlr%3Fid%3D7%26type%3D%25d%26phone%3D%25p", dlr.address.to_string().replace(':', "%3A"));
    let cases = [
        (format!("{who}&from=SHOP&to=13800138000&text=Hello+world"), 202, "0: Accepted for delivery"),
        (format!("{who}&from=SHOP&to=%2B8613800138001+13800138002,13800138003&text=Hi"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138004&text=%96%C1&coding=2&charset=UTF-16BE"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138005&text=%96%C1&coding=2"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138006&text=caf%E9&charset=ISO-8859-1&validity=60&priority=1"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138007&text=later&deferred=30"), 202, "3: Queued for later delivery"),
        (format!("{who}&to=13800138008&text=told&dlr-mask=3&dlr-url={url}"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=12x+13800138009&text=x"), 202, "0: Accepted for delivery (Denied: 12x)"),
        (format!("{who}&text=x"), 400, "Missing receiver number, rejected"),
        (format!("{who}&to=13800138000"), 400, "Empty text not allowed, rejected"),
        (format!("{who}&to=13800138011&coding=1&udh=%06%05%04%15%81%00%00&text=%01%82%03"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138012&coding=1&text=abc"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138013&coding=0&udh=%05%00%03%07%02%01&text=one"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138014&coding=2&udh=%06%05%04%15%81%00%00&text=%96%C1&mclass=1&pid=65"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138015&udh=%06%05%04%15%81%00%00&text=%20%82%0A"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138016&mwi=0"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138017&text=flash&mclass=0&alt-dcs=1"), 202, "0: Accepted for delivery"),
        (format!("{who}&to=13800138000&text=x&mclass=4"), 400, "MClass field misformed, rejected"),
        (format!("{who}&to=13800138000&coding=2&text=%96%C1%00"), 400, "Charset or text misformed, rejected"),
        (format!("{who}&to=13800138000&text=x&udh=%05%00"), 400, "UDH field misformed, rejected"),
        (format!("{who}&to=13800138000&text=x&validity=soon"), 400, "Validity field misformed, rejected"),
        (format!("{who}&to=13800138000&text=x&coding=9"), 400, "Coding field misformed, rejected"),
        ("/cgi-bin/sendsms?username=shop&password=wrong&to=13800138000&text=x".to_owned(), 403, "Authorization failed for sendsms"),
    ];
    for (path, status, words) in cases {
        let answer = get(&gateway, &path);
        assert_eq!((answer.status, answer.text.as_str()), (status, words), "{path}");
    }
    assert_eq!(accepted(&gateway), 17);
    // One account's failures hold no other up.
    let posted = ask(&gateway, "POST", "/cgi-bin/sendsms", &FORM, "user=codes&pass=secret&to=13800138010&text=x");
    assert_eq!(posted.status, 202, "{}", posted.text);
    until("the report is told", || dlr.heads().iter().any(|head| head.starts_with("GET /dlr?id=7&type=1&phone=%2B8613800138008 ")));
    assert!(gateway.terminate().success());
}

#[test]
fn kannels_and_jasmins_clients_are_told_what_the_carrier_said_and_then_how_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let dlr = Receiver::start();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let base = format!("http%3A%2F%2F{}", dlr.address.to_string().replace(':', "%3A"));
    // Of three parts: once for the message all the same.
    let long = "x".repeat(400);
    let kannel = |to: &str, mask: u8, text: &str| {
        let url = format!("{base}%2Fk%3Ft%3D%25d%26p%3D%25p%26i%3D%25i");
        let path = format!("/cgi-bin/sendsms?username=shop&password=secret&to={to}&text={text}&dlr-mask={mask}&dlr-url={url}");
        assert_eq!(get(&gateway, &path).status, 202, "{path}");
    };
    let jasmin = |to: &str, level: u8| {
        let path = format!(
            "/send?username=shop&password=secret&to={to}&content=x&dlr-level={level}&dlr-method=GET&dlr-url={base}%2Fj%3Fto%3D{to}"
        );
        assert_eq!(get(&gateway, &path).status, 200, "{path}");
    };
    kannel("13800138000", 31, &long);
    kannel("13800138001", 3, "x");
    jasmin("13800138002", 1);
    jasmin("13800138003", 3);
    let told = |of: &str| -> Vec<String> { dlr.heads().into_iter().filter(|head| head.contains(of)).collect() };
    until("all are told", || told("/k?").len() == 3 && told("level=").len() == 3);
    let kannels = told("8613800138000");
    assert!(kannels[0].starts_with("GET /k?t=8&p=%2B8613800138000&i=north "), "{kannels:?}");
    assert!(kannels[1].starts_with("GET /k?t=1&"), "{kannels:?}");
    assert!(told("8613800138001")[0].starts_with("GET /k?t=1&"));
    let jasmins = told("to=13800138003");
    assert!(jasmins[0].contains("&message_status=ESME_ROK&level=1&connector=north "), "{jasmins:?}");
    assert!(jasmins[1].contains("&message_status=DELIVRD&level=2&"), "{jasmins:?}");
    assert!(told("to=13800138002")[0].contains("level=1"));
    // The carrier refuses what comes now: ESME_RINVDSTADR.
    smsc.change(|behaviour| behaviour.errors = vec![Share { what: 0x0B, share: 1.0 }]);
    kannel("13800138004", 31, "x");
    kannel("13800138005", 8, "x");
    jasmin("13800138006", 1);
    until("refusals are told", || told("to=13800138006").len() == 1 && told("8613800138004").len() == 1);
    assert!(told("8613800138004")[0].starts_with("GET /k?t=16&"));
    assert!(told("to=13800138006")[0].contains("&message_status=ESME_RINVDSTADR&level=1&"), "{:?}", told("to=13800138006"));
    assert_eq!((told("/k?").len(), told("level=").len()), (4, 4));
    assert!(gateway.terminate().success());
}

#[test]
fn what_was_handed_in_by_http_shows_how_it_ended_though_nobody_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let native = call(&gateway, "POST", "/v1/messages", r#"{"to": "13800138000", "from": "SHOP", "text": "x"}"#);
    let sent = get(&gateway, "/send?username=shop&password=secret&to=13800138001&content=x");
    let ids = [
        native.json()["messages"][0]["id"].as_str().unwrap().to_owned(),
        sent.text.trim_start_matches("Success \"").trim_end_matches('"').to_owned(),
    ];
    for id in ids {
        until("it is delivered", || call(&gateway, "GET", &format!("/v1/messages/{id}"), "").json()["state"] == "delivered");
    }
    assert!(gateway.terminate().success());
}

#[test]
fn a_hashed_password_is_checked_once_and_many_requests_at_once_are_never_told_that_it_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let hash = Argon2::default().hash_password_with_salt(b"secret", b"0123456789abcdef").unwrap().to_string();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("password = \"secret\"", &format!("password_hash = \"{hash}\""), 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    let send = || get(&gateway, "/cgi-bin/sendsms?username=shop&password=secret&to=13800138000&text=x").status;
    let first: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(send)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(first.contains(&202) && first.iter().all(|status| matches!(status, 202 | 503)), "{first:?}");
    let begun = std::time::Instant::now();
    assert!((0..50).all(|_| send() == 202));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "it is remembered");
    assert!(gateway.terminate().success());
}

#[test]
fn jasmins_send_is_served_in_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let dlr = Receiver::start();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let who = "/send?username=shop&password=secret";
    let url = format!("http%3A%2F%2F{}%2Fdlr", dlr.address.to_string().replace(':', "%3A"));
    for path in [
        format!("{who}&to=13800138000&content=Hello+world+%21"),
        format!("{who}&to=%2B8613800138001&from=SHOP&hex-content=96C1&coding=8&priority=2&validity-period=60&tags=vip,spring"),
        format!("{who}&to=13800138002&content=told&dlr=yes&dlr-level=3&dlr-method=GET&dlr-url={url}"),
        format!("{who}&to=13800138003&content=later&sdt=000000000100000R"),
        format!("{who}&to=13800138005&hex-content=0102ff&coding=4"),
        format!("{who}&to=13800138006&content=%06%45%06%31&coding=8"),
    ] {
        let answer = get(&gateway, &path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let id = answer.text.strip_prefix("Success \"").and_then(|rest| rest.strip_suffix('"')).unwrap();
        assert_eq!(id.len(), 19, "{id}");
    }
    let of_json = [("content-type", "application/json")];
    let posted = ask(
        &gateway,
        "POST",
        "/send",
        &of_json,
        r#"{"username": "shop", "password": "secret", "to": 13800138007, "content": "雁", "coding": 8}"#,
    );
    assert_eq!(posted.status, 200, "{}", posted.text);
    let query = "username=shop&password=secret";
    assert_eq!(get(&gateway, "/ping").text, "Jasmin/PONG");
    assert_eq!(get(&gateway, &format!("/balance?{query}")).json(), json!({ "balance": "ND", "sms_count": "ND" }));
    let rate = get(&gateway, &format!("/rate?{query}&to=13800138000&content={}", "x".repeat(200))).json();
    assert_eq!(rate, json!({ "unit_rate": 0.0, "submit_sm_count": 2 }));
    let denied = get(&gateway, "/balance?username=shop&password=wrong");
    assert_eq!((denied.status, denied.json()), (403, json!("Authentication failure for username:shop")));
    let posted = ask(
        &gateway,
        "POST",
        "/send",
        &FORM,
        &format!("username=shop&password=secret&to=13800138004&content=x&dlr=yes&dlr-level=2&dlr-url={url}"),
    );
    assert_eq!(posted.status, 200, "{}", posted.text);
    for (path, status, words) in [
        (format!("{who}&content=x"), 400, "Error \"Mandatory argument [to] is not found.\""),
        (
            format!("{who}&to=13800138000&content=x&hex-content=78"),
            400,
            "Error \"content and hex-content cannot be used both in same request.\"",
        ),
        (format!("{who}&to=13800138000&content="), 400, "Error \"Argument [content] has an invalid value: the text is empty.\""),
        (format!("{who}&to=13800138000"), 400, "Error \"content or hex-content not present.\""),
        (format!("{who}&to=13800138000&content=x&colour=red"), 400, "Error \"Argument [colour] is unknown.\""),
        (format!("{who}&to=13800138000&content=x&coding=99"), 400, "Error \"Argument [coding] has an invalid value: [99].\""),
        (format!("{who}&to=13800138000&hex-content=9"), 400, "Error \"Argument [hex-content] has an invalid value: [..].\""),
        (
            "/send?username=shop&password=wrong&to=13800138000&content=x".to_owned(),
            403,
            "Error \"Authentication failure for username:shop\"",
        ),
    ] {
        let answer = get(&gateway, &path);
        assert_eq!((answer.status, answer.text.as_str()), (status, words), "{path}");
    }
    assert_eq!(accepted(&gateway), 8);
    until("both reports are told", || {
        let got = dlr.heads().iter().any(|head| head.starts_with("GET /dlr?id=") && head.contains("message_status=DELIVRD"));
        got && dlr.requests().iter().any(|(_, body)| body.contains("message_status=DELIVRD"))
    });
    assert!(gateway.terminate().success());
}

#[test]
fn twilios_own_client_sends_looks_up_and_cancels() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let callback = Receiver::start();
    // One text for both, as Twilio has it: the key of requests, and what callbacks are signed with.
    let token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    std::fs::write(directory.path().join("token"), token).unwrap();
    let of_token = hongyan::config::hex(&hongyan::config::hash_of(token.as_bytes()));
    let hook = format!(
        "[[account.api_key]]\nid = \"token\"\nsha256 = \"{of_token}\"\n[account.hook]\nurl = \"http://{}/own\"\nsecret_file = \"token\"\n",
        callback.address
    );
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", &hook));
    let sid = hongyan::http::hooks::account_sid("shop");
    let base = format!("http://{}", gateway.http.unwrap());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/twilio_client.py");
    let address = format!("http://{}/status", callback.address);
    let out = std::process::Command::new(peers_rig::python()).args([script, &base, &sid, token, &address]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    let made = &told["made"];
    assert_eq!(
        [&made[1], &made[2], &made[3], &made[4], &made[5], &made[7]],
        [&json!(sid), &json!("queued"), &json!("Hello 雁"), &json!("+8613800138000"), &json!("1"), &json!("outbound-api")]
    );
    assert_eq!(told["fetched"], json!([made[0], true, "SHOP"]));
    assert_eq!(told["planned"], json!(["scheduled", "scheduled", "canceled"]));
    let refused = json!({ "to": [400, 21211], "body": [400, 21602], "from": [400, 21603], "token": [401, 20003], "unknown": [404, 20404],
        "long": [400, 21617], "service": [400, 21705] });
    assert_eq!(told["refused"], refused);
    assert_eq!(told["silent"], json!("delivered"));
    assert_eq!(told["denied"], json!("Authenticate"));
    until("the statuses are called back", || callback.requests().len() == 2);
    for ((head, body), status) in callback.requests().iter().zip(["sent", "delivered"]) {
        assert!(body.contains(&format!("MessageStatus={status}&")), "{body}");
        let signature = head.lines().find_map(|line| line.strip_prefix("x-twilio-signature: ")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/twilio_validate.py");
        let validated = std::process::Command::new(peers_rig::python()).args([script, token, &address, body, signature]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&validated.stdout).trim(), "True", "{}", String::from_utf8_lossy(&validated.stderr));
    }
    for (method, path, status, code) in
        [("GET", "/2010-04-01/Accounts/x/Calls.json", 404, 20404), ("DELETE", "/2010-04-01/Accounts/x/Messages.json", 405, 20004)]
    {
        let answer = ask(&gateway, method, path, &[], "");
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (status, Some(code)), "{}", answer.text);
    }
    assert_eq!(accepted(&gateway), 3);
    assert!(gateway.terminate().success());
}

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let document = format!("http://{}/openapi.json", gateway.http.unwrap());
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let bearer = format!("Authorization: Bearer {KEY}");
    let mut arguments = vec!["-m", "schemathesis.cli", "run", &document, "-H", &bearer, "--max-examples", "20", "-c", checks, "--no-color"];
    // By chance too few of its requests are ones that HTTP can carry: that says nothing of us.
    arguments.extend(["--suppress-health-check=filter_too_much", "--seed", "7"]);
    let out = std::process::Command::new(peers_rig::python()).args(arguments).current_dir(directory.path()).output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(gateway.terminate().success());
}

#[test]
fn the_document_and_its_page_need_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let document = get(&gateway, "/openapi.json").json();
    assert!(document["paths"]["/v1/messages"]["post"]["requestBody"].is_object(), "{document}");
    assert!(document["components"]["schemas"]["Submission"]["properties"]["recipients"].is_object());
    let page = get(&gateway, "/docs");
    assert!(page.status == 200 && page.text.contains("<code>/v1/messages</code>") && !page.text.contains("<script"));
}
