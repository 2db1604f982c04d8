//! Dependencies that fare in one way, with calls enough to show what their breakers make of it.

use std::time::Duration;

use serde_json::json;

use super::{Errand, protect, register};
use crate::simulation::dice::Dice;
use crate::simulation::outside::Trouble;
use crate::simulation::plan::{Expected, Order, Step, What};
use crate::simulation::scenario::Scenario;
use lambda_jobs_core::Invalid;
use lambda_jobs_core::breaker::BreakerPolicy;
use lambda_jobs_core::job::Queue;

const HOUR: Duration = Duration::from_hours(1);

/// A breaker that opens after this many failures.
fn counting(dice: &mut Dice, failures: u32, recovery: u64) -> Result<BreakerPolicy, Invalid> {
    let window = Duration::from_secs(60 + dice.below(240));
    let recovery = Duration::from_secs(1 + dice.below(recovery));
    BreakerPolicy::default().window(window)?.failure_count(failures)?.recovery(recovery)
}

/// Sends a job that works, then calls the only dependency.
fn send(scenario: &mut Scenario, name: &str, work: u64, after: Duration) {
    let payload = serde_json::to_value(Errand { work, call: Some(0) }).unwrap_or_default();
    let body = json!({ "name": name, "payload": payload });
    let what = What::Send { queue: Queue::Normal, body, expected: Expected::Healthy };
    scenario.steps.push(Step { after, what });
}

/// A dependency that fails one of several calls for as long as it is called.
pub(super) fn mostly_answering(scenario: &mut Scenario) {
    let failures = 2 + u32::from(scenario.dice().one_in(3));
    let policy = counting(scenario.dice(), failures, 60).expect("a policy");
    protect(scenario, policy);
    register(scenario);
    let trouble = Trouble::Flaky(4 + scenario.dice().below(3));
    let what = What::Trouble { dependency: 0, trouble, lasts: HOUR };
    scenario.steps.push(Step { after: Duration::ZERO, what });
    let begun = scenario.dice().millis(0..60_000);
    for _ in 0..15 + scenario.dice().below(15) {
        let (work, after) = (scenario.dice().below(100), scenario.dice().millis(0..40_000));
        send(scenario, "call", work, begun + after);
    }
}

/// A dependency that is down, while jobs hold their probes for long before they call. Meanwhile an operator opens the
/// breaker for a short time.
pub(super) fn probed_and_opened(scenario: &mut Scenario) {
    let policy = counting(scenario.dice(), 1, 5).expect("a policy");
    protect(scenario, policy);
    register(scenario);
    let what = What::Trouble { dependency: 0, trouble: Trouble::Fails, lasts: HOUR };
    scenario.steps.push(Step { after: Duration::ZERO, what });
    for _ in 0..2 + scenario.dice().below(3) {
        let (work, after) = (8_000 + scenario.dice().below(12_000), scenario.dice().millis(0..10_000));
        send(scenario, "wired", work, after);
    }
    let mut after = scenario.dice().millis(20_000..60_000);
    for _ in 0..=scenario.dice().below(3) {
        scenario.steps.push(Step { after, what: What::Order { dependency: 0, order: Order::Open } });
        after += scenario.dice().millis(15_000..40_000);
        scenario.steps.push(Step { after, what: What::Order { dependency: 0, order: Order::Reset } });
        after += scenario.dice().millis(20_000..60_000);
    }
}
