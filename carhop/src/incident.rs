//! Failures that no task waits to hear of: see [`Builder::on_incident`](crate::Builder::on_incident).

pub use runtime_core::incident::Incident;
