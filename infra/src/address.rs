//! The address of a client's latest request, and failures sorted by their effect.
//!
//! An endpoint comes from a profile, from one of two environment variables or from the region. The SDK's errors don't
//! name it, so each client notes the address of its latest request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "dynamodb")]
use aws_sdk_dynamodb as sdk;
#[cfg(all(feature = "lambda", not(any(feature = "dynamodb", feature = "sqs"))))]
use aws_sdk_lambda as sdk;
#[cfg(all(feature = "sqs", not(feature = "dynamodb")))]
use aws_sdk_sqs as sdk;

use sdk::config::interceptors::BeforeTransmitInterceptorContextRef;
use sdk::config::{ConfigBag, Intercept, RuntimeComponents};
use sdk::error::{BoxError, ProvideErrorMetadata, SdkError};

/// The address of a client's latest request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address(Arc<Mutex<String>>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.write_str(if uri.is_empty() { "the service" } else { &uri })
    }
}

impl Intercept for Address {
    fn name(&self) -> &'static str {
        "Address"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        let authority = uri.match_indices('/').nth(2).map_or(uri, |(end, _)| &uri[..end]);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != authority {
            authority.clone_into(&mut known);
        }
        Ok(())
    }
}

/// A failed call, and its effect.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The service's error code, or the empty string if it gave none.
    #[cfg_attr(
        not(any(feature = "dynamodb", feature = "sqs")),
        expect(dead_code, reason = "Lambda's codes are read from its typed errors")
    )]
    pub(crate) code: String,
    /// The code and message of the service, or the reason why no answer came.
    pub(crate) reason: String,
    /// Whether the request may have had its effect.
    #[cfg_attr(
        not(feature = "dynamodb"),
        expect(dead_code, reason = "SQS calls are retried by the SDK alone")
    )]
    pub(crate) fate: Fate,
}

/// The effect of a failed request, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The service refused it, and would refuse it again.
    Refused,
    /// It had no effect, and may succeed if repeated.
    Unheard,
    /// Its answer was lost, so it may have had its effect.
    Unknown,
}

impl Failure {
    /// Reads an SDK error.
    pub(crate) fn of<E>(error: &SdkError<E>, address: &Address) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let SdkError::ServiceError(service) = error {
            return Self::answered(service.err().meta(), service.raw().status().as_u16());
        }
        let cause = root_cause(error);
        let (reason, fate) = match error {
            SdkError::DispatchFailure(failure) if failure.is_user() => (cause, Fate::Refused),
            SdkError::DispatchFailure(failure) => {
                let refused = cause.to_ascii_lowercase().contains("refused");
                let fate = if refused { Fate::Unheard } else { Fate::Unknown };
                let what = if failure.is_timeout() { "no answer in time" } else { "no answer" };
                (format!("{what} from {address}: {cause}"), fate)
            }
            SdkError::TimeoutError(_) => {
                (format!("no answer in time from {address}: {cause}"), Fate::Unknown)
            }
            SdkError::ResponseError(_) => {
                (format!("an answer from {address} can't be read: {cause}"), Fate::Unknown)
            }
            _ => (cause, Fate::Refused),
        };
        Self { code: String::new(), reason, fate }
    }

    fn answered(meta: &sdk::error::ErrorMetadata, status: u16) -> Self {
        let code = meta.code().unwrap_or_default().to_owned();
        let fate = match status {
            _ if is_throttle(&code) => Fate::Unheard,
            500.. => Fate::Unknown,
            _ => Fate::Refused,
        };
        let shown = if code.is_empty() { format!("HTTP status {status}") } else { code.clone() };
        let reason = match meta.message() {
            Some(message) if !message.is_empty() => format!("{shown}: {message}"),
            _ => shown,
        };
        Self { code, reason, fate }
    }

    /// Whether the service throttled the call.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn is_throttled(&self) -> bool {
        is_throttle(&self.code)
    }
}

fn is_throttle(code: &str) -> bool {
    ["Throttl", "ThroughputExceeded", "RequestLimitExceeded", "SlowDown", "TooManyRequests"]
        .iter()
        .any(|word| code.contains(word))
}

/// The innermost cause, which names the real problem ("connection refused").
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
