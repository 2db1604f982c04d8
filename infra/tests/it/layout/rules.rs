//! No write reads a record first, so each must leave what its rule says, whatever the record held.

use chrono::TimeDelta;
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::ports::{
    ClaimOutcome, ClaimRequest, Fence, JobStore, SettleCall, SettleOutcome, Settlement,
};
use lambda_jobs_core::{JobRecord, Retention};
use lambda_jobs_infra::DynamoJobStore;
use serde_json::{Value, json};

use super::{TOOK, full, later, least, now, read, running};
use crate::dynamo::{dynamo, store};

/// Jobs that can be claimed, with all that may be on their records.
fn claimable() -> Vec<JobRecord> {
    let retried = running("retried").retrying("smtp: 451".to_owned(), now(), Some(TOOK));
    let mut redriven = least("redriven").dead_lettered("no handler".to_owned(), now()).requeued(now());
    redriven.definition.spec.payload = json!("x".repeat(600)).into();
    let mut marked = full("marked").deferred(now(), "limit:mail/tenant=a".parse().unwrap(), now());
    (marked.passed_over, marked.cancel_requested) = (true, true);
    vec![
        least("least"),
        full("full"),
        least("parked").parked(),
        running("snoozed").snoozed(now(), "not yet"),
        running("released").released(now(), "out of time"),
        retried,
        redriven,
        marked,
    ]
}

async fn claimed(store: &DynamoJobStore, record: &JobRecord, claim: Claim) -> JobRecord {
    let definition = &record.definition;
    let request = ClaimRequest {
        id: record.id().clone(),
        name: definition.spec.name.clone(),
        edition: definition.edition,
        unique_key: definition.unique_key.clone(),
        claim,
        now: later(),
    };
    match store.claim(&[request]).await.remove(0).unwrap() {
        ClaimOutcome::Claimed(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn second() -> Claim {
    Claim {
        id: ClaimId::from("second".to_owned()),
        lease_until: later() + TimeDelta::seconds(9),
        alone: true,
    }
}

#[tokio::test]
async fn a_claim_leaves_what_its_rule_says_whatever_the_record_held() {
    let store = store(&dynamo().await);
    for record in claimable() {
        store.insert(std::slice::from_ref(&record)).await.remove(0).unwrap();
        let expected = record.clone().claimed(second(), later());
        let answer = claimed(&store, &record, second()).await;
        assert_eq!(answer.without_payload(), expected.clone().without_payload());
        assert_eq!(read(&store, record.id().as_str()).await, expected);
    }
}

#[tokio::test]
async fn a_settlement_leaves_what_its_rule_says_whatever_the_record_held() {
    let ends: [fn(JobRecord) -> JobRecord; 10] = [
        |record| record.completed(json!({ "sent": 3 }), later(), TOOK),
        |record| record.completed(Value::Null, later(), TOOK),
        |record| record.failed("smtp: 550".to_owned(), later(), Some(TOOK)),
        |record| record.retrying("smtp: 451".to_owned(), later(), Some(TOOK)),
        |record| record.dead_lettered("too many receives".to_owned(), later()),
        |record| record.cancelled_while_running("not needed", None, later(), TOOK),
        |record| record.released(later(), ""),
        |record| record.snoozed(later(), "not yet"),
        |record| record.deferred(later(), "breaker:mail".parse().unwrap(), now()),
        |record| JobRecord { isolated: true, ..record }.retrying("crashed".to_owned(), later(), None),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let store = store(&dynamo().await);
        for record in claimable() {
            store.insert(std::slice::from_ref(&record)).await.remove(0).unwrap();
            let running = claimed(&store, &record, second()).await;
            let payload = record.definition.spec.payload.clone();
            let mut record = end(running).kept(&Retention::default());
            record.definition.spec.payload = payload;
            let settlement = Settlement { fence: Fence::Claim(second().id), record: record.clone() };
            let batch = SettleCall { id: 7, at: later(), settlements: vec![settlement] };
            assert_eq!(store.settle(&batch).await.remove(0).unwrap(), SettleOutcome::Settled);
            assert_eq!(read(&store, record.id().as_str()).await, record, "end {number}");
        }
    }
}
