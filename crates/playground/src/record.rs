//! What is recorded of requests to the API: their log lines, and how long they took.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use serde::Serialize;
use tower_service::Service as _;

use crate::{AppState, Failure};

/// How many requests are recorded; older ones are dropped.
const CAPACITY: usize = 500;

/// How much of the log of a request is kept, in bytes.
const LOG_LIMIT: usize = 64 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const UNKNOWN_REQUEST: Failure = Failure::new(
    StatusCode::NOT_FOUND,
    "no such request is recorded: take x-request-id of a response of the API, one of the last 500",
);

tokio::task_local! {
    /// The log of the request that this task is serving.
    static LOG: Arc<Mutex<Vec<u8>>>;
}

/// Collects what is logged while the API serves a request. The rest is dropped: use it beside another writer. See the [crate
/// docs](crate#log-lines).
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter(());

impl LogWriter {
    /// A writer. All of them are alike: the task that writes decides which request it is for.
    pub fn new() -> Self {
        Self(())
    }
}

impl io::Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let append = |log: &Arc<Mutex<Vec<u8>>>| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let room = LOG_LIMIT.saturating_sub(log.len()).min(text.len());
            log.extend_from_slice(&text[..room]);
        };
        // An error means that this task serves no request.
        let _ = LOG.try_with(append);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last requests to the API.
#[derive(Default)]
pub(crate) struct Records {
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    last_id: u64,
    requests: VecDeque<(u64, Record)>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Record {
    lines: Vec<String>,
    microseconds: f64,
}

impl Records {
    /// Records a request, and returns its id.
    fn add(&self, record: Record) -> u64 {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.last_id += 1;
        let id = recorded.last_id;
        recorded.requests.truncate(CAPACITY - 1);
        recorded.requests.push_front((id, record));
        id
    }

    fn get(&self, id: u64) -> Option<Record> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.requests.iter().find(|(own, _)| *own == id).map(|(_, record)| record.clone())
    }
}

/// Calls the API, and records the request. The time is that of all its layers and of the handler, within this process, until the
/// head of the response; to read the request and to write the response takes longer.
pub(crate) async fn call_api(State(shared): AppState, request: Request) -> Response {
    let log = Arc::<Mutex<Vec<u8>>>::default();
    let mut api = shared.api.clone();
    let (response, took) = timed(LOG.scope(Arc::clone(&log), api.call(request))).await;
    let Ok(mut response) = response;

    let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    let lines = String::from_utf8_lossy(&log).lines().map(str::to_owned).collect();
    let id = shared.records.add(Record { lines, microseconds: in_microseconds(took) });
    let timing = format!("gate;dur={:.4}", took.as_secs_f64() * 1_000.0);
    let timing = HeaderValue::try_from(timing).expect("a number is legal in a header");
    response.headers_mut().insert(REQUEST_ID, id.into());
    response.headers_mut().insert(SERVER_TIMING, timing);
    response
}

#[expect(clippy::disallowed_methods, reason = "a measurement of this process, which no clock of a test could make")]
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let output = future.await;
    (output, began.elapsed())
}

/// `GET /playground/log/{id}`
pub(crate) async fn log(State(shared): AppState, Path(id): Path<String>) -> Result<Json<Record>, Failure> {
    let record = id.parse().ok().and_then(|id| shared.records.get(id));
    record.map(Json).ok_or(UNKNOWN_REQUEST)
}

/// With one decimal.
fn in_microseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000_000.0).round() / 10.0
}
