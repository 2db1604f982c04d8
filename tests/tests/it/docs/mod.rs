//! Compares the README and `docs/` with the code: a wrong page fails a test.

mod batches;
mod commands;
mod handlers;
mod links;
mod messages;
mod names;
mod page;
mod settings;
mod snippets;
