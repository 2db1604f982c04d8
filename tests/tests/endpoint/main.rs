//! The conformance suites of every port against the endpoint that `AWS_ENDPOINT_URL` names.
