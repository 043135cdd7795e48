//! What can be set before a runtime starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::incident::Hook;
use crate::policy::Policy;

/// What can be set before a runtime starts.
#[derive(Clone)]
pub struct Config {
    /// How many receive buffers the sockets share.
    pub pool_chunks: u16,
    /// The size of one receive buffer, in bytes.
    pub chunk_len: usize,
    /// How many tasks are polled before the loop looks at the kernel and the timers again.
    pub polls_per_step: u32,
    /// How long the loop goes on looking for news before it lets the kernel wake it.
    pub spin_before_sleep: Duration,
    /// Makes the policy that chooses which task runs next. Without one it is first in, first out.
    pub policy: Option<Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>>,
    /// A poll that takes longer is an incident.
    pub slow_poll: Option<Duration>,
    /// Called with each incident. Without a hook they are lines on stderr.
    pub on_incident: Option<Hook>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("pool_chunks", &self.pool_chunks)
            .field("chunk_len", &self.chunk_len)
            .field("polls_per_step", &self.polls_per_step)
            .field("spin_before_sleep", &self.spin_before_sleep)
            .field("policy", &self.policy.is_some())
            .field("slow_poll", &self.slow_poll)
            .field("on_incident", &self.on_incident.is_some())
            .finish()
    }
}

impl Default for Config {
    /// 128 chunks of 16 KiB, 256 polls, no spinning.
    fn default() -> Self {
        Self {
            pool_chunks: 128,
            chunk_len: 16 * 1024,
            polls_per_step: 256,
            spin_before_sleep: Duration::ZERO,
            policy: None,
            slow_poll: None,
            on_incident: None,
        }
    }
}
