//! Every metric, declared once with its meaning.
