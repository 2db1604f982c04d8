//! Name resolution, checked for each connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use lambda_jobs_core::families::webhook::TargetPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver of host names.
#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses of a host now.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Gives the client the addresses that the policy admits, or the policy's error.
#[derive(Debug)]
pub(super) struct Checked {
    policy: Arc<TargetPolicy>,
    lookup: Arc<dyn Lookup>,
}

impl Checked {
    pub(super) fn new(policy: Arc<TargetPolicy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (self.policy.clone(), self.lookup.clone());
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await?;
            policy.admit_addresses(name.as_str(), &addresses)?;
            // The client replaces port 0 by the port of its request.
            let checked: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(checked)
        })
    }
}
