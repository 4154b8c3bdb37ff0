//! Load generator, bare relay and benchmark.
