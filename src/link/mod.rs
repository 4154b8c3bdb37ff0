//! The only SMPP sockets: driver, listener, upstream sessions, carrier binds.

pub mod accounts;
pub mod carrier;
pub mod driver;
pub mod listener;
pub mod pool;
pub mod registry;
pub mod translate;
pub mod upstream;

#[cfg(test)]
mod tests;
