//! What only the simulator has: a clock that nodes share, time that costs nothing, an order that a seed decides. What
//! every reactor must do is in the conformance suite.

mod nodes;
mod rig;
mod time;
mod turns;
