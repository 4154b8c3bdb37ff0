//! Phone numbers: normalisation, packing into a u64.
