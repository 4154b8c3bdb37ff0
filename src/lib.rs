//! Hongyan (鸿雁, the wild goose that carries letters): a high-throughput SMPP gateway and dispatch engine.

pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
pub mod link;
pub mod load;
pub mod model;
pub mod number;
pub mod sim;
pub mod smpp;
pub mod store;
pub mod telemetry;
pub mod text;
