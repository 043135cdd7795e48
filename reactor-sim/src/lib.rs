//! A reactor without a kernel: virtual time, and a network in memory.
