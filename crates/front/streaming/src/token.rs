//! Tokens: what an RPC hands out, a connection redeems, once.
//!
//! A token stands for a checked request. It is 256 random bits in letters that need no escaping in a URL, valid for a
//! minute and for one connection. The table is small, so it is a queue in the order of issue.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crio_pods::{AttachRequest, ExecRequest};
use crio_types::{Classified, ErrorKind};

/// How long a token is valid.
const VALID: Duration = Duration::from_secs(60);
/// The most tokens that wait to be redeemed.
const MAX_OUTSTANDING: usize = 1000;

/// A way into a pod that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRequest {
    /// The pod, as the caller wrote its id.
    pub sandbox_id: String,
    /// The ports; only clients that speak no SPDY are told by them what to connect to.
    pub ports: Vec<u16>,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Exec(ExecRequest),
    Attach(AttachRequest),
    PortForward(ForwardRequest),
}

impl Target {
    /// The word for it in a path.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward(_) => "portforward",
        }
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Too many were issued and not used.
    #[error("{MAX_OUTSTANDING} streaming requests wait for their clients already")]
    TooMany,
    /// No random numbers.
    #[error("cannot make a token")]
    Random {
        /// The system's error.
        source: std::io::Error,
    },
}

impl Classified for IssueError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany => ErrorKind::ResourceExhausted,
            Self::Random { .. } => ErrorKind::Internal,
        }
    }
}

/// The tokens that wait.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<VecDeque<Ticket>>);

#[derive(Debug)]
struct Ticket {
    token: String,
    expires: Instant,
    target: Target,
}

impl Tokens {
    /// Issues a token.
    pub(crate) fn issue(&self, target: Target, now: Instant) -> Result<String, IssueError> {
        let random = crio_sys::random::bytes32().map_err(|source| IssueError::Random { source })?;
        let token = URL_SAFE_NO_PAD.encode(random);
        let mut tickets = self.current(now);
        if tickets.len() >= MAX_OUTSTANDING {
            return Err(IssueError::TooMany);
        }
        tickets.push_back(Ticket { token: token.clone(), expires: now + VALID, target });
        Ok(token)
    }

    /// Takes what a token stands for. A second time, or too late, there is nothing.
    pub(crate) fn redeem(&self, token: &str, now: Instant) -> Option<Target> {
        let mut tickets = self.current(now);
        let position = tickets.iter().position(|ticket| ticket.token == token)?;
        tickets.remove(position).map(|ticket| ticket.target)
    }

    /// The table without what has expired.
    fn current(&self, now: Instant) -> MutexGuard<'_, VecDeque<Ticket>> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tickets.front().is_some_and(|ticket| ticket.expires <= now) {
            tickets.pop_front();
        }
        tickets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str) -> Target {
        Target::PortForward(ForwardRequest { sandbox_id: id.to_owned(), ports: Vec::new() })
    }

    #[test]
    fn a_token_is_good_once_and_for_a_minute() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let first = tokens.issue(target("a"), now).unwrap();
        let second = tokens.issue(target("b"), now).unwrap();
        assert_eq!(first.len(), 43);
        assert!(first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{first}");
        assert_ne!(first, second);
        assert_eq!(tokens.redeem(&first, now), Some(target("a")));
        assert_eq!(tokens.redeem(&first, now), None);
        assert_eq!(tokens.redeem("", now), None);
        assert_eq!(tokens.redeem(&second, now + VALID), None);
        let third = tokens.issue(target("c"), now).unwrap();
        assert_eq!(tokens.redeem(&third, now + VALID - Duration::from_millis(1)), Some(target("c")));
    }

    #[test]
    fn only_so_many_wait_and_old_ones_make_room() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let issued: Vec<_> = (0..MAX_OUTSTANDING).map(|_| tokens.issue(target("a"), now).unwrap()).collect();
        let refused = tokens.issue(target("a"), now).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
        assert!(tokens.redeem(&issued[500], now).is_some());
        tokens.issue(target("a"), now).unwrap();
        tokens.issue(target("a"), now).unwrap_err();
        tokens.issue(target("a"), now + VALID).unwrap();
    }
}
