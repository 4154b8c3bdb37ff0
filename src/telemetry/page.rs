//! The text form (0.0.4) of what the recorder can't hold: histograms that were counted elsewhere, counters in seconds, and labels that come and go. A
//! family is written from the last snapshot, so what is in no snapshot any more is on no page any more.

use super::histogram::TimeHistogram;
use super::table::{Kind, Metric};
use std::fmt::{Display, Write};

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// One metric on it, to be followed by its samples.
pub(super) struct Family<'p> {
    text: &'p mut String,
    metric: &'static Metric,
}

impl Page {
    /// Begins a metric.
    pub fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {} {}", metric.name, metric.help));
        self.line(format_args!("# TYPE {} {kind}", metric.name));
        Family { text: &mut self.text, metric }
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.text, "{line}").expect("a string takes what is written");
    }

    /// The whole page.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// One value, under these values of the labels in the order of the table.
    pub fn sample(&mut self, labels: &[&str], value: f64) {
        self.write("", labels, None, value);
    }

    /// The same where there may be none.
    pub fn maybe(&mut self, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.sample(labels, value);
        }
    }

    /// A histogram in seconds.
    pub fn times(&mut self, labels: &[&str], times: &TimeHistogram) {
        for (bound, count) in times.buckets() {
            self.write("_bucket", labels, Some(&bound), count);
        }
        self.write("_bucket", labels, Some(&"+Inf"), times.count());
        self.write("_sum", labels, None, times.sum_us() as f64 / 1e6);
        self.write("_count", labels, None, times.count());
    }

    fn write(&mut self, suffix: &str, labels: &[&str], bound: Option<&dyn Display>, value: impl Display) {
        assert_eq!(self.metric.labels.len(), labels.len(), "{} takes the labels of its declaration", self.metric.name);
        let mut shown: Vec<String> =
            self.metric.labels.iter().zip(labels).map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        shown.extend(bound.map(|bound| format!("le=\"{bound}\"")));
        let labels = if shown.is_empty() { String::new() } else { format!("{{{}}}", shown.join(",")) };
        writeln!(self.text, "{}{suffix}{labels} {value}", self.metric.name).expect("a string takes what is written");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINGS: Metric = Metric { name: "things_total", kind: Kind::Counter, labels: &["of"], help: "Things" };
    const TOOK: Metric = Metric { name: "took_seconds", kind: Kind::Histogram, labels: &[], help: "Time" };

    #[test]
    fn labels_are_escaped_and_buckets_add_up() {
        let mut page = Page::default();
        page.family(&THINGS).sample(&["a \"b\"\\\nc"], 1.5);
        let mut times = TimeHistogram::default();
        times.record_us(70);
        page.family(&TOOK).times(&[], &times);
        let text = page.into_text();
        assert!(
            text.starts_with("# HELP things_total Things\n# TYPE things_total counter\nthings_total{of=\"a \\\"b\\\"\\\\\\nc\"} 1.5\n")
        );
        for line in ["took_seconds_bucket{le=\"0.00005\"} 0", "took_seconds_bucket{le=\"0.0001\"} 1", "took_seconds_bucket{le=\"+Inf\"} 1"]
        {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        assert!(text.ends_with("took_seconds_sum 0.00007\ntook_seconds_count 1\n"));
    }
}
