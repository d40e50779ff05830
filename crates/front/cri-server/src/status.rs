//! The one place where an error of the layers below becomes a gRPC status.
//!
//! The code follows the error's kind, the message is its whole chain, outermost first: kubelet shows it to users, and
//! recognises some failures by how it starts.

use crio_types::{Classified, ErrorKind, chain};
use tonic::{Code, Status};

/// The longest message we send. It travels in a trailer, which clients limit to some KiB, percent-encoded.
const MAX_MESSAGE_BYTES: usize = 4096;

/// The status of a failed call.
pub(crate) fn failed<E: Classified + 'static>(error: &E) -> Status {
    Status::new(code(error.kind()), shortened(chain(error)))
}

/// The same, for an error that is passed on by value.
#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
pub(crate) fn refused(error: impl Classified + 'static) -> Status {
    failed(&error)
}

/// The status of an RPC that is not built; `what` is a sentence about it.
pub(crate) fn unimplemented(what: &'static str) -> Status {
    Status::new(Code::Unimplemented, what)
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Unknown => Code::Unknown,
        ErrorKind::Internal => Code::Internal,
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failure {
        text: String,
        kind: ErrorKind,
        source: Option<std::io::Error>,
    }

    impl Classified for Failure {
        fn kind(&self) -> ErrorKind {
            self.kind
        }
    }

    #[test]
    fn the_message_is_the_chain_and_the_code_the_kind() {
        let source = Some(std::io::Error::other("no route"));
        let text = "RegistryUnavailable: pulling".to_owned();
        let kind = ErrorKind::Unknown;
        let status = failed(&Failure { text, kind, source });
        assert_eq!((status.code(), status.message()), (Code::Unknown, "RegistryUnavailable: pulling: no route"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let (text, kind, source) = ("é".repeat(MAX_MESSAGE_BYTES), ErrorKind::Internal, None);
        let status = failed(&Failure { text, kind, source });
        assert!(status.message().len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
        assert!(status.message().ends_with("é…"));
    }
}
