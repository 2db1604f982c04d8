//! For tests of adapters and handlers.
