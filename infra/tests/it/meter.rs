//! Counts a client's requests and their charged units.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_execute_statement::{
    BatchExecuteStatementInput, BatchExecuteStatementOutput,
};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{ScanInput, ScanOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};

/// The counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Requests on the wire, including retries.
    pub(crate) requests: u32,
    /// Write units of statements and puts, including index writes.
    pub(crate) units: f64,
}

/// What requests have on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bytes {
    pub(crate) bodies: usize,
    /// Their request lines and headers. The client's connection adds one more, `host`.
    pub(crate) heads: usize,
}

impl std::ops::Sub for Bytes {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { bodies: self.bodies - earlier.bodies, heads: self.heads - earlier.heads }
    }
}

/// Counts a client's requests, and the write units of its statement batches and puts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<(Figures, Bytes)>>, Arc<Mutex<f64>>);

impl Meter {
    /// The counts since the last call.
    pub(crate) fn take(&self) -> Figures {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }

    /// The read units of queries, scans and batches of reads since the last call.
    pub(crate) fn take_reads(&self) -> f64 {
        std::mem::take(&mut *self.1.lock().unwrap())
    }

    /// The bytes of requests since the last count was taken.
    pub(crate) fn bytes(&self) -> Bytes {
        self.0.lock().unwrap().1
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(input) = context.input_mut().downcast_mut::<BatchExecuteStatementInput>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Indexes);
        }
        if let Some(input) = context.input_mut().downcast_mut::<PutItemInput>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Indexes);
        }
        if let Some(input) = context.input_mut().downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
        if let Some(input) = context.input_mut().downcast_mut::<ScanInput>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
        if let Some(input) = context.input_mut().downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let header = |(name, value): (&str, &str)| name.len() + ": ".len() + value.len() + "\r\n".len();
        let line = "POST / HTTP/1.1\r\n".len() + "\r\n".len();
        let (figures, bytes) = &mut *self.0.lock().unwrap();
        figures.requests += 1;
        bytes.heads += line + request.headers().iter().map(header).sum::<usize>();
        bytes.bodies += request.body().bytes().map_or(0, <[u8]>::len);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error() else { return Ok(()) };
        if let Some(output) = output.downcast_ref::<BatchExecuteStatementOutput>() {
            let tables = output.consumed_capacity();
            self.0.lock().unwrap().0.units +=
                tables.iter().filter_map(|table| table.capacity_units).sum::<f64>();
        }
        if let Some(table) = output.downcast_ref::<PutItemOutput>().and_then(PutItemOutput::consumed_capacity)
        {
            self.0.lock().unwrap().0.units += table.capacity_units.unwrap_or_default();
        }
        let read = |table: &ConsumedCapacity| table.capacity_units.unwrap_or_default();
        let query = output.downcast_ref::<QueryOutput>().and_then(QueryOutput::consumed_capacity);
        let scan = output.downcast_ref::<ScanOutput>().and_then(ScanOutput::consumed_capacity);
        let batch = output.downcast_ref::<BatchGetItemOutput>().map(BatchGetItemOutput::consumed_capacity);
        let reads = query.into_iter().chain(scan).chain(batch.into_iter().flatten());
        *self.1.lock().unwrap() += reads.map(read).sum::<f64>();
        Ok(())
    }
}
