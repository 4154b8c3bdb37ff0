//! Load generator, bare relay, benchmark, and recordings played again.

pub mod bench;
pub mod command;
pub mod generator;
pub mod ledger;
pub mod relay;
pub mod replay;
pub mod scenario;
pub mod schedule;
pub mod session;
pub mod subject;
pub mod verdict;
