//! Answers in the form that SDKs expect.
//!
//! In JSON an error has three names: the shape in the body's `__type`, the older query protocol's code in the
//! header `x-amzn-query-error`, which SDKs prefer, and the HTTP status. In XML it has the code and the status.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;

use super::{fault::Fault, query};

const XML: HeaderValue = HeaderValue::from_static("text/xml");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

#[derive(Serialize)]
struct ErrorBody {
    #[serde(rename = "__type")]
    shape: &'static str,
    message: String,
}

/// The HTTP response for an answer in JSON.
pub(super) fn answer(result: Result<Vec<u8>, Fault>, request_id: &str) -> Response {
    let (status, body, code) = match result {
        Ok(json) => (StatusCode::OK, json, None),
        Err(fault) => {
            let body = ErrorBody { shape: fault.shape(), message: fault.message() };
            let (status, blame) = fault.blame();
            let code = format!("{};{blame}", fault.code());
            (status, serde_json::to_vec(&body).unwrap_or_default(), HeaderValue::from_str(&code).ok())
        }
    };
    let mut response = response(status, body, JSON, request_id);
    if let Some(code) = code {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

/// The HTTP response for an answer in XML.
pub(super) fn answer_xml(result: Result<String, Fault>, request_id: &str) -> Response {
    let (status, body) = match result {
        Ok(xml) => (StatusCode::OK, xml),
        Err(fault) => {
            let (status, blame) = fault.blame();
            (status, query::refusal(blame, fault.code(), &fault.message(), request_id))
        }
    };
    response(status, body.into_bytes(), XML, request_id)
}

fn response(status: StatusCode, body: Vec<u8>, content_type: HeaderValue, request_id: &str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
