//! One test binary with a file per behaviour. Each file is named as what it shows.

#![allow(clippy::unwrap_used)] // a test may unwrap

mod command_line;
mod config_defaults;
mod config_refusals;
mod config_routes;
mod crash_disk_full;
mod crash_kill;
mod crash_rig;
mod crash_stop;
mod crash_trace;
mod crash_twice;
mod driver_sockets;
mod house;
mod link_asking;
mod link_binding;
mod link_carrier;
mod link_delivering;
mod link_office;
mod link_parts;
mod link_rig;
mod link_sockets;
mod link_submitting;
mod load_direct;
mod load_relay;
mod number_lists;
mod pdu_vectors;
mod peers_node;
mod peers_rig;
mod peers_smpplib;
mod peers_tshark;
mod range_tables;
mod receipt_vectors;
mod rules_sockets;
mod session_rules;
mod sim_carrier;
mod sim_profiles;
mod spine;
mod store_conformance;
mod store_inspect;
mod store_local;
mod store_memory;
mod store_sync_trace;
mod store_writer;
mod text_vectors;
mod world_spine;
