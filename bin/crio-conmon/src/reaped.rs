//! Processes that ended before anybody knew what they were.
//!
//! The runtime tells the number of a container's or exec's process when it is done, and a short command may be over by
//! then. So ends of unknown children are kept while a runtime is at work, and asked for when it has told. The table is
//! a ring: containers that share the host's processes may leave us any number of orphans.

use std::collections::VecDeque;

use crio_sys::process::Ended;

/// How many ends are kept.
const CAPACITY: usize = 4096;

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Reaped(VecDeque<(u32, Ended)>);

impl Reaped {
    /// Keeps an end.
    pub(crate) fn keep(&mut self, pid: u32, ended: Ended) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back((pid, ended));
    }

    /// Takes the latest end of this number.
    pub(crate) fn take(&mut self, pid: u32) -> Option<Ended> {
        let position = self.0.iter().rposition(|(kept, _)| *kept == pid)?;
        self.0.remove(position).map(|(_, ended)| ended)
    }

    /// Forgets all: no runtime is at work.
    pub(crate) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_end_of_a_number_counts_and_old_ones_go() {
        let mut reaped = Reaped::default();
        reaped.keep(7, Ended::Exited(1));
        reaped.keep(7, Ended::Exited(2));
        assert_eq!(reaped.take(7), Some(Ended::Exited(2)));
        for pid in 10..10 + u32::try_from(CAPACITY).unwrap() {
            reaped.keep(pid, Ended::Signaled(9));
        }
        assert_eq!(reaped.take(7), None);
        assert_eq!(reaped.take(10), Some(Ended::Signaled(9)));
        reaped.clear();
        assert_eq!(reaped.take(11), None);
    }
}
