//! Where a host is, asked and checked at each connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use lambda_jobs_core::families::webhook::TargetPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Something that knows the addresses of a host.
#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses that the host's name stands for now.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks whom the system asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Answers the client with addresses that the policy admits, or with its refusal.
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
            // The client puts the port of its request in place of 0.
            let checked: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(checked)
        })
    }
}
