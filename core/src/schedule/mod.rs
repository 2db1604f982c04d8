//! Schedules: when a job is to be made again and again.
//!
//! Everything here is a pure function of a schedule and of instants that are passed in. The hard part is
//! that people mean local times, and that zones skip and repeat them: see [`Gap`] and [`Repeat`] for what a
//! schedule can do about it, and [`preview`] for how it tells. The other hard part is that whoever fires
//! schedules may come late, twice or not at all: [`plan`] decides what to make, and since an occurrence's
//! job is named after its instant, making it once more makes nothing new.
//!
//! | defaults | |
//! | --- | --- |
//! | `zone` | `UTC` |
//! | `gap` | `next`: a daily job runs every day |
//! | `repeat` | `first`: and once a day only |
//! | `overlap` | `allow` |
//! | `missed` | `latest`: what was missed is made up for once |
//! | `window` | 15 days |

mod cadence;
mod cron;
mod definition;
pub mod eventbridge;
mod interval;
mod json;
mod note;
mod occurrence;
mod plan;
mod policy;
mod preview;
mod view;
mod zone;

pub use cadence::Cadence;
pub use cron::Cron;
pub use definition::{JobTemplate, Schedule, ScheduleSpec};
pub use interval::Interval;
pub use note::{MissingDay, Note, Warning};
pub use occurrence::{Occurrence, latest_between, next, occurrences_after};
pub use plan::{GRACE, PassedOver, Plan, ScheduleState, plan};
pub use policy::{Gap, Missed, Overlap, Repeat};
pub use preview::{MAX_PREVIEW, Preview, PreviewItem, preview};
pub use view::JobSchedule;
pub use zone::Zone;

/// How far ahead of its time an occurrence's job is made: two ticks of the dispatcher may be two minutes apart, and one
/// may be lost.
pub const LOOK_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);
