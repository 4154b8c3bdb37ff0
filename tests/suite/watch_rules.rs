//! What Prometheus is given: its configuration and rules are sound, every alarm fires when it must and only then, and says what to do.

use super::crash_rig::BINARY;
use std::path::PathBuf;
use std::process::Command;

pub fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).join(name)
}

/// Runs promtool; what it printed if it found nothing wrong.
fn promtool(arguments: &[&str]) -> String {
    let done = Command::new("promtool").args(arguments).output().unwrap_or_else(|error| panic!("promtool ({error}): run tests/setup.sh"));
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

#[test]
fn prometheus_takes_the_configuration_and_the_rules_and_each_alarm_fires_when_it_must_and_only_then() {
    let path = |name: &str| file("prometheus").join(name).display().to_string();
    assert!(promtool(&["check", "config", &path("prometheus.yml")]).contains("is valid"));
    assert!(promtool(&["check", "rules", &path("rules.yml")]).contains("SUCCESS"));
    assert!(promtool(&["test", "rules", &path("rules_test.yml")]).contains("SUCCESS"));
}

#[test]
fn every_command_in_a_runbook_is_one_that_the_program_knows() {
    let rules = std::fs::read_to_string(file("prometheus/rules.yml")).unwrap();
    let quoted = rules.split('`').skip(1).step_by(2).filter(|text| text.starts_with("hongyan "));
    let commands: Vec<String> = quoted
        .map(|text| text.replace("{{ $labels.carrier }}", "north").replace("{{ $labels.bind }}", "0").replace("--rate N", "--rate 9"))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        // Nobody answers there: what is understood fails with 1, what isn't with 2.
        let done =
            Command::new(BINARY).args(command.split_ascii_whitespace().skip(1)).env("HONGYAN_ADMIN", "127.0.0.1:1").output().unwrap();
        assert_ne!(done.status.code(), Some(2), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn every_alarm_is_tried_and_says_what_it_means_what_to_look_at_and_what_to_do() {
    let rules = std::fs::read_to_string(file("prometheus/rules.yml")).unwrap();
    let tried = std::fs::read_to_string(file("prometheus/rules_test.yml")).unwrap();
    let alarms: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alarms.len() >= 10, "{}", alarms.len());
    for alarm in alarms {
        let name = alarm.lines().next().unwrap();
        for piece in ["severity: ", "summary: ", "description: ", "runbook: ", "Means: ", "Look: ", "Do: "] {
            assert!(alarm.contains(piece), "{name} has no {piece}");
        }
        assert!(tried.contains(&format!("alertname=\"{name}\"")), "{name} is not tried in rules_test.yml");
    }
}
