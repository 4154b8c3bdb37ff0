//! What is exported is what is declared, and the figures arrive where they belong.

use super::*;
use crate::model::Refusal;

/// Names, label names and types on a page.
fn declared_types(page: &str) -> Vec<(String, String)> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn every_declared_metric_is_exported_with_its_help_and_nothing_else_is() {
    let telemetry = Telemetry::new(&["acme"], &["north"]);
    telemetry.journal_committed(1, 10, 100, 90);
    // A phrase is told from its first hit on.
    let phrases = vec![PhraseFigure { of: "account acme".into(), phrase: "loan".into(), hits: 1 }];
    telemetry.publish_engine(&Arc::new(EngineSnapshot { rules: RulesFigures { phrases, ..Default::default() }, ..Default::default() }));
    telemetry.upkeep();
    let page = telemetry.render();
    let types = declared_types(&page);
    assert_eq!(types.len(), METRICS.len(), "{types:?}");
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(types.contains(&(metric.name.to_owned(), kind.to_owned())), "{} is no {kind}: {types:?}", metric.name);
        assert!(page.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{} has no help", metric.name);
        assert!(metric.name.starts_with("hongyan_") || metric.name.starts_with("process_"), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
    }
}

#[test]
fn figures_arrive_under_the_names_of_account_carrier_and_state() {
    let telemetry = Telemetry::new(&["acme", "beta"], &["north"]);
    let mut engine = EngineSnapshot {
        accounts: vec![AccountFigures::default(); 2],
        carriers: vec![CarrierFigures::default()],
        ..EngineSnapshot::default()
    };
    engine.accounts[1].states[State::Delivered as usize] = 7;
    engine.accounts[1].outbox = 3;
    engine.carriers[0].lanes[Class::Marketing as usize] = 5;
    engine.carriers[0].outcomes.throttled = 2;
    // What intake refused is part of what the links count: it must not be added once more.
    let mut acme = SessionFigures { sessions: 1, ..SessionFigures::default() };
    acme.refusals[Refusal::NoRoute as usize] = 4;
    acme.refusals[REFUSAL_CAUSES - 1] = 2;
    engine.receipts.matched = 9;
    engine.conservation = Conservation { accepted: 8, states: [0; 10] };
    engine.conservation.states[State::Delivered as usize] = 7;
    telemetry.publish_engine(&Arc::new(engine));
    let (carrier, counts) = (crate::model::CarrierId(0), BindCounts::default());
    let mut bind = BindFigures { carrier, bind: 0, state: "waiting", since_ms: 1_500, window_size: 0, window_used: 0, counts };
    bind.counts.answers.throttled = 3;
    bind.counts.response_times.record_us(70);
    telemetry.publish_links(LinkSnapshot {
        accounts: vec![acme, SessionFigures { sessions: 2, window_size: 20, ..SessionFigures::default() }],
        carriers: vec![WindowFigures { binds_up: 1, window_size: 10, window_used: 6 }],
        binds: vec![bind],
        bind_refusals: [0, 5, 0, 0, 0, 0],
    });
    let page = telemetry.render();
    for line in [
        "hongyan_messages{account=\"beta\",state=\"delivered\"} 7",
        "hongyan_messages{account=\"acme\",state=\"delivered\"} 0",
        "hongyan_outbox{account=\"beta\"} 3",
        "hongyan_lane{carrier=\"north\",class=\"marketing\"} 5",
        "hongyan_carrier_outcomes_total{carrier=\"north\",outcome=\"throttled\"} 2",
        "hongyan_refusals_total{account=\"acme\",cause=\"no_route\"} 4",
        "hongyan_refusals_total{account=\"acme\",cause=\"malformed\"} 2",
        "hongyan_refusals_total{account=\"beta\",cause=\"no_route\"} 0",
        "hongyan_binds_refused_total{cause=\"wrong_password\"} 5",
        "hongyan_receipts_total{result=\"matched\"} 9",
        "hongyan_sessions{account=\"beta\"} 2",
        "hongyan_window_used{carrier=\"north\"} 6",
        "hongyan_conservation_difference 1",
        "hongyan_session_window_size{account=\"beta\"} 20",
        "hongyan_bind_state{carrier=\"north\",bind=\"0\",state=\"waiting\"} 1",
        "hongyan_bind_state{carrier=\"north\",bind=\"0\",state=\"up\"} 0",
        "hongyan_bind_since_seconds{carrier=\"north\",bind=\"0\"} 1.5",
        "hongyan_bind_answers_total{carrier=\"north\",bind=\"0\",answer=\"throttled\"} 3",
        "hongyan_bind_response_seconds_bucket{carrier=\"north\",bind=\"0\",le=\"0.0001\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "no line {line} in\n{page}");
    }
}

#[test]
fn two_gateways_in_one_process_count_apart() {
    let (first, second) = (Telemetry::new(&["acme"], &[]), Telemetry::new(&["acme"], &[]));
    first.journal_committed(3, 100, 1_000, 900);
    assert!(first.render().contains("hongyan_journal_commits_total 1"));
    assert!(second.render().contains("hongyan_journal_commits_total 0"));
}

#[tokio::test]
async fn the_endpoint_tells_its_real_port_and_serves_the_page() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let endpoint = Endpoint::bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = endpoint.address();
    assert_ne!(address.port(), 0);
    let task = tokio::spawn(endpoint.serve(std::sync::Arc::new(Telemetry::new(&["acme"], &["north"]))));
    for (request, status, piece) in [
        ("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", "200", "process_resident_memory_bytes"),
        ("GET /healthz HTTP/1.1\r\n\r\n", "200", "ok"),
        ("GET / HTTP/1.1\r\n\r\n", "404", "/metrics"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405", "GET"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(piece), "{request}{answer}");
    }
    task.abort();
}
