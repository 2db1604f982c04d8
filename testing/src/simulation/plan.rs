//! The plan of a history, drawn before it begins.
//!
//! A plan is a list of steps, so a history can be replayed without some of them. The simulator uses that to find the
//! shortest history that breaks a guarantee.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::simulation::dice::Dice;
use crate::simulation::faults::Fault;
use crate::simulation::outside::{Outside, Trouble};
use crate::simulation::recurring::Shape;
use lambda_jobs_core::job::{NewJob, Payload, Queue};

/// A step and its time.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The time since the beginning.
    pub(super) after: Duration,
    pub(super) what: What,
}

/// How a job may end, as far as its plan tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Its handler never fails.
    Healthy,
    /// It may end in any way.
    Anything,
}

/// The field in which a copy differs from its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    /// No worker can take the copy.
    Refused(&'static str, RefusedField),
    /// Another unique key.
    Key(&'static str),
    /// No unique key.
    NoKey,
}

/// A field that makes every worker refuse a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusedField {
    Timeout,
    Name,
    Priority,
    Version,
}

impl Twist {
    pub(super) const ALL: [Self; 7] = [
        Self::Refused("timeout", RefusedField::Timeout),
        Self::Refused("no handler is registered for \"nobody\"", RefusedField::Name),
        Self::Refused("priority", RefusedField::Priority),
        Self::Refused("version", RefusedField::Version),
        Self::Key("key-0"),
        Self::Key("key-1"),
        Self::NoKey,
    ];

    /// Changes a message.
    pub(super) fn apply(self, fields: &mut BTreeMap<String, Payload>) {
        let (field, value) = match self {
            Self::Refused(_, RefusedField::Timeout) => ("timeout", 890_000.into()),
            Self::Refused(_, RefusedField::Name) => ("name", "nobody".into()),
            Self::Refused(_, RefusedField::Priority) => ("priority", 11.into()),
            Self::Refused(_, RefusedField::Version) => ("version", 2.into()),
            Self::Key(key) => ("uniqueKey", key.into()),
            Self::NoKey => {
                fields.remove("uniqueFor");
                ("uniqueKey", Value::Null)
            }
        };
        fields.insert(field.to_owned(), value.into());
    }
}

/// What an operator asks of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Open,
    Close,
    /// Repeated until it succeeds.
    Reset,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Reset => "reset",
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Somebody sends a message.
    Send {
        queue: Queue,
        body: Value,
        expected: Expected,
    },
    /// Somebody sends a message that no worker can run, for this reason.
    Poison {
        queue: Queue,
        body: String,
        reason: &'static str,
    },
    /// Somebody enqueues a job.
    Enqueue {
        job: Box<NewJob>,
        expected: Expected,
    },
    /// Somebody puts a schedule that makes this many jobs.
    Schedule {
        every: Duration,
        times: u32,
    },
    /// Somebody puts a schedule into this shape, or deletes it. It ends after this time.
    Change {
        schedule: usize,
        shape: Option<Shape>,
        lasts: Duration,
    },
    /// Somebody makes the job of another step due after this time.
    Reschedule {
        of: usize,
        wait: Duration,
    },
    /// The job of another step is sent, or enqueued, once more.
    Again {
        of: usize,
    },
    /// Somebody sends a message with the id of another step's job and another field.
    Copy {
        of: usize,
        twist: Twist,
    },
    /// Somebody cancels the job of another step.
    Cancel {
        of: usize,
    },
    /// Somebody retries the job of another step.
    Retry {
        of: usize,
    },
    /// A caller enqueues a batch of these jobs, perhaps more than once.
    Batch {
        children: Vec<NewJob>,
        times: usize,
    },
    /// Somebody cancels the batch of another step.
    CancelBatch {
        of: usize,
        /// Or one of its children alone.
        child: Option<usize>,
    },
    /// Somebody retries the batch of another step.
    RetryBatch {
        of: usize,
        /// Or one of its children alone.
        child: Option<usize>,
    },
    /// A dependency is in trouble.
    Trouble {
        dependency: usize,
        trouble: Trouble,
        lasts: Duration,
    },
    /// An operator opens, closes or resets the breaker of a dependency.
    Order {
        dependency: usize,
        order: Order,
    },
    /// An operator redrives all dead letters.
    Redrive,
    /// An operator cleans up, and this many jobs keep their details.
    Cleanup {
        keep: usize,
    },
    /// A worker is killed after this many more polls.
    Kill {
        pick: usize,
        polls: u32,
    },
    /// A worker stalls.
    Stall {
        pick: usize,
        lasts: Duration,
    },
    StoreOutage {
        lasts: Duration,
    },
    /// Nobody can read or write a breaker or a limit.
    SharedOutage {
        lasts: Duration,
    },
    QueueOutage {
        lasts: Duration,
    },
    /// `ENABLE_JOBS=false` for this long.
    TurnOff {
        lasts: Duration,
    },
    /// All work or one queue is paused for this long.
    Pause {
        scope: Option<Queue>,
        lasts: Duration,
    },
    /// A deleted message is delivered again.
    DeliverAgain {
        pick: usize,
    },
}

impl What {
    /// The kind of this fault, or `None` if the step is not a fault.
    pub(super) const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Kill { .. } => Some(Fault::Killed),
            Self::Stall { .. } => Some(Fault::Stalled),
            Self::StoreOutage { .. } => Some(Fault::StoreOutage),
            Self::SharedOutage { .. } => Some(Fault::SharedOutage),
            Self::QueueOutage { .. } => Some(Fault::QueueOutage),
            Self::TurnOff { .. } => Some(Fault::TurnedOff),
            Self::Pause { .. } => Some(Fault::Paused),
            Self::DeliverAgain { .. } => Some(Fault::DeliveredAgain),
            _ => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { queue, body, .. } => write!(f, "send to {queue}: {body}"),
            Self::Poison { queue, body, .. } => write!(f, "send to {queue}: {body}"),
            Self::Enqueue { job, .. } => write!(f, "enqueue {} {}", job.spec.name, job.spec.payload),
            Self::Schedule { every, times } => write!(f, "schedule a job every {every:?}, {times} times"),
            Self::Change { schedule, shape: None, .. } => {
                write!(f, "delete the schedule changing-{schedule}")
            }
            Self::Change { schedule, shape: Some(shape), .. } => {
                write!(f, "put the schedule changing-{schedule}: {shape}")
            }
            Self::Reschedule { of, wait } => write!(f, "make the job of step {of} due in {wait:?}"),
            Self::Again { of } => write!(f, "the job of step {of} once more"),
            Self::Copy { of, twist } => write!(f, "a copy of the job of step {of}, with {twist:?}"),
            Self::Batch { children, times } => {
                write!(f, "enqueue a batch of {} jobs, {times} times", children.len())
            }
            Self::CancelBatch { of, child } => write!(f, "cancel {child:?} of the batch of step {of}"),
            Self::RetryBatch { of, child } => write!(f, "retry {child:?} of the batch of step {of}"),
            Self::Cancel { of } => write!(f, "cancel the job of step {of}"),
            Self::Retry { of } => write!(f, "retry the job of step {of}"),
            Self::Trouble { dependency, trouble, lasts } => {
                write!(f, "{} {trouble} for {lasts:?}", Outside::name(*dependency))
            }
            Self::Order { dependency, order } => {
                write!(f, "{order} the breaker {}", Outside::name(*dependency))
            }
            Self::Redrive => write!(f, "redrive all dead letters"),
            Self::Cleanup { keep } => write!(f, "clean up all but {keep} jobs"),
            Self::Kill { polls, .. } => write!(f, "a worker will be killed after {polls} polls"),
            Self::Stall { lasts, .. } => write!(f, "a worker stands still for {lasts:?}"),
            Self::StoreOutage { lasts } => write!(f, "the store is away for {lasts:?}"),
            Self::SharedOutage { lasts } => write!(f, "breakers and limits are away for {lasts:?}"),
            Self::QueueOutage { lasts } => write!(f, "the queue is away for {lasts:?}"),
            Self::TurnOff { lasts } => write!(f, "jobs are turned off for {lasts:?}"),
            Self::Pause { scope: None, lasts } => write!(f, "all work is paused for {lasts:?}"),
            Self::Pause { scope: Some(queue), lasts } => write!(f, "{queue} is paused for {lasts:?}"),
            Self::DeliverAgain { .. } => write!(f, "a deleted message is delivered again"),
        }
    }
}

/// The maximum number of killed workers: too few for a healthy job to be blamed for as many crashes as it has attempts.
const MAX_KILLS: u64 = 3;

/// Draws the faults of one history, over this much time.
pub(super) fn troubles(dice: &mut Dice, span: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |dice: &mut Dice, what: What| {
        let after = dice.millis(0..u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1));
        steps.push(Step { after, what });
    };
    for _ in 0..dice.below(MAX_KILLS + 1) {
        let what =
            What::Kill { pick: dice.index(64), polls: u32::try_from(dice.below(25)).unwrap_or_default() };
        add(dice, what);
    }
    for _ in 0..dice.below(3) {
        let what = What::DeliverAgain { pick: dice.index(64) };
        add(dice, what);
    }
    if dice.one_in(3) {
        let what = What::Stall { pick: dice.index(64), lasts: dice.millis(100..60_000) };
        add(dice, what);
    }
    if dice.one_in(3) {
        let what = What::StoreOutage { lasts: dice.millis(100..120_000) };
        add(dice, what);
    }
    if dice.one_in(3) {
        let what = What::QueueOutage { lasts: dice.millis(100..120_000) };
        add(dice, what);
    }
    if dice.one_in(3) {
        let what = What::SharedOutage { lasts: dice.millis(100..120_000) };
        add(dice, what);
    }
    if dice.one_in(6) {
        let lasts = if dice.one_in(4) { dice.millis(0..14_400_000) } else { dice.millis(0..600_000) };
        add(dice, What::TurnOff { lasts });
    }
    if dice.one_in(8) {
        // Within the 14 days for which SQS keeps a message.
        let after = dice.millis(3_600_000..13 * 86_400_000);
        for _ in 0..3 {
            steps.push(Step { after, what: What::DeliverAgain { pick: dice.index(64) } });
        }
    }
    if dice.one_in(4) {
        for _ in 0..=dice.below(3) {
            // The longest outlasts every retention: 15 days, and 90 for what may be kept longer.
            let longest = *dice.pick(&[20_000, 600_000, 3 * 86_400_000, 110 * 86_400_000]);
            let scope = (!dice.one_in(3)).then(|| *dice.pick(&Queue::ALL));
            let after = dice.millis(0..u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1));
            steps.push(Step { after, what: What::Pause { scope, lasts: dice.millis(0..longest) } });
        }
    }
    steps
}
