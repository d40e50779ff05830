//! The life of a container as one total function.
//!
//! ```text
//! Created -started-> Running -exited-> Exited
//! Created -exited-> Exited          (killed before it was started, or a start that failed)
//! Unknown -started-> Running, Unknown -exited-> Exited
//! ```
//! An exit is final: whatever is learnt later about an exited container changes nothing. A container whose end nobody
//! saw counts as exited too, with the exit code 255, so nothing here leads to `Unknown`.

use crio_types::ContainerState;

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Its process was let go.
    Started,
    /// Its process ended.
    Exited,
}

/// The state after `happening`.
pub(crate) fn next(state: ContainerState, happening: Happening) -> ContainerState {
    use ContainerState::{Created, Exited, Running, Unknown};
    match (state, happening) {
        (Exited, _) | (_, Happening::Exited) => Exited,
        (Created | Running | Unknown, Happening::Started) => Running,
    }
}

#[cfg(test)]
mod tests {
    use ContainerState::{Created, Exited, Running, Unknown};
    use Happening::Started;

    use super::*;

    #[test]
    fn every_pair() {
        let table = [
            (Created, Started, Running),
            (Created, Happening::Exited, Exited),
            (Running, Started, Running),
            (Running, Happening::Exited, Exited),
            (Exited, Started, Exited),
            (Exited, Happening::Exited, Exited),
            (Unknown, Started, Running),
            (Unknown, Happening::Exited, Exited),
        ];
        for (state, happening, expected) in table {
            assert_eq!(next(state, happening), expected, "{state:?} after {happening:?}");
        }
    }
}
