//! What the tests of the example programs share.

use std::time::Duration;

pub mod clients;
pub mod program;

/// How long anything may take. Only a test that fails ever waits as long.
pub const LIMIT: Duration = Duration::from_secs(60);
