//! The connection of a store: made when it is first needed, and made again when it is lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use scopegate_core::clock::{Clock as _, SystemClock};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    connection::Connection,
    error::CallError,
    route::Route,
    server::Server,
    time::{Deadline, is_recent},
};

/// How long a failed attempt to connect stands for the calls that follow, so that a server that is down costs them no wait and
/// no flood of attempts reaches it when it comes back.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The connection of a store.
pub(crate) struct Link {
    route: Arc<Route>,
    deadline: Duration,
    current: Mutex<Option<Arc<Attempt>>>,
}

type Outcome = Result<Arc<(Connection, Server)>, Failed>;

/// An attempt to connect, and then the connection. It is made in a task, so that it outlives a call that waits no longer; the task
/// ends with the attempt.
struct Attempt {
    outcome: Shared<BoxFuture<'static, Outcome>>,
    began: SystemTime,
}

#[derive(Clone)]
struct Failed {
    error: CallError,
    at: SystemTime,
}

impl Failed {
    fn now(error: CallError) -> Self {
        Self { error, at: SystemClock.now() }
    }
}

impl Link {
    pub(crate) fn new(route: Route, deadline: Duration) -> Self {
        Self { route: Arc::new(route), deadline, current: Mutex::default() }
    }

    /// Sends the command that `make` makes for the server, once. It is sent again only if the server said that it is not the one
    /// to ask.
    pub(crate) async fn call(&self, make: impl Fn(&Server) -> Result<Cmd, CallError>) -> Result<Value, CallError> {
        let mut deadline = Deadline::after(self.deadline);
        let mut was_sent_on = false;
        loop {
            let Some(connected) = deadline.limit(self.connected()).await else {
                self.discard_if_stuck();
                return Err(CallError::unreachable("connecting took longer than the deadline"));
            };
            let (attempt, connected) = connected?;
            let (connection, server) = &*connected;
            let command = make(server)?;
            let error = match deadline.limit(connection.send(&command)).await {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(error)) => error,
                None => {
                    // The server is slow, or gone without a word; a new connection will tell.
                    self.discard(&attempt);
                    return Err(CallError::unreachable("there was no answer within the deadline"));
                }
            };
            if is_of_other_server(&error) {
                self.discard(&attempt);
                if !was_sent_on {
                    was_sent_on = true;
                    continue;
                }
            } else if error.is_unrecoverable_error() {
                self.discard(&attempt);
            }
            return Err(error.into());
        }
    }

    async fn connected(&self) -> Result<(Arc<Attempt>, Arc<(Connection, Server)>), CallError> {
        // What is found may be over by now: a connection that was closed, or a failure that nobody waited for.
        for _ in 0..3 {
            let attempt = self.attempt();
            match attempt.outcome.clone().await {
                Ok(connected) if !connected.0.is_closed() => return Ok((attempt, connected)),
                Err(failed) if is_recent(failed.at, RETRY_AFTER) => return Err(failed.error),
                _ => self.discard(&attempt),
            }
        }
        Err(CallError::unreachable("the connection was closed"))
    }

    fn attempt(&self) -> Arc<Attempt> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(current.get_or_insert_with(|| Arc::new(Attempt::begin(Arc::clone(&self.route)))))
    }

    /// Gives up an attempt whose runtime does not run any more, which would never end.
    fn discard_if_stuck(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|attempt| !is_recent(attempt.began, 4 * self.route.timeout));
    }

    /// Has the next call connect anew. Calls that wait for an answer of this connection keep it until then.
    fn discard(&self, attempt: &Arc<Attempt>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|current| Arc::ptr_eq(current, attempt));
    }
}

impl Attempt {
    fn begin(route: Arc<Route>) -> Self {
        let mut task = JoinSet::new();
        if Handle::try_current().is_ok() {
            task.spawn(async move { route.connect().await.map(Arc::new).map_err(Failed::now) });
        }
        let outcome = async move {
            match task.join_next().await {
                Some(Ok(outcome)) => outcome,
                Some(Err(error)) => Err(Failed::now(CallError::unreachable(error))),
                None => Err(Failed::now(CallError::unreachable("there is no tokio runtime"))),
            }
        };
        Self { outcome: outcome.boxed().shared(), began: SystemClock.now() }
    }
}

/// Whether the command has to go elsewhere: this server is a replica now, or has not got the slot. It was not executed. In a
/// script, a server before Redis 7 gives the code within the text.
fn is_of_other_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::ReadOnly))
        || error.to_string().contains("READONLY")
}
