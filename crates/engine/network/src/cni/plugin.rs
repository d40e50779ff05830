//! Running one plugin (CNI specification, section 2): parameters in the environment, configuration on standard input,
//! result or error on standard output.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crio_types::{Classified, ErrorKind};
use serde::Deserialize;
use tokio::time::Instant;

use super::INTERFACE;
use super::result::ResultError;
use super::version::SpecVersion;
use crate::process::{self, ProcessError, Program};

/// How much of a plugin's own words goes into an error.
const MESSAGE_CHARS_MAX: usize = 2048;
/// The error code with which a plugin asks to be called again later.
const CODE_TRY_AGAIN_LATER: u64 = 11;

/// What a plugin is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Attach.
    Add,
    /// Detach.
    Del,
    /// Verify an attachment.
    Check,
    /// Say whether it can attach.
    Status,
    /// Release what no valid attachment holds.
    Gc,
    /// Say which versions it speaks.
    Version,
}

impl Verb {
    /// The value of `CNI_COMMAND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::Gc => "GC",
            Self::Version => "VERSION",
        }
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A plugin did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No executable of that name in any plugin directory.
    #[error("plugin {program} is not installed in {}", directories.join(", "))]
    NotInstalled {
        /// Its file name.
        program: String,
        /// Where it was looked for.
        directories: Vec<String>,
    },
    /// It could not be run to its end.
    #[error("plugin {program} could not {verb}")]
    Process {
        /// Its file name.
        program: String,
        /// What it was asked.
        verb: Verb,
        /// What went wrong.
        source: ProcessError,
    },
    /// It answered an error.
    #[error("plugin {program} failed to {verb}: {message} (code {code})")]
    Failed {
        /// Its file name.
        program: String,
        /// What it was asked.
        verb: Verb,
        /// CNI error code.
        code: u64,
        /// Its message and details.
        message: String,
    },
    /// It ended badly without saying why in the way plugins do.
    #[error("plugin {program} failed to {verb} with {status}: {output}")]
    Died {
        /// Its file name.
        program: String,
        /// What it was asked.
        verb: Verb,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// It said it succeeded but what it answered makes no sense.
    #[error("plugin {program} answered {verb} with an invalid result")]
    Result {
        /// Its file name.
        program: String,
        /// What it was asked.
        verb: Verb,
        /// What is wrong.
        source: ResultError,
    },
}

impl Classified for PluginError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotInstalled { .. } | Self::Failed { code: CODE_TRY_AGAIN_LATER, .. } => ErrorKind::Unavailable,
            Self::Process { source: ProcessError::TimedOut { .. }, .. } => ErrorKind::DeadlineExceeded,
            _ => ErrorKind::Internal,
        }
    }
}

/// One call of a plugin. Empty fields are left out of the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) verb: Verb,
    pub(crate) program: &'a str,
    /// Where plugins are, also for those the plugin itself calls.
    pub(crate) directories: &'a [PathBuf],
    pub(crate) container_id: &'a str,
    pub(crate) netns: &'a str,
    pub(crate) arguments: &'a str,
    /// The configuration, on standard input.
    pub(crate) input: &'a [u8],
}

/// Runs a plugin and gives back what it wrote.
pub(crate) async fn call(call: &Call<'_>, deadline: Instant) -> Result<Vec<u8>, PluginError> {
    let file = find(call.program, call.directories)?;
    let path = search_path(call.directories);
    let mut environment = vec![("CNI_COMMAND", call.verb.as_str()), ("CNI_PATH", &path)];
    if !call.container_id.is_empty() {
        environment.push(("CNI_CONTAINERID", call.container_id));
        environment.push(("CNI_IFNAME", INTERFACE));
        environment.push(("CNI_NETNS", call.netns));
        environment.push(("CNI_ARGS", call.arguments));
    }
    let program = Program { path: &file, arguments: &[], environment: &environment, input: call.input };
    let output = process::run(&program, deadline).await.map_err(|source| PluginError::Process {
        program: call.program.to_owned(),
        verb: call.verb,
        source,
    })?;
    if !output.stderr.is_empty() {
        tracing::debug!(plugin = call.program, verb = %call.verb, stderr = output.stderr, "network plugin wrote to its standard error");
    }
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failure(call, &output))
}

/// Which versions the plugin speaks.
pub(crate) async fn versions(
    program: &str,
    directories: &[PathBuf],
    deadline: Instant,
) -> Result<BTreeSet<SpecVersion>, PluginError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "supportedVersions", default)]
        supported: Vec<String>,
    }
    let input = format!(r#"{{"cniVersion":"{}"}}"#, SpecVersion::WITH_STATUS);
    let request = Call {
        verb: Verb::Version,
        program,
        directories,
        container_id: "",
        netns: "",
        arguments: "",
        input: input.as_bytes(),
    };
    let output = call(&request, deadline).await?;
    let answer: Answer = serde_json::from_slice(&output).map_err(|source| PluginError::Result {
        program: program.to_owned(),
        verb: Verb::Version,
        source: ResultError::Json { source },
    })?;
    if answer.supported.is_empty() {
        return Ok(BTreeSet::from([SpecVersion::OLDEST]));
    }
    Ok(answer.supported.iter().filter_map(|text| SpecVersion::parse(text)).collect())
}

/// The plugin's file: the first executable of that name.
pub(crate) fn find(program: &str, directories: &[PathBuf]) -> Result<PathBuf, PluginError> {
    directories.iter().map(|directory| directory.join(program)).find(|file| is_executable(file)).ok_or_else(|| {
        PluginError::NotInstalled {
            program: program.to_owned(),
            directories: directories.iter().map(|directory| directory.display().to_string()).collect(),
        }
    })
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn search_path(directories: &[PathBuf]) -> String {
    let directories: Vec<String> = directories.iter().map(|directory| directory.display().to_string()).collect();
    directories.join(":")
}

/// What a plugin that exited badly meant.
fn failure(call: &Call<'_>, output: &process::Output) -> PluginError {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        code: u64,
        #[serde(default)]
        msg: String,
        #[serde(default)]
        details: String,
    }
    match serde_json::from_slice::<Answer>(&output.stdout) {
        Ok(answer) if answer.code != 0 || !answer.msg.is_empty() => PluginError::Failed {
            program: call.program.to_owned(),
            verb: call.verb,
            code: answer.code,
            message: match (answer.msg.is_empty(), answer.details.is_empty()) {
                (_, true) => shortened(&answer.msg),
                (true, false) => shortened(&answer.details),
                (false, false) => shortened(&format!("{}; {}", answer.msg, answer.details)),
            },
        },
        _ => PluginError::Died {
            program: call.program.to_owned(),
            verb: call.verb,
            status: output.status,
            output: if output.stderr.is_empty() {
                shortened(&String::from_utf8_lossy(&output.stdout))
            } else {
                shortened(&output.stderr)
            },
        },
    }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}
