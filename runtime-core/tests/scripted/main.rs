//! The loop, over a reactor that the test plays: nothing here touches a kernel.

mod blocking;
mod ends;
mod faults;
mod guests;
mod requests;
mod rude_clones;
mod script;
mod steps;
mod support;
mod writes;
mod writes_by_chance;
