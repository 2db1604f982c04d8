//! The verdict on counts of instructions.

#[path = "../../benches/instructions/verdict.rs"]
mod verdict;

use std::collections::BTreeMap;

fn complaints(counted: u64) -> Vec<String> {
    let of = |count| BTreeMap::from([("decode a message".to_owned(), count)]);
    verdict::complaints(&of(1_000), &of(counted))
}

#[test]
fn more_than_ten_percent_more_instructions_fail() {
    assert_eq!(complaints(1_100), [""; 0]);
    assert_eq!(
        complaints(1_101),
        [
            "decode a message: expected at most 1100 instructions (10 % over the baseline, 1000), got 1101; make it \
          cheaper, or set the baselines again with `.ci/instructions set` and say why"
        ]
    );
}

#[test]
fn a_function_that_got_much_cheaper_needs_another_baseline() {
    assert_eq!(complaints(900), [""; 0]);
    assert_eq!(
        complaints(899),
        [
            "decode a message: expected at least 900 instructions (10 % under the baseline, 1000), got 899; it got \
          cheaper, so set the baselines again with `.ci/instructions set`"
        ]
    );
}

#[test]
fn a_function_and_its_baseline_come_and_go_together() {
    let one = BTreeMap::from([("new".to_owned(), 5)]);
    let advice = "set the baselines again with `.ci/instructions set`";
    let missing = format!("new: expected a baseline, got none; {advice}");
    assert_eq!(verdict::complaints(&BTreeMap::new(), &one), [missing]);
    let gone = format!("new: expected a function of this name, got none; {advice}");
    assert_eq!(verdict::complaints(&one, &BTreeMap::new()), [gone]);
}
