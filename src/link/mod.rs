//! The only SMPP sockets: driver, listener, upstream sessions, carrier binds.

pub mod driver;
