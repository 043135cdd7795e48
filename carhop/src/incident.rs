//! What goes wrong where nobody waits to be told: see [`Builder::on_incident`](crate::Builder::on_incident).

pub use runtime_core::incident::Incident;
