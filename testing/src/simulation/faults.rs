//! The kinds of faults between a worker and AWS.
//!
//! AWS documents each kind, or everybody who runs Lambda functions meets it. A history may have any of them or none, so
//! a breach can be traced to the few kinds that it needs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[doc = $doc])+ $name,)+ }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name, in lower case with hyphens.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

faults! {
    /// A call to the store fails before it has an effect.
    StoreUnreachable = "store-unreachable",
    /// A call to the store takes effect, and its answer is lost.
    StoreAnswerLost = "store-answer-lost",
    /// The store throttles a call: no effect.
    StoreThrottled = "store-throttled",
    /// A call to the store takes as long as the client's timeout.
    StoreSlow = "store-slow",
    /// Some statements of a batch fail.
    StorePartly = "store-partly",
    /// The index of due jobs shows them as they were some seconds ago.
    IndexLags = "index-lags",
    /// The store is down for some time, for every caller.
    StoreOutage = "store-outage",
    /// The store throttles only calls for breakers and limits for some time, because many workers want the same few
    /// items.
    SharedOutage = "shared-outage",
    /// A call to the queue fails before it has an effect.
    QueueUnreachable = "queue-unreachable",
    /// A call to the queue takes effect, and its answer is lost.
    QueueAnswerLost = "queue-answer-lost",
    /// Some entries of a batch to the queue fail.
    QueuePartly = "queue-partly",
    /// The queue is down for some time, for every caller.
    QueueOutage = "queue-outage",
    /// A message is delivered to two receivers at once.
    DeliveredTwice = "delivered-twice",
    /// A message is delivered later than possible.
    DeliveredLate = "delivered-late",
    /// Messages arrive in a different order than they were sent.
    Reordered = "reordered",
    /// A deleted message is delivered once more, up to 14 days after it was sent.
    DeliveredAgain = "delivered-again",
    /// The deletion of an acked message is lost.
    DeletionLost = "deletion-lost",
    /// The response to a batch is lost, so none of its messages is deleted.
    BatchAnswerLost = "batch-answer-lost",
    /// A worker is killed at some await. None of its destructors runs.
    Killed = "killed",
    /// A worker stalls for some seconds.
    Stalled = "stalled",
    /// A caller dies between two of its calls.
    CallerCutOff = "caller-cut-off",
    /// Clocks differ, by less than the allowance for it.
    ClocksDiffer = "clocks-differ",
    /// A firing sends its message twice.
    FiredTwice = "fired-twice",
    /// `ENABLE_JOBS` is `false` for some time.
    TurnedOff = "turned-off",
    /// All work or one queue is paused for some time, rarely for longer than finished jobs are remembered.
    Paused = "paused",
    /// A tick of the dispatcher is missing.
    TickLost = "tick-lost",
    /// A tick of the dispatcher happens twice.
    TickDoubled = "tick-doubled",
    /// A tick of the dispatcher is killed at some await.
    TickKilled = "tick-killed",
    /// The index of schedules answers as it was some minutes ago.
    SchedulesLag = "schedules-lag",
    /// An expired record is deleted late.
    ExpiredLate = "expired-late",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|fault| fault.as_str() == text);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|fault| fault.as_str()).collect();
            format!("fault: expected one of {}, got {text:?}", names.join(", "))
        })
    }
}

/// How often each kind happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts(BTreeMap<Fault, u64>);

impl FaultCounts {
    pub(super) fn note(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (fault, times) in &other.0 {
            *self.0.entry(*fault).or_default() += times;
        }
    }

    /// How often this kind happened.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or_default()
    }

    /// How many faults happened in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}
