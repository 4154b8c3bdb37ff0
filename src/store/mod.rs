//! What survives a crash: the seams, and two ways to keep them.
