//! What critest says about a run: the JSON that its test framework, Ginkgo, writes.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// States of a spec that ran to its end.
const PASSED: &str = "passed";
const SKIPPED: &str = "skipped";
/// Nodes that are specs; others prepare the suite and count only when they fail.
const SPEC: &str = "It";

/// One run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Specs that passed, at the first attempt or a later one.
    pub passed: Vec<Spec>,
    /// Specs, and preparations, that did not.
    pub failed: Vec<Spec>,
    /// Specs that skipped themselves, with their reasons. Those that were not selected are not here.
    pub skipped: Vec<Spec>,
    /// How long the suite took.
    pub time: Duration,
}

/// One spec.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// The whole name.
    pub name: String,
    /// How often it was tried.
    pub attempts: u64,
    /// How long it took.
    pub time: Duration,
    /// Why it failed or skipped itself.
    pub message: String,
    /// What it logged, for one that failed.
    pub output: String,
}

impl Report {
    /// Reads a report file.
    ///
    /// # Errors
    /// It is no such file.
    pub(super) fn parse(json: &[u8]) -> Result<Self> {
        let suites: Vec<SuiteDto> = serde_json::from_slice(json).context("critest's report is in another form")?;
        let mut report = Self::default();
        for suite in suites {
            report.time += Duration::from_nanos(suite.run_time);
            for spec in suite.spec_reports.unwrap_or_default() {
                report.add(spec);
            }
        }
        Ok(report)
    }

    fn add(&mut self, dto: SpecDto) {
        let state = dto.state.clone();
        let is_spec = dto.leaf_node_type == SPEC;
        let spec = dto.spec();
        match state.as_str() {
            PASSED if is_spec => self.passed.push(spec),
            PASSED => {}
            // The framework calls skipped what was not selected, too; only a spec gives a reason.
            SKIPPED if spec.message.is_empty() => {}
            SKIPPED => self.skipped.push(spec),
            "pending" => {}
            _ => self.failed.push(spec),
        }
    }

    /// Specs that needed more than one attempt.
    #[must_use]
    pub fn flaky(&self) -> Vec<&Spec> {
        self.passed.iter().filter(|spec| spec.attempts > 1).collect()
    }

    /// The spec that took longest.
    #[must_use]
    pub fn slowest(&self) -> Option<&Spec> {
        self.passed.iter().chain(&self.failed).max_by_key(|spec| spec.time)
    }
}

impl fmt::Display for Report {
    /// One line: the counts and the time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, time } = self;
        let (passed, failed, skipped) = (passed.len(), failed.len(), skipped.len());
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped in {:.1} s", time.as_secs_f64())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SuiteDto {
    run_time: u64,
    spec_reports: Option<Vec<SpecDto>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SpecDto {
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    run_time: u64,
    num_attempts: u64,
    failure: Option<FailureDto>,
    #[serde(default)]
    captured_ginkgo_writer_output: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailureDto {
    message: String,
    #[serde(default)]
    forwarded_panic: String,
    location: LocationDto,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LocationDto {
    file_name: String,
    line_number: u64,
}

impl SpecDto {
    fn spec(self) -> Spec {
        let mut words = self.container_hierarchy_texts.unwrap_or_default();
        let text = if self.leaf_node_text.is_empty() { self.leaf_node_type } else { self.leaf_node_text };
        words.push(text);
        let is_failure = ![PASSED, SKIPPED].contains(&self.state.as_str());
        let message = match self.failure {
            Some(FailureDto { message, forwarded_panic, location }) if is_failure => {
                let file = location.file_name.rsplit('/').next().unwrap_or_default().to_owned();
                format!("{}: {message}{forwarded_panic} ({file}:{})", self.state, location.line_number)
            }
            Some(FailureDto { message, .. }) => message,
            None if is_failure => self.state,
            None => String::new(),
        };
        let output = if is_failure { self.captured_ginkgo_writer_output } else { String::new() };
        let time = Duration::from_nanos(self.run_time);
        Spec { name: words.join(" "), attempts: self.num_attempts, time, message, output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, state: &str, attempts: u64, message: &str) -> serde_json::Value {
        let mut spec = serde_json::json!({
            "ContainerHierarchyTexts": ["[k8s.io] Pod", "when it runs"], "LeafNodeType": kind, "LeafNodeText": "works",
            "State": state, "RunTime": 1_000_000, "NumAttempts": attempts,
        });
        if !message.is_empty() {
            spec["Failure"] =
                serde_json::json!({ "Message": message, "Location": { "FileName": "/a/pod.go", "LineNumber": 7 } });
        }
        spec
    }

    #[test]
    fn a_report_is_sorted_by_what_became_of_each_spec() {
        let specs = [
            spec("BeforeSuite", "passed", 1, ""),
            spec("It", "passed", 1, ""),
            spec("It", "passed", 2, ""),
            spec("It", "failed", 1, "expected 1"),
            spec("It", "timedout", 1, ""),
            spec("AfterSuite", "panicked", 1, "oh"),
            spec("It", "skipped", 1, "no AppArmor"),
            spec("It", "skipped", 0, ""),
        ];
        let json = serde_json::json!([{ "RunTime": 2_500_000_000_u64, "SpecReports": specs }]).to_string();
        let report = Report::parse(json.as_bytes()).unwrap();
        assert_eq!(report.to_string(), "2 passed, 3 failed, 1 skipped in 2.5 s");
        assert_eq!(report.flaky().len(), 1);
        assert_eq!(report.failed[0].message, "failed: expected 1 (pod.go:7)");
        assert_eq!(report.failed[0].name, "[k8s.io] Pod when it runs works");
        assert_eq!(
            (report.failed[1].message.as_str(), report.skipped[0].message.as_str()),
            ("timedout", "no AppArmor")
        );
        assert!(Report::parse(b"{}").is_err());
    }
}
