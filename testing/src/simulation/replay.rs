//! The name of a history, short enough for a command line.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::simulation::faults::Fault;

/// Names a history: its seed and, if it is a shortened one, the steps and kinds of faults that remain.
///
/// ```
/// use lambda_jobs_testing::simulation::Replay;
///
/// let replay: Replay = "17/0,4/killed,delivered-twice".parse()?;
/// assert_eq!((replay.seed, replay.to_string()), (17, "17/0,4/delivered-twice,killed".to_owned()));
/// assert_eq!("17".parse::<Replay>()?, Replay::of(17));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The seed from which the whole history follows.
    pub seed: u64,
    /// The steps that happen; all if absent.
    pub steps: Option<BTreeSet<usize>>,
    /// The kinds of faults that may happen; all if absent.
    pub faults: Option<BTreeSet<Fault>>,
}

impl Replay {
    /// The whole history of a seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self { seed, steps: None, faults: None }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        let (Some(steps), Some(faults)) = (&self.steps, &self.faults) else { return Ok(()) };
        let steps: Vec<String> = steps.iter().map(usize::to_string).collect();
        let faults: Vec<&str> = faults.iter().map(|fault| fault.as_str()).collect();
        write!(f, "/{}/{}", steps.join(","), faults.join(","))
    }
}

impl FromStr for Replay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("replay: expected SEED or SEED/STEP,STEP/FAULT,FAULT, got {text:?}");
        let mut parts = text.split('/');
        let seed = parts.next().and_then(|seed| seed.parse().ok()).ok_or_else(expected)?;
        let (steps, faults) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => return Ok(Self::of(seed)),
            (Some(steps), Some(faults), None) => (steps, faults),
            _ => return Err(expected()),
        };
        let listed =
            |part: &'_ str| part.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
        let (steps, faults): (Vec<String>, Vec<String>) = (listed(steps), listed(faults));
        let steps =
            steps.iter().map(|step| step.parse().map_err(|_| expected())).collect::<Result<_, _>>()?;
        let faults = faults.iter().map(|fault| fault.parse()).collect::<Result<_, _>>()?;
        Ok(Self { seed, steps: Some(steps), faults: Some(faults) })
    }
}
