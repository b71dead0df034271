//! The same over HTTP/1.1 on loopback: axum serves each contender in a process of its own with one worker thread, and one
//! thread here keeps 32 connections busy. On a machine with two cores neither takes time from the other.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use http::{Request, header::AUTHORIZATION};
use httparse::Status;
use tokio::runtime::{self, Runtime};

use crate::{
    peers::{Peer, Tokens},
    requests::{PATH, Upstream, Workload},
};

/// The argument that makes this program a server.
pub(crate) const SERVE: &str = "serve";

const CONNECTIONS: usize = 32;
/// Requests per round.
const REQUESTS: usize = 10_000;
/// The time-out of a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cost of a request in each round.
#[derive(Clone, Default)]
pub(crate) struct Rounds {
    /// Elapsed time, with all connections busy.
    pub(crate) time: Vec<Duration>,
    /// Processor time of the server's threads. Empty where the system does not report it.
    pub(crate) processor: Vec<Duration>,
}

/// The median of the rounds.
pub(crate) fn median(rounds: &[Duration]) -> Option<Duration> {
    let mut rounds = rounds.to_vec();
    rounds.sort_unstable();
    Some(*rounds.get(rounds.len() / 2)? / REQUESTS as u32)
}

/// The throughput relative to the other: the median of the rounds, compared round by round.
pub(crate) fn ratio(rounds: &[Duration], other: &[Duration]) -> Option<f64> {
    let ratio = |(one, other): (&Duration, &Duration)| other.as_secs_f64() / one.as_secs_f64();
    let mut ratios: Vec<f64> = rounds.iter().zip(other).map(ratio).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

/// Requests as bytes.
struct Raw {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Raw {
    fn new(workload: &Workload) -> Self {
        Self { requests: workload.requests.iter().map(raw).collect(), next: 0 }
    }
}

fn raw(request: &Request<()>) -> Vec<u8> {
    let token = request.headers()[AUTHORIZATION].to_str().expect("a token is ASCII");
    format!("GET {PATH} HTTP/1.1\r\nHost: api.example\r\nAuthorization: {token}\r\n\r\n").into_bytes()
}

/// Measures every peer with every workload in alternating rounds. Returns the results of each peer by name.
///
/// # Errors
///
/// When a server does not start, or answers a valid token with anything but 200.
pub(crate) fn measure(
    rounds: usize,
    upstream: &Upstream,
    workloads: &[Workload],
) -> io::Result<Vec<(String, Vec<Rounds>)>> {
    let mut raw: Vec<Raw> = workloads.iter().map(Raw::new).collect();
    let mut servers = Vec::new();
    for number in 0..Peer::ALL.len() {
        let mut server = Server::start(number, upstream)?;
        server.wait_for_keys(&raw[0].requests[0])?;
        for raw in &raw {
            server.send(raw.requests.iter())?;
        }
        eprintln!("{}: all {} tokens once", server.name, raw.iter().map(|raw| raw.requests.len()).sum::<usize>());
        servers.push((server, vec![Rounds::default(); raw.len()]));
    }
    for round in 0..rounds {
        for (column, raw) in raw.iter_mut().enumerate() {
            for (server, rounds) in &mut servers {
                let before = server.processor_time();
                let start = Instant::now();
                server.send(raw.requests.iter().cycle().skip(raw.next).take(REQUESTS))?;
                let time = start.elapsed();
                rounds[column].time.push(time);
                rounds[column]
                    .processor
                    .extend(server.processor_time().zip(before).map(|(after, before)| after - before));
            }
            raw.next = (raw.next + REQUESTS) % raw.requests.len();
        }
        eprintln!("round {} of {rounds} over HTTP", round + 1);
    }
    Ok(servers.into_iter().map(|(server, rounds)| (server.name.clone(), rounds)).collect())
}

/// A process that serves one contender, until it is dropped.
struct Server {
    name: String,
    process: Child,
    connections: Vec<Connection>,
}

impl Server {
    fn start(peer: usize, upstream: &Upstream) -> io::Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args([SERVE, &peer.to_string(), &upstream.issuer, &upstream.jwks_uri, &upstream.algorithm])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let (port, name) = line.trim_end().split_once(' ').ok_or_else(|| io::Error::other("a server did not start"))?;
        let port = port.parse().map_err(|_| io::Error::other(format!("{port} is no port")))?;
        let connections = (0..CONNECTIONS).map(|_| Connection::open(port)).collect::<io::Result<_>>()?;
        Ok(Self { name: name.to_owned(), process, connections })
    }

    fn wait_for_keys(&mut self, request: &[u8]) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            self.connections[0].write(request)?;
            match self.connections[0].read_status()? {
                200 => return Ok(()),
                status if begin.elapsed() > Duration::from_secs(5) => return Err(self.refused(status)),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Sends all requests, one at a time on each connection.
    fn send<'a>(&mut self, requests: impl Iterator<Item = &'a Vec<u8>>) -> io::Result<()> {
        let mut sent = 0;
        for request in requests {
            if sent >= CONNECTIONS {
                self.expect_answer(sent % CONNECTIONS)?;
            }
            self.connections[sent % CONNECTIONS].write(request)?;
            sent += 1;
        }
        (sent.saturating_sub(CONNECTIONS)..sent).try_for_each(|sent| self.expect_answer(sent % CONNECTIONS))
    }

    fn expect_answer(&mut self, connection: usize) -> io::Result<()> {
        match self.connections[connection].read_status()? {
            200 => Ok(()),
            status => Err(self.refused(status)),
        }
    }

    fn refused(&self, status: u16) -> io::Error {
        io::Error::other(format!("{}: a good token was answered by {status} over HTTP", self.name))
    }

    /// The processor time of the process's threads, as Linux counts it.
    fn processor_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).ok()?;
        let times = threads.map(|thread| {
            let schedule = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            schedule.split(' ').next()?.parse::<u64>().ok()
        });
        times.sum::<Option<u64>>().map(Duration::from_nanos)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing its standard input tells the process to end.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A connection that is kept alive.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    fn write(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Reads one response with its body.
    fn read_status(&mut self) -> io::Result<u16> {
        self.buffer.clear();
        loop {
            self.read_some()?;
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut headers);
            let Status::Complete(head) = response.parse(&self.buffer).map_err(io::Error::other)? else { continue };
            let status = response.code.unwrap_or_default();
            let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse().ok()).unwrap_or(0_usize);
            while self.buffer.len() < head + length {
                self.read_some()?;
            }
            return Ok(status);
        }
    }

    fn read_some(&mut self) -> io::Result<()> {
        let mut chunk = [0; 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            length => {
                self.buffer.extend_from_slice(&chunk[..length]);
                Ok(())
            }
        }
    }
}

/// With one worker thread.
pub(crate) fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Serves one contender on a port of its own, which it prints with the contender's name, until standard input ends.
pub(crate) async fn serve(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [peer, issuer, jwks_uri, algorithm] = arguments else { return Err("four arguments are needed".into()) };
    let upstream = Upstream { issuer: issuer.clone(), jwks_uri: jwks_uri.clone(), algorithm: algorithm.clone() };
    let peer = Peer::ALL.get(peer.parse::<usize>()?).ok_or("there is no such peer")?;
    let contender = peer.contender(&upstream, Tokens::Bearer).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    println!("{} {}", listener.local_addr()?.port(), contender.name);
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    Ok(axum::serve(tokio::net::TcpListener::from_std(listener)?, contender.router).await?)
}
