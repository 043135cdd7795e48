//! Calls that may block, as system calls.
