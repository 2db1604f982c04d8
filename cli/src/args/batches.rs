//! The arguments of `batches`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lambda_jobs_core::{JobId, JobStatus};

use super::{OneJob, PageArgs, Target};

/// The batch commands.
#[derive(Debug, Subcommand)]
pub enum BatchesCommand {
    /// Enqueue many jobs as a batch, and print its id.
    Put(PutBatchArgs),
    /// List batches that wait for their jobs, or batches of another status.
    List {
        /// List batches of this status: waiting (the default), completed, failed or cancelled.
        #[arg(long)]
        status: Option<JobStatus>,
        /// The most batches to list.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Which page to show.
        #[command(flatten)]
        page: PageArgs,
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Show how far a batch is.
    Show(OneJob),
    /// Cancel a batch: its jobs that have not ended do not run, and running ones are told.
    Cancel(OneJob),
    /// Enqueue the failed jobs of a batch again.
    Retry(OneJob),
    /// Close a batch that was left open: it takes no more jobs.
    Close(OneJob),
}

/// A batch to enqueue.
#[derive(Clone, Debug, Args)]
pub struct PutBatchArgs {
    /// The file with one job message a line, as JSON; - reads standard input. If a line is wrong, nothing is enqueued.
    pub file: PathBuf,
    /// The batch's id. Repeating the command with the same id and file makes nothing twice. By default a new id.
    #[arg(long)]
    pub id: Option<JobId>,
    /// Enqueue this job if all jobs of the batch completed: a job message, such as '{"name":"publish"}'.
    #[arg(long, value_name = "MESSAGE")]
    pub on_success: Option<String>,
    /// Enqueue this job when all jobs of the batch have ended.
    #[arg(long, value_name = "MESSAGE")]
    pub on_complete: Option<String>,
    /// Leave the batch open for jobs that are added later.
    #[arg(long)]
    pub stay_open: bool,
    /// Where to enqueue it.
    #[command(flatten)]
    pub target: Target,
}
