//! One test binary with a file per behaviour. Each file is named as what it shows.

mod config_defaults;
mod config_refusals;
mod driver_sockets;
mod house;
mod pdu_vectors;
mod receipt_vectors;
mod text_vectors;
mod session_rules;
