//! Exec, Attach and PortForward: a URL for a checked request.
//!
//! What can be refused is refused here, where kubelet sees a code and not a broken connection. The session begins when the
//! client comes to the URL, and what it needs is checked again then.

use crio_cri_api::v1;
use crio_pods::{AttachRequest, ExecRequest, Wanted};
use crio_streaming::ForwardRequest;
use tonic::Request;

use super::pods;
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::DecodeError;
use crate::convert::field::all_without_nul;
use crate::status::refused;

/// The most ports of one request.
const MAX_PORTS: usize = 1000;

pub(crate) fn exec(services: &Services, request: Request<v1::ExecRequest>) -> Answer<v1::ExecResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let wanted = Wanted { stdin: request.stdin, stdout: request.stdout, stderr: request.stderr, tty: request.tty };
    check(wanted).map_err(refused)?;
    if request.cmd.is_empty() {
        return Err(refused(DecodeError::new("cmd", "is empty")));
    }
    let command = all_without_nul("cmd", request.cmd).map_err(refused)?;
    let container_id = services.pods.check_session(&request.container_id).map_err(pods)?.to_string();
    let url = services.streaming.exec(ExecRequest { container_id, command, wanted }).map_err(refused)?;
    Ok(v1::ExecResponse { url })
}

pub(crate) fn attach(services: &Services, request: Request<v1::AttachRequest>) -> Answer<v1::AttachResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let wanted = Wanted { stdin: request.stdin, stdout: request.stdout, stderr: request.stderr, tty: request.tty };
    check(wanted).map_err(refused)?;
    let container_id = services.pods.check_session(&request.container_id).map_err(pods)?.to_string();
    let url = services.streaming.attach(AttachRequest { container_id, wanted }).map_err(refused)?;
    Ok(v1::AttachResponse { url })
}

pub(crate) fn port_forward(
    services: &Services,
    request: Request<v1::PortForwardRequest>,
) -> Answer<v1::PortForwardResponse> {
    let request = request.into_inner();
    about(&request.pod_sandbox_id);
    let ports = ports(&request.port).map_err(refused)?;
    let way = services.pods.port_forward(&request.pod_sandbox_id).map_err(pods)?;
    way.check().map_err(pods)?;
    let sandbox_id = way.sandbox_id().to_string();
    let url = services.streaming.port_forward(ForwardRequest { sandbox_id, ports }).map_err(refused)?;
    Ok(v1::PortForwardResponse { url })
}

fn check(wanted: Wanted) -> Result<(), DecodeError> {
    if wanted.tty && wanted.stderr {
        return Err(DecodeError::new("stderr", "cannot be had apart from a terminal: tty is set, too"));
    }
    if !(wanted.stdin || wanted.stdout || wanted.stderr) {
        return Err(DecodeError::new("stdout", "one of stdin, stdout and stderr must be set"));
    }
    Ok(())
}

fn ports(ports: &[i32]) -> Result<Vec<u16>, DecodeError> {
    if ports.len() > MAX_PORTS {
        return Err(DecodeError::new("port", "names too many ports"));
    }
    let port = |port: &i32| {
        let valid = u16::try_from(*port).ok().filter(|port| *port != 0);
        valid.ok_or_else(|| DecodeError::new("port", format!("{port} is not between 1 and 65535")))
    };
    ports.iter().map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_must_be_wanted_and_possible() {
        let wanted = |stdin, stdout, stderr, tty| check(Wanted { stdin, stdout, stderr, tty }).is_ok();
        assert!(wanted(true, true, true, false));
        assert!(wanted(true, true, false, true));
        assert!(wanted(true, false, false, false));
        assert!(!wanted(true, true, true, true));
        assert!(!wanted(false, false, false, false));
        assert!(!wanted(false, false, false, true));
    }

    #[test]
    fn ports_are_ports() {
        assert_eq!(ports(&[]).unwrap(), [0u16; 0]);
        assert_eq!(ports(&[1, 80, 65535]).unwrap(), [1, 80, 65535]);
        for bad in [0, -1, 65536] {
            assert!(ports(&[80, bad]).is_err(), "{bad}");
        }
        assert!(ports(&vec![80; MAX_PORTS + 1]).is_err());
    }
}
