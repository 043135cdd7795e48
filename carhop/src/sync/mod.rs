//! What tasks of one runtime share.

mod waiters;
