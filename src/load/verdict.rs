//! Whether a load or a benchmark went well: reads finished reports, says in words what didn't, and leaves exit codes to `cli`.

use serde_json::Value;

/// What went wrong in a load, from its report; empty if nothing did. `receipts`: every accepted message was to be reported while we waited.
///
/// Refusals alone are no failure: they are answers, counted by status.
pub fn of_load(report: &Value, receipts: bool) -> Vec<String> {
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    if number("sent") == 0 {
        let why = report["bind_problem"].as_str().unwrap_or("no session was bound in time");
        return vec![format!("nothing could be sent: {why}")];
    }
    let mut problems = Vec::new();
    let mut count = |count: u64, what: &str| {
        if count > 0 {
            problems.push(format!("{count} {what}"));
        }
    };
    count(number("unanswered"), "not answered");
    if receipts && !report["interrupted"].as_bool().unwrap_or(false) {
        count(number("unreported"), "accepted and not reported (lost)");
    }
    count(number("duplicate_receipts"), "receipts came twice");
    count(number("mismatched_receipts"), "receipts were for another message");
    if let Some(carrier) = report.get("carrier") {
        let reached = carrier["reached"].as_u64().unwrap_or(0);
        if receipts {
            count(number("accepted").saturating_sub(reached), "accepted and not seen by the carrier");
        }
        count(carrier["duplicates"].as_u64().unwrap_or(0), "reached the carrier more than once");
    }
    problems
}

/// What went wrong in a benchmark, from its result; empty if nothing did. `receipts` as in [`of_load`].
pub fn of_bench(result: &Value, receipts: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for subject in ["gateway", "relay"] {
        let Some(measured) = result.get(subject) else { continue };
        let mut found = of_load(&measured["load"], receipts);
        for (key, what) in
            [("repeated", "reached the carrier more than once"), ("accepted_not_reached", "accepted and never at the carrier")]
        {
            let count = measured[key].as_u64().unwrap_or(0);
            if count > 0 && (receipts || key == "repeated") {
                found.push(format!("{count} {what}"));
            }
        }
        if !found.is_empty() {
            problems.push(format!("{subject}: {}", found.join(", ")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_load_is_well_only_if_all_was_answered_and_reported_once() {
        let good = json!({ "sent": 10, "accepted": 10, "reported": 10, "unreported": 0, "refused": { "88": 3 } });
        assert!(of_load(&good, true).is_empty());
        let mut lost = good.clone();
        lost["unreported"] = json!(2);
        assert_eq!(of_load(&lost, true), ["2 accepted and not reported (lost)"]);
        assert!(of_load(&lost, false).is_empty(), "nobody waited");
        lost["interrupted"] = json!(true);
        assert!(of_load(&lost, true).is_empty(), "the user had enough");
        lost["duplicate_receipts"] = json!(1);
        lost["unanswered"] = json!(4);
        assert_eq!(of_load(&lost, true), ["4 not answered", "1 receipts came twice"]);
        let mut short = good.clone();
        short["carrier"] = json!({ "reached": 9, "duplicates": 1 });
        assert_eq!(of_load(&short, true).len(), 2);
    }

    #[test]
    fn a_load_that_sent_nothing_says_why() {
        let report = json!({ "sent": 0, "bind_problem": "no connection" });
        assert_eq!(of_load(&report, false), ["nothing could be sent: no connection"]);
    }

    #[test]
    fn a_benchmark_is_judged_by_each_of_its_subjects() {
        let load = json!({ "sent": 10, "accepted": 10, "unreported": 1 });
        let result = json!({ "gateway": { "load": load, "repeated": 2, "accepted_not_reached": 0 }, "relay": { "load": { "sent": 10 } } });
        assert_eq!(of_bench(&result, true), ["gateway: 1 accepted and not reported (lost), 2 reached the carrier more than once"]);
        assert_eq!(of_bench(&result, false), ["gateway: 2 reached the carrier more than once"]);
    }
}
