//! The template's EventBridge rules that enqueue, fired here.
//!
//! On AWS a rule sends its message straight to its queue. Here a task reads the same rules from the same template and
//! fires them.
//!
//! The template is compiled into the command. A firing that the machine slept through is missed: EventBridge makes up
//! for none either.

mod firing;
mod rule;

pub use firing::{Fired, Rules};
pub use rule::Rule;
