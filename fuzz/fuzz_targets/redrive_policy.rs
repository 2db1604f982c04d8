//! A redrive policy is handwritten JSON in a string. An accepted policy prints as it will be read again.

#![no_main]

use lambda_jobs_core::sqs::RedrivePolicy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    match RedrivePolicy::parse(json) {
        Ok(policy) => {
            assert!((1..=1000).contains(&policy.max_receive_count()));
            assert!(!policy.dead_letter_queue().is_empty());
            assert_eq!(RedrivePolicy::parse(&policy.to_json()), Ok(policy));
        }
        Err(error) => assert!(error.to_string().contains("RedrivePolicy"), "{error}"),
    }
});
