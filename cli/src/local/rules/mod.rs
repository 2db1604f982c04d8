//! The template's EventBridge rules that enqueue, fired here.
//!
//! On AWS a rule sends its message to its queue, and nothing of ours is in between. Here the same rules are
//! read from the same template, and a task keeps their time.

mod firing;
mod rule;

pub use firing::{Fired, Rules};
pub use rule::Rule;
