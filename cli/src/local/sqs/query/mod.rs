//! SQS's older query protocol: a form in, XML out.
//!
//! SDKs spoke it until the end of 2023, boto3 before 1.28 among them, and older Java and PHP clients still do. It is a
//! codec and nothing else: a form becomes the JSON of the same request, the same actions answer it, and the answer's
//! JSON becomes XML. Lists and maps alone differ, and [`names`] says how.

mod form;
mod names;
mod request;
mod xml;

pub(super) use request::read;
pub(super) use xml::{refusal, write};
