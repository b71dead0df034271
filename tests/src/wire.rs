use std::{io, net::SocketAddr};

use axum::Router;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A router on a real socket. Dropping it stops the server.
#[derive(Debug)]
pub struct Served {
    /// The address that it listens on.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `router` on an ephemeral port of the loopback interface.
pub async fn serve(router: Router) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Served { address, task }
}

/// Sends bytes and reads until the server closes the connection, so send `Connection: close`.
pub async fn exchange(address: impl ToString, bytes: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address.to_string()).await?;
    // The server may respond and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// This many spaces as gzip (RFC 1952), in one block with fixed codes (RFC 1951 §3.2.6): one space, and then repeatedly "the
/// last byte, 258 times".
pub fn gzip_of_spaces(length: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    // Codes are written from their most significant bit, and bytes are filled from their least significant one.
    let mut code = |value: u32, width: u32| bits.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
    code(0b1, 1); // The last block,
    code(0b10, 2); // with fixed codes: 01, the least significant bit first.
    code(0x30 + u32::from(b' '), 8);
    for _ in 0..length / 258 {
        code(0b1100_0101, 8); // The length 258,
        code(0, 5); // at the distance 1.
    }
    code(0, 7);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte: u8, bit| byte << 1 | u8::from(*bit))));
    gzip
}
