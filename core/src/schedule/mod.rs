//! Schedules: when jobs recur.
//!
//! Everything here is a pure function of a schedule and of instants that are passed in. Two things are hard. People
//! mean local times, and time zones skip and repeat them: [`Gap`] and [`Repeat`] say what a schedule does then, and
//! [`preview`] shows it. And a tick may come late, twice or never: [`plan`] decides what to make, and an occurrence's
//! job is named after its instant, so making it again makes nothing new.
//!
//! A missed occurrence follows the schedule's `missed` policy, no further back than tombstones last: an older
//! job id would not be recognized as a duplicate.
//!
//! What is made ahead always equals what the schedule would make now. A change of the schedule starts a new edition:
//! jobs made ahead get its definition, and those that it does not make are taken back. If a later edition makes them
//! again, they run.
//!
//! | defaults | |
//! | --- | --- |
//! | `zone` | `UTC` |
//! | `gap` | `next`: a daily job runs every day |
//! | `repeat` | `first`: and once a day only |
//! | `overlap` | `allow` |
//! | `missed` | `latest`: of missed occurrences, one runs |
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
mod state;
mod view;
mod zone;

pub use cadence::Cadence;
pub use cron::Cron;
pub use definition::{JobTemplate, Schedule, ScheduleSpec};
pub use interval::Interval;
pub use note::{MissingDay, Note, Warning};
pub use occurrence::{Occurrence, latest_between, next, occurrences_after};
pub use plan::{GRACE, PassedOver, Plan, plan};
pub use policy::{Gap, Missed, Overlap, Repeat};
pub use preview::{MAX_PREVIEW, Preview, PreviewItem, preview};
pub use state::ScheduleState;
pub use view::JobSchedule;
pub use zone::Zone;

/// How early the dispatcher makes an occurrence's job: two ticks may be 2 minutes apart, and one may be
/// lost.
pub const LOOK_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);
/// How far ahead an occurrence may have been made: a tick may go on for a minute with a schedule that it read before a
/// change.
pub(crate) const MADE_AHEAD: std::time::Duration = std::time::Duration::from_mins(6);
