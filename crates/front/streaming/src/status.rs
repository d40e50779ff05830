//! What a client is told at the end of a remote command, on the error stream.
//!
//! Since version 4 that is a Kubernetes `Status` as JSON, exactly one; before, text, and only about failures. A non-zero
//! exit code is a cause with the reason `ExitCode` and the number as its message.

use serde_json::json;

use crate::protocol::StatusFormat;

/// How a remote command ended, for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should.
    Success,
    /// With this code, which is not zero.
    ExitCode(i32),
    /// Not at all; the words are for people.
    Failed(String),
}

impl Verdict {
    /// The verdict on a command's exit code.
    pub(crate) fn of_code(code: i32) -> Self {
        if code == 0 { Self::Success } else { Self::ExitCode(code) }
    }

    /// The bytes for the error stream; nothing where saying nothing means success.
    pub(crate) fn render(&self, format: StatusFormat) -> Vec<u8> {
        match format {
            StatusFormat::Text => self.text().into_bytes(),
            StatusFormat::Json => self.json().to_string().into_bytes(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Success => String::new(),
            Self::ExitCode(code) => format!("command terminated with exit code {code}"),
            Self::Failed(message) => message.clone(),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Success => json!({ "metadata": {}, "status": "Success" }),
            Self::ExitCode(code) => json!({
                "metadata": {},
                "status": "Failure",
                "message": self.text(),
                "reason": "NonZeroExitCode",
                "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
            }),
            Self::Failed(message) => json!({
                "metadata": {},
                "status": "Failure",
                "message": message,
                "reason": "InternalError",
                "details": { "causes": [{ "message": message }] },
                "code": 500,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_in_form_only() {
        let parsed = |verdict: Verdict| {
            serde_json::from_slice::<serde_json::Value>(&verdict.render(StatusFormat::Json)).unwrap()
        };
        let text = |verdict: Verdict| String::from_utf8(verdict.render(StatusFormat::Text)).unwrap();
        assert_eq!(parsed(Verdict::of_code(0))["status"], "Success");
        assert_eq!(text(Verdict::of_code(0)), "");
        let status = parsed(Verdict::of_code(137));
        assert_eq!((&status["status"], &status["reason"]), (&json!("Failure"), &json!("NonZeroExitCode")));
        assert_eq!(status["details"]["causes"], json!([{ "reason": "ExitCode", "message": "137" }]));
        assert_eq!(text(Verdict::of_code(3)), "command terminated with exit code 3");
        let status = parsed(Verdict::Failed("no \"such\"\nthing".to_owned()));
        assert_eq!((&status["reason"], &status["code"]), (&json!("InternalError"), &json!(500)));
        assert_eq!(status["message"], "no \"such\"\nthing");
        assert_eq!(text(Verdict::Failed("no".to_owned())), "no");
    }
}
