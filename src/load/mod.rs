//! Load generator, bare relay and benchmark.

pub mod generator;
pub mod ledger;
pub mod schedule;
pub mod session;
