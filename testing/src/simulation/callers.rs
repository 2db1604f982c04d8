//! Callers that enqueue, cancel and retry jobs. Each may die at any await.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::simulation::faults::Fault;
use crate::simulation::link::{Link, Party, core_ports};
use crate::simulation::world::World;
use lambda_jobs_core::clock::BoxFuture;
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::job::JobId;
use lambda_jobs_core::manager::JobManager;

/// What a caller knows after its request.
pub(super) enum Answer {
    Enqueued(JobId),
    Cancelled(JobId),
    /// All of these jobs will be sent.
    Scheduled(Vec<JobId>),
    /// The request is done.
    Done,
    /// The caller can't know whether the request is done.
    Nothing,
}

/// A caller that enqueues, cancels or retries.
struct Caller {
    link: Arc<Link>,
    work: BoxFuture<'static, Answer>,
    /// The number of further polls before it dies.
    polls_left: Option<u64>,
}

/// All callers of a history.
pub(super) struct Callers {
    world: Arc<World>,
    config: JobConfig,
    active: Vec<Caller>,
    /// Futures of dead callers. Their destructors must not run before the history ends.
    dead: Vec<BoxFuture<'static, Answer>>,
    pub(super) begun: usize,
}

impl Callers {
    pub(super) const fn new(world: Arc<World>, config: JobConfig) -> Self {
        Self { world, config, active: Vec::new(), dead: Vec::new(), begun: 0 }
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Drops the dead callers: the history has ended.
    pub(super) fn clear(&mut self) {
        self.dead.clear();
    }

    /// Adds a caller with its own machine.
    pub(super) fn begin(&mut self) -> (JobManager, Arc<Link>) {
        self.begun += 1;
        let link = Arc::new(Link::new(Arc::clone(&self.world), Party::Caller(self.begun)));
        (manager(&link, self.config.clone()), link)
    }

    /// Sends a request. The caller may die before it gets a response.
    pub(super) fn ask(&mut self, link: Arc<Link>, work: BoxFuture<'static, Answer>) {
        let mut state = self.world.state();
        let is_cut_off = state.strikes(Fault::CallerCutOff, 8);
        let polls_left = is_cut_off.then(|| state.dice.below(8));
        drop(state);
        self.active.push(Caller { link, work, polls_left });
    }

    /// Sends a request until it gets a response.
    pub(super) fn insist(&mut self, link: Arc<Link>, work: BoxFuture<'static, Answer>) {
        self.active.push(Caller { link, work, polls_left: None });
    }

    /// Polls every caller. Returns whether one of them has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut has_ended = false;
        for at in (0..self.active.len()).rev() {
            let caller = &mut self.active[at];
            if caller.polls_left == Some(0) {
                caller.link.tell(|| "is cut off".to_owned());
                let caller = self.active.swap_remove(at);
                self.dead.push(caller.work);
                has_ended = true;
                continue;
            }
            match Pin::new(&mut caller.work).poll(context) {
                Poll::Pending => caller.polls_left = caller.polls_left.map(|left| left - 1),
                Poll::Ready(answer) => {
                    let caller = self.active.swap_remove(at);
                    self.learn(&caller, answer);
                    has_ended = true;
                }
            }
        }
        has_ended
    }

    /// Checks that the system keeps what it told a caller.
    fn learn(&mut self, caller: &Caller, answer: Answer) {
        let mut state = self.world.state();
        match answer {
            Answer::Enqueued(id) => {
                caller.link.tell_in(&mut state, || format!("is told that {id} is accepted"));
                state.watch.job(&id).is_accepted = true;
            }
            Answer::Cancelled(id) => {
                caller.link.tell_in(&mut state, || format!("is told that {id} is cancelled"));
                state.watch.job(&id).is_cancelled = true;
            }
            Answer::Scheduled(ids) => {
                caller.link.tell_in(&mut state, || format!("is told that {} jobs will be made", ids.len()));
                for id in ids {
                    state.watch.job(&id).is_accepted = true;
                }
            }
            Answer::Done | Answer::Nothing => {}
        }
    }
}

/// A manager at the end of a link.
pub(super) fn manager(link: &Arc<Link>, config: JobConfig) -> JobManager {
    JobManager::new(config, core_ports(link))
}
