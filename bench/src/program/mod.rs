//! What the programs here have in common.

pub mod callgrind;
mod failure;
mod figures;
mod interrupt;
mod machine;
pub mod markdown;
mod mistake;
mod output;
mod progress;
mod versions;

pub use failure::Failure;
pub use figures::{digits, grouped, median};
pub use interrupt::Interrupt;
pub use machine::Machine;
pub use mistake::mistake;
pub use output::{Files, OpenFiles, unwritable};
pub use progress::{Progress, complain, say, warn_if_slow};
pub use versions::{Versions, now, of_package};
