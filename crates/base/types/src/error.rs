//! What kind of failure an error is, independent of the protocol that will carry it.
//!
//! Every error type of the lower layers answers [`Classified::kind`]; the front maps the kind to a gRPC code in one
//! place. The kinds follow the gRPC codes that kubelet and crictl react to.

/// The class of a failure, as a caller should react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong and will be wrong again.
    InvalidArgument,
    /// The named object does not exist. Kubelet skips the object when it sees this.
    NotFound,
    /// An object of that name exists and is not the one asked for.
    AlreadyExists,
    /// The object exists but its state forbids the operation.
    FailedPrecondition,
    /// The caller is not allowed, for example a registry refused the credentials.
    PermissionDenied,
    /// A named limit is reached.
    ResourceExhausted,
    /// A deadline passed.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Something the operation depends on is not there right now; a retry may succeed.
    Unavailable,
    /// Not built.
    Unimplemented,
    /// Kubelet recognises some failures by message prefix, and only under this code.
    Unknown,
    /// Anything else: the node is not in the shape it should be.
    Internal,
}

/// An error that knows its [`ErrorKind`].
pub trait Classified: std::error::Error {
    /// The kind of this failure.
    fn kind(&self) -> ErrorKind;
}

/// Renders an error and everything that caused it as one line, outermost first.
///
/// Display implementations in this project never repeat their source, so the line holds each fact once.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}
