//! A real Prometheus reads a running `hongyan demo`: the page has every declared metric, and every query of every dashboard and rule answers with data.

use super::crash_rig::BINARY;
use super::watch_dashboards::{dashboards, panels, queries};
use super::watch_rules::file;
use hongyan::telemetry::METRICS;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long data may take to be there: receipts need two seconds, maturing ten, and rates two samples.
const PATIENCE: Duration = Duration::from_secs(60);

/// What rightly has no data while all is well: alarms, and phrases that nobody has written yet.
const SILENT_METRICS: [&str; 1] = ["hongyan_phrase_hits_total"];
const SILENT_QUERIES: [&str; 1] = ["ALERTS{alertname=~\"Hongyan.*\"}"];

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines until one has `mark`; gives what follows it up to a blank. The rest is read and thrown away, so that nobody is held up.
fn word_after(from: impl Read + Send + 'static, mark: &str) -> String {
    let mut lines = BufReader::new(from).lines();
    let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains(mark)).unwrap_or_else(|| panic!("no line with {mark}"));
    std::thread::spawn(move || lines.for_each(drop));
    let after = line.split_once(mark).unwrap().1;
    after.split_ascii_whitespace().next().unwrap().to_owned()
}

fn demo() -> (Running, String) {
    let ports = ["--port", "0", "--metrics-port", "0", "--admin-port", "0", "--http-port", "0"];
    let started = Command::new(BINARY).arg("demo").args(ports).args(["--rate", "50"]).stdout(Stdio::piped()).spawn();
    let mut demo = started.unwrap();
    let page = word_after(demo.stdout.take().unwrap(), "  metrics   ");
    (Running(demo), page)
}

/// A Prometheus with the configuration that we ship, but for the target and a second for each interval.
fn prometheus(directory: &std::path::Path, target: &str) -> (Running, String) {
    let shipped = std::fs::read_to_string(file("prometheus/prometheus.yml")).unwrap();
    let changed = shipped.replace("127.0.0.1:9464", target).replace("_interval: 5s", "_interval: 1s");
    assert!(changed.contains(target) && changed.contains("scrape_interval: 1s"));
    std::fs::write(directory.join("prometheus.yml"), changed).unwrap();
    std::fs::copy(file("prometheus/rules.yml"), directory.join("rules.yml")).unwrap();
    let started = Command::new("prometheus")
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .stderr(Stdio::piped())
        .spawn();
    let mut server = started.unwrap_or_else(|error| panic!("prometheus ({error}): run tests/setup.sh"));
    let address = word_after(server.stderr.take().unwrap(), "msg=\"Listening on\" address=");
    (Running(server), format!("http://{address}"))
}

fn get(url: &str, query: Option<&str>) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(url);
    if let Some(query) = query {
        request = request.query("query", query);
    }
    let text = request.call().and_then(|mut answer| answer.body_mut().read_to_string()).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

/// Whether an expression answers with a number at least (0/0 is none).
///
/// # Panics
/// If it can't be read or evaluated.
fn has_data(server: &str, expression: &str) -> bool {
    let answer = get(&format!("{server}/api/v1/query"), Some(expression)).unwrap();
    assert_eq!(answer["status"], "success", "{expression}\n{answer}");
    answer["data"]["result"].as_array().is_some_and(|found| found.iter().any(|series| series["value"][1] != "NaN"))
}

/// The queries as Grafana would send them with everything chosen.
fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "5s")
        .replace("\"$instance\"", "\".*\"")
        .replace("\"$carrier\"", "\".*\"")
        .replace("\"$account\"", "\".*\"")
}

/// The series that an expression reads, without ranges and offsets: alarms are silent while all is well, what they look at is not.
fn selectors(expression: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let word = &rest[start..];
        let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        let labels = after.strip_prefix('{').and_then(|labels| labels.find('}')).map_or("", |end| &after[..end + 2]);
        if !labels.is_empty() || name.contains("hongyan") || name.starts_with("process_") {
            found.push(format!("{name}{labels}"));
        }
        rest = &after[labels.len()..];
    }
    found
}

#[test]
fn the_selectors_of_an_expression_are_found() {
    let found = selectors("sum by (le) (rate(hongyan_a_bucket{x=\"y\"}[5m] offset 1m)) > on (le) up{job=\"z\"} and c:hongyan_b:d == 0");
    assert_eq!(found, ["hongyan_a_bucket{x=\"y\"}", "up{job=\"z\"}", "c:hongyan_b:d"]);
}

/// Holds the page against the table, and lets promtool read it.
fn look_at_page(page: &str) {
    let names: HashSet<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !names.contains(name)).collect();
    assert_eq!(missing, SILENT_METRICS);
    assert_eq!(names.len(), METRICS.len() - SILENT_METRICS.len(), "something is exported that isn't declared");
    let mut checker = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    checker.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let done = checker.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn every_metric_is_on_the_page_and_every_query_of_dashboards_and_rules_answers_with_data() {
    let directory = tempfile::tempdir().unwrap();
    let (_demo, page) = demo();
    let target = page.trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
    let (_prometheus, server) = prometheus(directory.path(), &target);

    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    for (path, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for query in queries(panel).filter(|query| !SILENT_QUERIES.contains(query)) {
                asked.insert(filled_in(query), format!("{}: {}", path.file_name().unwrap().display(), panel["title"]));
            }
        }
    }
    assert!(asked.len() > 60, "{}", asked.len());
    let end = Instant::now() + PATIENCE;
    let rules = loop {
        let answer = get(&format!("{server}/api/v1/rules"), None).unwrap_or_default();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules: Vec<Value> = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect();
        if rules.len() > 20 && rules.iter().all(|rule| rule["health"] == "ok") {
            break rules;
        }
        assert!(Instant::now() < end, "{answer}");
        std::thread::sleep(Duration::from_millis(200));
    };
    for rule in &rules {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        if rule["type"] == "recording" {
            asked.insert(name.to_owned(), "a recording rule".to_owned());
        }
        for selector in selectors(query).into_iter().filter(|selector| !selector.starts_with("ALERTS{")) {
            asked.insert(selector, format!("rule {name}"));
        }
    }
    while !asked.is_empty() {
        asked.retain(|query, _| !has_data(&server, query));
        assert!(Instant::now() < end || asked.is_empty(), "no data for {asked:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    // No alarm was raised meanwhile.
    assert!(!has_data(&server, "ALERTS{alertstate=\"firing\"}"));
    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
    look_at_page(&agent.get(&page).call().unwrap().body_mut().read_to_string().unwrap());
}
