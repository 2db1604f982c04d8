//! The stack's port, as clients and scripts meet it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::process::{self, Running};

/// Sends a request, and returns the status line and the body.
fn ask(mut stream: TcpStream, head: &str, body: &[u8]) -> (String, String) {
    let length = body.len();
    let head = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A stack that has refused a request already may not read its rest.
    let _ = stream.write_all(body);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn connect(port: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(format!("127.0.0.1:{port}"))
}

#[test]
fn who_can_connect_finds_every_queue_and_table() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut stack = process::spawn(&["dev", "--no-demo", "--no-worker", "--no-rules", "--port", &port]);
    let stream = loop {
        if let Ok(stream) = connect(&port) {
            break stream;
        }
        assert!(stack.0.try_wait().unwrap().is_none(), "the stack has ended");
        std::thread::yield_now();
    };
    let (status, body) = ask(stream, "POST /", b"Action=ListQueues&Version=2012-11-05");
    assert_eq!((status.as_str(), body.matches("<QueueUrl>").count()), ("HTTP/1.1 200 OK", 8), "{body}");
    let listed = process::run(&["list", &format!("--local={port}")]);
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn health_answers_and_other_requests_are_told_what_is_served() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let ask = |head: &str, body: &[u8]| ask(connect(&stack.port).unwrap(), head, body);
    let (status, body) = ask("GET /health", b"");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status.as_str(), &body["status"]), ("HTTP/1.1 200 OK", &json!("ok")));

    let (_, queue) = ask("GET /?Action=GetQueueUrl&QueueName=lambda-jobs-low&Version=2012-11-05", b"");
    assert!(queue.contains("/000000000000/lambda-jobs-low</QueueUrl>"), "{queue}");
    let (status, body) = ask("GET /", b"");
    assert!(status.contains("400") && body.contains("GET /health says whether it is ready"), "{body}");
    let (status, body) = ask("POST /", &vec![b'x'; 16 * 1024 * 1024 + 1]);
    assert!(status.contains("413") && body.contains("at most 16777216 bytes"), "{status} {body}");
}
