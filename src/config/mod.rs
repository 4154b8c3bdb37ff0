//! Every setting, typed.
