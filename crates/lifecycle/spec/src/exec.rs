//! A further process in a running container.

use crio_types::EnvVar;
use oci_spec::runtime::Process;

use crate::command::Environment;

/// The process that runs `command` in the container whose first process is `container`: same user, groups, directory,
/// capabilities, limits and environment, with `extra_env` on top. A terminal brings `TERM` when nothing sets it.
///
/// Variables of `extra_env` that no process can carry are left out.
#[must_use]
pub fn exec_process(container: &Process, command: Vec<String>, tty: bool, extra_env: &[EnvVar]) -> Process {
    let mut environment = Environment::default();
    if tty {
        environment.set("TERM", "xterm");
    }
    let inherited = Environment::parse(container.env().as_deref().unwrap_or_default());
    environment.inherit(&inherited);
    for variable in extra_env {
        // Each on its own, so that one that is refused does not take the others with it.
        if environment.extend(std::slice::from_ref(variable)).is_err() {
            continue;
        }
    }
    let mut process = container.clone();
    process.set_args(Some(command)).set_env(Some(environment.lines())).set_terminal(Some(tty)).set_console_size(None);
    process
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn only_command_terminal_and_environment_differ() {
        let mut first = Process::default();
        first
            .set_args(Some(texts(&["server"])))
            .set_env(Some(texts(&["PATH=/bin", "A=1"])))
            .set_terminal(Some(true))
            .set_cwd("/work".into())
            .set_oom_score_adj(Some(7));
        let extra = [
            EnvVar { key: "A".to_owned(), value: b"2".to_vec() },
            EnvVar { key: "B=".to_owned(), value: b"3".to_vec() },
        ];
        let process = exec_process(&first, texts(&["sh", "-c", "id"]), false, &extra);
        assert_eq!(process.args().as_deref(), Some(&texts(&["sh", "-c", "id"])[..]));
        assert_eq!(process.env().as_deref(), Some(&texts(&["PATH=/bin", "A=2"])[..]));
        assert_eq!(process.terminal(), Some(false));
        assert_eq!((process.cwd(), process.oom_score_adj()), (first.cwd(), Some(7)));
        assert_eq!(process.capabilities(), first.capabilities());
    }

    #[test]
    fn a_terminal_has_a_type() {
        let mut first = Process::default();
        first.set_env(Some(texts(&["PATH=/bin"])));
        let process = exec_process(&first, texts(&["sh"]), true, &[]);
        assert_eq!(process.env().as_deref(), Some(&texts(&["TERM=xterm", "PATH=/bin"])[..]));
        first.set_env(Some(texts(&["TERM=vt100"])));
        let process = exec_process(&first, texts(&["sh"]), true, &[]);
        assert_eq!(process.env().as_deref(), Some(&texts(&["TERM=vt100"])[..]));
    }
}
