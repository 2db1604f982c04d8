//! Whether a count of instructions agrees with its baseline.

use std::collections::BTreeMap;

/// How far a count may be from its baseline, in percent of it.
const TOLERANCE: u64 = 10;

/// What is wrong with these counts, one line each. A count that shrank is wrong too: with an old baseline, it could grow
/// again unseen.
pub(crate) fn complaints(baselines: &BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) -> Vec<String> {
    let gone = baselines.keys().filter(|name| !counts.contains_key(*name));
    let gone = gone.map(|name| format!("{name}: expected a function of this name, got none; {ADVICE}"));
    let complaints = counts.iter().filter_map(|(name, count)| complaint(name, baselines.get(name), *count));
    complaints.chain(gone).collect()
}

const ADVICE: &str = "set the baselines again with `.ci/instructions set`";

fn complaint(name: &str, baseline: Option<&u64>, count: u64) -> Option<String> {
    let Some(baseline) = baseline else {
        return Some(format!("{name}: expected a baseline, got none; {ADVICE}"));
    };
    let slack = baseline * TOLERANCE / 100;
    let (least, most) = (baseline - slack, baseline + slack);
    if count > most {
        return Some(format!(
            "{name}: expected at most {most} instructions ({TOLERANCE} % over the baseline, {baseline}), got {count}; \
             make it cheaper, or {ADVICE} and say why"
        ));
    }
    (count < least).then(|| {
        format!(
            "{name}: expected at least {least} instructions ({TOLERANCE} % under the baseline, {baseline}), got \
             {count}; it got cheaper, so {ADVICE}"
        )
    })
}
