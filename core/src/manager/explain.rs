//! Why a job is not running. The answer takes at most two rounds of requests.

use futures_util::future::{join, try_join};

use super::{JobManager, ManagerError};
use crate::explain::{Explanation, explain};
use crate::job::{Blocker, JobId, JobRecord};

impl JobManager {
    /// Says why a job is not running, and when it can start at the earliest. An unknown id gets an answer too.
    ///
    /// A manager [with a registry](Self::with_registry) knows the breakers that handlers declare. Any other manager
    /// learns of one only after a job was deferred for it.
    pub async fn explain(&self, id: &JobId) -> Result<Explanation, ManagerError> {
        let ids = std::slice::from_ref(id);
        let (found, control) = try_join(self.ports.store.heads(ids), self.ports.control.load()).await?;
        let record = found.into_iter().flatten().next();
        let (breakers, limits) = record.as_ref().map(|record| self.blockers(record)).unwrap_or_default();
        let (breakers, limits) = join(
            async {
                if breakers.is_empty() { Ok(Vec::new()) } else { self.ports.breakers.load(&breakers).await }
            },
            async { if limits.is_empty() { Ok(Vec::new()) } else { self.ports.limits.load(&limits).await } },
        )
        .await;
        let breakers: Vec<_> = breakers?.into_iter().flatten().collect();
        let limits: Vec<_> = limits?.into_iter().flatten().collect();
        Ok(explain(record.as_ref(), &control, &breakers, &limits, self.ports.clock.now()))
    }

    /// The names of the breakers and limits that may hold a job back.
    fn blockers(&self, record: &JobRecord) -> (Vec<String>, Vec<String>) {
        if record.status.is_finished() {
            return (Vec::new(), Vec::new());
        }
        let handler = self.registry.as_ref().and_then(|registry| registry.get(&record.definition.spec.name));
        let needed = handler.map_or(&[][..], |handler| handler.breakers());
        let (mut breaker, mut limit) = (None, None);
        match &record.blocked {
            Some(Blocker::Breaker(name)) => breaker = Some(name),
            Some(Blocker::Limit(key)) => limit = Some(key.as_str().to_owned()),
            None => {}
        }
        let breakers = needed.iter().chain(&record.definition.breakers).chain(breaker);
        let mut breakers: Vec<String> = breakers.map(|name| name.as_str().to_owned()).collect();
        breakers.sort_unstable();
        breakers.dedup();
        (breakers, limit.into_iter().collect())
    }
}
