//! Measurement in process: alternating rounds, of which the best counts.

use std::{
    cell::Cell,
    convert::Infallible,
    fmt::Debug,
    future::{Ready, ready},
    hint::black_box,
    marker::PhantomData,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tower::{Service, ServiceExt as _};

use crate::requests::{PATH, Workload};

/// Requests per round.
pub(crate) const CALLS: usize = 200;

/// The best time and the fewest allocations of one request.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) time: Duration,
    pub(crate) allocations: u64,
}

impl Cost {
    pub(crate) const NONE: Self = Self { time: Duration::MAX, allocations: 0 };

    /// Runs a round. The first counts allocations, which takes time; the others are timed.
    fn round(&mut self, number: usize, work: impl FnOnce()) {
        if number == 0 {
            self.allocations = allocation_counter::measure(work).count_total / CALLS as u64;
        } else {
            let start = Instant::now();
            work();
            self.time = self.time.min(start.elapsed() / CALLS as u32);
        }
    }

    pub(crate) fn nanoseconds(self) -> f64 {
        self.time.as_nanos() as f64
    }
}

/// The result of one workload.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// Not sent, since the contender checks nothing.
    NotSent,
    /// Valid tokens are refused: the crate, as configured, does not accept these.
    Refused(StatusCode),
    Cost(Cost),
}

/// Prepares requests, sends them within `measured`, and returns whether a response was unexpected.
type Send = Box<dyn FnMut(&mut dyn Iterator<Item = &Request<()>>, StatusCode, Measured<'_>) -> Option<StatusCode>>;

/// Runs the given closure once.
type Measured<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// A measured service.
pub(crate) struct Contender {
    /// The crate, and its version where it is not of this repository.
    pub(crate) name: String,
    /// How it is configured.
    pub(crate) how: &'static str,
    /// Whether it verifies tokens. If not, it gets valid tokens only.
    guards: bool,
    pub(crate) outcomes: Vec<Outcome>,
    /// The same as an HTTP service.
    pub(crate) router: Router,
    send: Send,
    waits: Rc<Cell<usize>>,
}

impl Contender {
    pub(crate) fn new<S, B, R>(name: impl Into<String>, how: &'static str, service: S) -> Self
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + std::marker::Send + Sync + 'static,
        S::Error: Debug,
        S::Future: std::marker::Send,
        B: Default + 'static,
        R: http_body::Body<Data = Bytes> + std::marker::Send + 'static,
        R::Error: Into<axum::BoxError>,
    {
        let waits = Rc::new(Cell::new(0));
        let mounted = service
            .clone()
            .map_request(|request: Request<Body>| request.map(|_| B::default()))
            .map_response(|answer| answer.map(Body::new))
            .map_err(|error| -> Infallible { panic!("no service here fails: {error:?}") });
        let send = sender(service, waits.clone());
        let router = Router::new().route_service(PATH, mounted);
        Self { name: name.into(), how, guards: true, outcomes: Vec::new(), router, send, waits }
    }

    /// Marks the service that verifies nothing.
    pub(crate) fn unguarded(mut self) -> Self {
        self.guards = false;
        self
    }

    /// Sends every request once, and waits a while for keys.
    ///
    /// A refused valid token becomes the result of its column.
    ///
    /// # Errors
    ///
    /// When an invalid token is not refused as expected: the costs would not be comparable.
    pub(crate) fn check(&mut self, workloads: &[Workload], misdirected: &[Workload]) -> Result<(), String> {
        let begin = Instant::now();
        while self.other_answer(&workloads[0]).is_some() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for workload in workloads.iter().chain(misdirected) {
            let good = workload.status == StatusCode::OK;
            let outcome = if !good && !self.guards {
                Outcome::NotSent
            } else {
                match self.other_answer(workload) {
                    None => Outcome::Cost(Cost::NONE),
                    Some(other) if good => Outcome::Refused(other),
                    Some(other) => return Err(self.unexpected(workload, other)),
                }
            };
            self.outcomes.push(outcome);
        }
        self.outcomes.truncate(workloads.len());
        self.waits.set(0);
        Ok(())
    }

    /// Sends every request once, in this order. What is measured is one workload with accepted requests.
    ///
    /// # Errors
    ///
    /// When an answer is not the expected one.
    pub(crate) fn check_in_order(&mut self, workloads: &[Workload]) -> Result<(), String> {
        for workload in workloads {
            if let Some(other) = self.other_answer(workload) {
                return Err(self.unexpected(workload, other));
            }
        }
        self.outcomes = vec![Outcome::Cost(Cost::NONE)];
        self.waits.set(0);
        Ok(())
    }

    fn unexpected(&self, workload: &Workload, other: StatusCode) -> String {
        format!("{}: \"{}\" is answered by {other} and not by {}", self.name, workload.name, workload.status)
    }

    fn other_answer(&mut self, workload: &Workload) -> Option<StatusCode> {
        (self.send)(&mut workload.requests.iter(), workload.status, &mut |work| work())
    }

    /// How many requests did not get their response at once during the measurement.
    pub(crate) fn waits(&self) -> usize {
        self.waits.get()
    }

    fn round(&mut self, number: usize, column: usize, workload: &Workload) {
        let Outcome::Cost(best) = &mut self.outcomes[column] else { return };
        let mut requests = workload.requests.iter().cycle().skip(number * CALLS % workload.requests.len()).take(CALLS);
        let other = (self.send)(&mut requests, workload.status, &mut |work| best.round(number, work));
        if let Some(other) = other {
            panic!("{}: \"{}\" was answered by {other} while it was measured", self.name, workload.name);
        }
    }
}

fn sender<S, B, R>(mut service: S, waits: Rc<Cell<usize>>) -> Send
where
    S: Service<Request<B>, Response = Response<R>> + 'static,
    S::Error: Debug,
    B: Default + 'static,
    R: 'static,
{
    let runtime = Handle::current();
    Box::new(move |requests, status, measured| {
        let batch: Vec<Request<B>> = requests.map(|request| request.clone().map(|()| B::default())).collect();
        let mut batch = batch.into_iter();
        let mut other = None;
        measured(&mut || {
            let context = &mut Context::from_waker(Waker::noop());
            for request in batch.by_ref() {
                let ready = service.poll_ready(context);
                assert!(matches!(ready, Poll::Ready(Ok(()))), "a service that is not ready");
                let mut answer = pin!(service.call(request));
                let answer = match answer.as_mut().poll(context) {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => {
                        waits.set(waits.get() + 1);
                        runtime.block_on(answer)
                    }
                };
                let answer = black_box(answer).expect("no service here fails");
                if answer.status() != status {
                    other = Some(answer.status());
                }
            }
        });
        other
    })
}

/// Measures all contenders in alternating rounds, and the signature check alone, whose cost it returns.
pub(crate) fn measure(rounds: usize, contenders: &mut [Contender], workloads: &[Workload], bare: impl Fn()) -> Cost {
    let mut alone = Cost::NONE;
    for number in 0..=rounds {
        round(number, contenders, workloads, &mut alone, &bare);
    }
    alone
}

/// One round of all contenders, and of the signature check alone.
pub(crate) fn round(
    number: usize,
    contenders: &mut [Contender],
    workloads: &[Workload],
    alone: &mut Cost,
    mut bare: impl FnMut(),
) {
    alone.round(number, || {
        for _ in 0..CALLS {
            bare();
        }
    });
    for (column, workload) in workloads.iter().enumerate() {
        for contender in &mut *contenders {
            contender.round(number, column, workload);
        }
    }
}

/// The service behind every contender: an empty response.
pub(crate) struct Inner<R>(PhantomData<fn() -> R>);

impl<R> Inner<R> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Clone for Inner<R> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<B, R: Default> Service<Request<B>> for Inner<R> {
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Ready<Result<Response<R>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(R::default())))
    }
}
