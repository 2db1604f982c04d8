//! Schedules: when a job is to be made again and again.

mod cron;
mod error;
pub mod eventbridge;
mod interval;

pub use cron::Cron;
pub use error::InvalidSchedule;
pub use interval::Interval;
