//! When the next request is due, where answers do not say so.

use bench::program::Failure;

use super::Load;
use crate::scenario::Pace;

/// Sends at a fixed rate, on one connection after the other.
pub struct Pacer {
    /// `None` where answers say when to send.
    pub next_due_ns: Option<u64>,
    begin_ns: u64,
    per_second: u64,
    requests: u64,
}

impl Pacer {
    pub fn new(begin_ns: u64, pace: Pace) -> Self {
        let (next_due_ns, per_second) = match pace {
            Pace::Closed => (None, 1),
            Pace::Fixed { per_second } => (Some(begin_ns), per_second.get()),
        };
        Self { next_due_ns, begin_ns, per_second, requests: 0 }
    }

    /// Sends what is due. When it is late, it goes on after a while, so that answers are read in between.
    pub fn send_due(&mut self, load: &mut Load<'_>, now_ns: u64) -> Result<(), Failure> {
        const AT_A_TIME: usize = 256;
        for _ in 0..AT_A_TIME {
            let Some(due) = self.next_due_ns.filter(|&due| due <= now_ns) else { break };
            let index = (self.requests % load.connections.len() as u64) as usize;
            load.request(index, 1, due)?;
            self.requests += 1;
            let after = u128::from(self.requests) * 1_000_000_000 / u128::from(self.per_second);
            self.next_due_ns = Some(self.begin_ns + after as u64);
        }
        Ok(())
    }
}
