//! What the README and `docs/` say, held against the code: a page that is wrong fails a test.

mod commands;
mod handlers;
mod links;
mod messages;
mod names;
mod page;
mod settings;
mod snippets;
