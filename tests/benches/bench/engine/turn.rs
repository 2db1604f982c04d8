//! One turn of a function: a cold start, then batch after batch.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Subject;
use super::jobs::{self, BATCH};
use super::process::{self, Cores};
use super::store::Store;
use crate::Failure;

/// How many batches come before those that are measured.
const WARM: u32 = 20;
/// How many batches are measured.
const MEASURED: u32 = 100;

/// The figures of one turn.
pub(super) struct Turn {
    /// From the start of the process to its first answer.
    pub(super) first_answer: Duration,
    /// Per job, as are the others.
    pub(super) time: Duration,
    /// What the process of the function used.
    pub(super) cpu: Option<Duration>,
    /// What the process of the store used.
    pub(super) store_cpu: Option<Duration>,
    /// The most that the function ever used, in bytes.
    pub(super) memory: Option<u64>,
}

pub(super) async fn measure(
    subject: &Subject,
    binaries: &Path,
    cores: Option<Cores>,
) -> Result<Turn, Failure> {
    let store = Store::start(cores).await?;
    let function = subject.function(binaries, store.url());
    let first = jobs::batch();

    let begun = Instant::now();
    let mut environment = function.start().await?;
    environment.ready().await?;
    jobs::run(&mut environment, &first).await?;
    let first_answer = begun.elapsed();

    let (own, stores) = (environment.id().ok_or("the function has ended")?, store.id()?);
    if let Some(cores) = cores {
        process::pin(own, cores.function)?;
    }
    for _ in 0..WARM {
        jobs::run(&mut environment, &jobs::batch()).await?;
    }
    let events: Vec<_> = (0..MEASURED).map(|_| jobs::batch()).collect();
    let before = [own, stores].map(process::cpu);
    let begun = Instant::now();
    for event in &events {
        jobs::run(&mut environment, event).await?;
    }
    let time = begun.elapsed();
    let after = [own, stores].map(process::cpu);
    let used = |at: usize| Some(after[at]?.saturating_sub(before[at]?) / (MEASURED * BATCH));
    let turn = Turn {
        first_answer,
        time: time / (MEASURED * BATCH),
        cpu: used(0),
        store_cpu: used(1),
        memory: process::peak_memory(own),
    };
    environment.kill().await;
    Ok(turn)
}
