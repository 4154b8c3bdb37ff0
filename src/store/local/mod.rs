//! The embedded store: SQLite files in one data directory.
