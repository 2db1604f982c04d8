//! The deployed template, seen from outside.
