//! Credential helpers: `docker-credential-<name> get`, by the protocol of docker-credential-helpers.
//!
//! The registry's host goes to the helper's standard input; the answer is a JSON object on its standard output. The
//! helper is killed when its time is up.

use std::process::Stdio;
use std::time::Duration;

use crio_types::Credentials;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::AuthError;
use super::file::TOKEN_USER;

const MAX_ANSWER_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// What the helper `name` knows for the registry `domain`; `None` when it knows nothing.
pub(super) async fn get(name: &str, domain: &str, deadline: Duration) -> Result<Option<Credentials>, AuthError> {
    let failed = |reason: String| AuthError::Helper { name: name.to_owned(), reason };
    if name.contains(['/', '\0']) || name.is_empty() {
        return Err(failed("its name is not a file name".to_owned()));
    }
    let child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let (succeeded, answer) = tokio::time::timeout(deadline, converse(child, domain))
        .await
        .map_err(|_| failed(format!("it did not answer within {} s", deadline.as_secs())))?
        .map_err(|error| failed(format!("talking to it failed: {error}")))?;
    interpret(succeeded, &answer).map_err(failed)
}

async fn converse(mut child: Child, domain: &str) -> std::io::Result<(bool, Vec<u8>)> {
    if let Some(mut input) = child.stdin.take() {
        // A helper that answers without reading closes the pipe early; its answer counts all the same.
        match input.write_all(domain.as_bytes()).await {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    }
    Ok((child.wait().await?.success(), answer))
}

/// The answer as credentials. A helper that has nothing for the host says so in words and fails.
fn interpret(succeeded: bool, answer: &[u8]) -> Result<Option<Credentials>, String> {
    if !succeeded {
        let text = String::from_utf8_lossy(answer);
        if text.contains("credentials not found") {
            return Ok(None);
        }
        return Err("it failed".to_owned());
    }
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| "its answer is not the expected JSON".to_owned())?;
    if answer.username.is_empty() && answer.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(if answer.username == TOKEN_USER {
        Credentials::IdentityToken(answer.secret)
    } else {
        Credentials::Basic { username: answer.username, password: answer.secret }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_answers() {
        let basic = Credentials::Basic { username: "u".into(), password: "p".into() };
        let cases = [
            (true, r#"{"ServerURL":"x","Username":"u","Secret":"p"}"#, Ok(Some(basic))),
            (true, r#"{"Username":"<token>","Secret":"t"}"#, Ok(Some(Credentials::IdentityToken("t".into())))),
            (true, r#"{"Username":"","Secret":""}"#, Ok(None)),
            (true, "nonsense", Err(())),
            (false, "credentials not found in native keychain", Ok(None)),
            (false, "locked", Err(())),
        ];
        for (succeeded, answer, expected) in cases {
            assert_eq!(interpret(succeeded, answer.as_bytes()).map_err(|_| ()), expected, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_helper_is_a_file_name() {
        for name in ["../evil", "", "a/b"] {
            assert!(get(name, "quay.io", Duration::from_secs(1)).await.is_err(), "{name:?}");
        }
    }
}
