//! The end of a token, for what outlives the request that it came with.

use std::{
    fmt,
    future::{self, Future},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use crate::{
    BoxFuture, clock::Clock, jwt::cache::TokenDigest, online::InvalidationLog, refusal::Reason, token::VerifiedToken,
};

/// The longest sleep. A clock that was set, or a machine that slept, is noticed after it.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The invalidations of a resource server, for those who wait for one. They share this and not the resource server, whose keys
/// they would keep up to date for as long as they wait.
pub(super) struct Invalidations {
    log: watch::Sender<InvalidationLog<TokenDigest>>,
    clock: Arc<dyn Clock>,
}

impl Invalidations {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { log: watch::Sender::default(), clock }
    }

    fn now(&self) -> Duration {
        self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Records the invalidation of these tags, and gives the epoch that it begins to `publish` before anybody who waits runs.
    pub(super) fn record(&self, tags: Vec<TokenDigest>, publish: impl FnOnce(u64)) {
        let now = self.now();
        self.log.send_modify(|log| {
            log.record_all(tags, now);
            publish(log.epoch());
        });
    }

    /// Waits until one of these tags is invalidated after the epoch `since`.
    async fn invalidated(&self, tags: &[TokenDigest], mut since: u64) {
        let is_invalidated = |log: &InvalidationLog<TokenDigest>| {
            let from = std::mem::replace(&mut since, log.epoch());
            log.has_any(tags, from)
        };
        if self.log.subscribe().wait_for(is_invalidated).await.is_err() {
            unreachable!("the sender is in `self`");
        }
    }

    async fn reached(&self, time: Duration) {
        while let Some(left) = time.checked_sub(self.now()).filter(|left| !left.is_zero()) {
            self.clock.sleep(left.min(MAX_SLEEP)).await;
        }
    }
}

/// Future: completes when a token is no longer valid, with the reason for which it would be refused now.
///
/// For what outlives the request that the token came with. [`Authentication::token_end`](super::Authentication::token_end) gives
/// it; `AccessToken::ended` of `scopegate-axum` does for handlers.
///
/// | the token | reason |
/// |---|---|
/// | has expired (`exp`, with the leeway of the resource server), the grace over | [`Reason::Expired`] |
/// | is older than its issuer's tokens may be, with the leeway, the grace over | [`Reason::TokenTooOld`] |
/// | was invalidated by [`ResourceServer::invalidate`](crate::ResourceServer::invalidate) after its request came | [`Reason::InactiveToken`] |
///
/// A token without `exp`, as an opaque one may be, ends by an invalidation alone. What does not end a token: the issuer is not
/// asked about it again, so a revocation counts once this process is told of it; and a key that the issuer withdraws ends no
/// token that it has verified, since the token is not kept to be verified by another key. The next request finds out both.
/// The last 1024 invalidations are remembered: a token whose end was not polled while more came has ended.
///
/// Time is that of the resource server's [`Clock`]; a clock that is set is noticed within a minute. Poll it within a tokio
/// runtime, whose time driver the [`SystemClock`](crate::clock::SystemClock) needs. Once complete, it stays so. It keeps neither
/// the resource server nor the token alive.
#[must_use = "futures do nothing unless polled"]
pub struct TokenEnd {
    invalidations: Arc<Invalidations>,
    tags: Arc<[TokenDigest]>,
    since: u64,
    until: Option<(Duration, Reason)>,
    grace: Duration,
    state: State,
}

enum State {
    Idle,
    /// In a mutex that is never locked, so that the future is `Sync`, as the bodies of some frameworks have to be.
    Waiting(Mutex<BoxFuture<'static, Reason>>),
    Ended(Reason),
}

impl TokenEnd {
    /// The end of `token`, or an invalidation of one of `tags` after the epoch `since`.
    pub(super) fn new(
        invalidations: &Arc<Invalidations>,
        tags: Vec<TokenDigest>,
        since: u64,
        token: &VerifiedToken,
    ) -> Self {
        Self {
            invalidations: Arc::clone(invalidations),
            tags: tags.into(),
            since,
            until: token.valid_until(),
            grace: Duration::ZERO,
            state: State::Idle,
        }
    }

    /// Lets so much time pass after the token has expired or is too old. Default: none. An invalidation has no grace. A wait
    /// that has begun begins anew.
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, state: State::Idle, ..self }
    }

    fn wait(&self) -> BoxFuture<'static, Reason> {
        let (invalidations, tags, since) = (Arc::clone(&self.invalidations), Arc::clone(&self.tags), self.since);
        let until = self.until.map(|(time, reason)| (time.saturating_add(self.grace), reason));
        Box::pin(async move {
            let mut invalidated = pin!(invalidations.invalidated(&tags, since));
            let mut over = pin!(async {
                match until {
                    Some((time, reason)) => {
                        invalidations.reached(time).await;
                        reason
                    }
                    None => future::pending().await,
                }
            });
            future::poll_fn(|context| match invalidated.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Reason::InactiveToken),
                Poll::Pending => over.as_mut().poll(context),
            })
            .await
        })
    }
}

impl Future for TokenEnd {
    type Output = Reason;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reason> {
        loop {
            match &mut self.state {
                State::Idle => self.state = State::Waiting(Mutex::new(self.wait())),
                State::Waiting(waiting) => {
                    match waiting.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(reason) => self.state = State::Ended(reason),
                    }
                }
                State::Ended(reason) => return Poll::Ready(*reason),
            }
        }
    }
}

impl fmt::Debug for TokenEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEnd").field("until", &self.until).field("grace", &self.grace).finish_non_exhaustive()
    }
}
