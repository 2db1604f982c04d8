//! The connections of AWS clients.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use lambda_jobs_infra::aws::local_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 17\r\n\r\n{\"TableNames\":[]}";

/// Answers one request.
async fn answer(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    stream.write_all(ANSWER).await.ok()
}

/// A server that closes each connection after so many answers, without saying so before. Counts its connections.
async fn server(answers: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            for _ in 0..answers {
                if answer(&mut stream).await.is_none() {
                    break;
                }
            }
        }
    });
    (url, connections)
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (url, connections) = server(usize::MAX).await;
    let client = Client::new(&local_config(&url));
    for _ in 0..10 {
        client.list_tables().send().await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_has_closed_its_connection_meanwhile_is_connected_to_again() {
    let (url, connections) = server(1).await;
    let client = Client::new(&local_config(&url));
    for _ in 0..10 {
        client.list_tables().send().await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 10);
}
