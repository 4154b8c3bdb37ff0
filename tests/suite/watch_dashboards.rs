//! The dashboards: in Grafana's published schema, with a place, a unit and a data source that can be chosen, and of metrics that exist.

use super::peers_rig::run;
use super::watch_rules::file;
use hongyan::telemetry::METRICS;
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;

/// Kinds of panels that are used; rows and texts ask nothing.
const ASKING: [&str; 4] = ["timeseries", "stat", "table", "state-timeline"];

pub fn dashboards() -> Vec<(PathBuf, Value)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(file("grafana/dashboards")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())).collect()
}

pub fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// The queries of a panel.
pub fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().map(|target| target["expr"].as_str().unwrap())
}

/// Names of metrics in an expression that begin with one of ours; names of recording rules have colons.
pub fn metrics_in(expression: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(|c| !is_name(c)).filter(|word| ["hongyan_", "process_"].iter().any(|start| word.starts_with(start)));
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_dashboards_are_what_grafanas_published_schema_says() {
    let paths: Vec<String> = dashboards().iter().map(|(path, _)| path.display().to_string()).collect();
    let said = run("grafana_schema.py", &paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(said["deviations"], serde_json::json!([]));
    assert_eq!(said["read"], 5);
}

#[test]
fn every_panel_has_a_place_of_its_own_a_unit_and_the_data_source_that_was_chosen() {
    let mut uids = HashSet::new();
    for (path, dashboard) in dashboards() {
        let name = path.display();
        assert!(dashboard["schemaVersion"].as_u64() >= Some(36), "{name}");
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{name}: its uid is taken");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&"datasource".into(), &"datasource".into()), "{name}");
        let (mut ids, mut taken) = (HashSet::new(), HashSet::new());
        for panel in panels(&dashboard) {
            let title = format!("{name}: {}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{title}: outside of the grid");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{title}: lies over another");
            }
            let kind = panel["type"].as_str().unwrap();
            if ["row", "text"].contains(&kind) {
                continue;
            }
            assert!(ASKING.contains(&kind), "{title}: {kind}");
            assert!(!panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(), "{title}");
            for place in std::iter::once(panel).chain(panel["targets"].as_array().unwrap()) {
                assert_eq!(place["datasource"], serde_json::json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
            }
            let mut refs = HashSet::new();
            assert!(panel["targets"].as_array().unwrap().iter().all(|target| refs.insert(target["refId"].as_str().unwrap())), "{title}");
            assert!(queries(panel).count() > 0 && queries(panel).all(|query| !query.is_empty()), "{title}");
        }
    }
}

#[test]
fn every_metric_in_dashboards_and_rules_is_declared() {
    let rules = std::fs::read_to_string(file("prometheus/rules.yml")).unwrap();
    let mut places: Vec<(String, String)> = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| {
            ("rules.yml".to_owned(), line.replace("hongyan_targets", "").replace("hongyan_recorded", "").replace("hongyan_alarms", ""))
        })
        .collect();
    for (path, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            places.extend(queries(panel).map(|query| (format!("{}: {}", path.display(), panel["title"]), query.to_owned())));
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            places.extend(variable["query"]["query"].as_str().map(|query| (path.display().to_string(), query.to_owned())));
        }
    }
    let mut found = 0;
    for (place, text) in places {
        for name in metrics_in(&text) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
            assert!(METRICS.iter().any(|metric| metric.name == name || metric.name == base), "{place}: {name} is no metric of ours");
            found += 1;
        }
    }
    assert!(found > 100, "{found}");
}
