//! What the clones of a resource server share.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::HeaderName;

use super::{protected_resource::Resource, token_end::Invalidations, token_identity::TokenIdentity};
use crate::{
    clock::Clock,
    confirmation::ConfirmationVerifier,
    dispatch::Dispatch,
    jwt::cache::{JwtCache, TokenDigest},
    observe::{LogSampler, Observer},
    refusal::{Error, trace::Trace},
    request::{Scheme, Transports},
    token::{VerifiedToken, claims::ClaimNames},
};

pub(super) struct Inner {
    pub(super) default_realm: Box<str>,
    pub(super) audiences: Box<[Box<str>]>,
    pub(super) resources: Box<[Resource]>,
    pub(super) dispatch: Dispatch,
    pub(super) claim_names: ClaimNames,
    pub(super) max_token_length: usize,
    pub(super) token_header: Option<HeaderName>,
    pub(super) confirmation: ConfirmationVerifier,
    pub(super) uniform_refusals: bool,
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// The observer, if it wants authentications.
    pub(super) authentication_observer: Option<Arc<dyn Observer>>,
    pub(super) log_sampler: Mutex<LogSampler>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) jwt_cache: JwtCache,
    /// Changes with each invalidation. Beside the log of them, which requests do not look at.
    pub(super) invalidation_epoch: AtomicU64,
    pub(super) invalidations: Arc<Invalidations>,
}

/// A token as it was presented, and its key in the JWT cache.
#[derive(Clone, Copy)]
pub(super) struct DigestedToken<'t> {
    pub(super) scheme: Scheme,
    pub(super) token: &'t str,
    pub(super) digest: TokenDigest,
    /// Whether it was looked up in the cache a moment ago and not found.
    pub(super) cache_missed: bool,
    /// The epoch of invalidations when the request came.
    pub(super) epoch: u64,
    /// Whether the decision is to be explained. Then nothing that is remembered is used.
    pub(super) trace: &'t Trace,
}

impl DigestedToken<'_> {
    pub(super) fn presented(self) -> TokenIdentity {
        TokenIdentity { digest: self.digest, signed_part: None, epoch: self.epoch }
    }
}

impl Inner {
    /// Where tokens may be.
    pub(super) fn transports(&self) -> Transports<'_> {
        Transports { token_header: self.token_header.as_ref(), dpop: self.confirmation.dpop.is_some() }
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The epoch of invalidations now. Read before any cache is, so that an invalidation which a cached answer missed is later.
    pub(super) fn epoch(&self) -> u64 {
        self.invalidation_epoch.load(Ordering::Acquire)
    }

    /// The verified token of a JWT from the cache, if its times and its issuer's keys still allow it.
    pub(super) fn cached_jwt(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        // BCP-3: what is cached is judged by the time and the keys of this moment.
        self.jwt_cache.get(digest, |token| {
            token.is_valid_at(self.now()) && self.dispatch.issuers.keys_are_current(token.issuer_context())
        })
    }

    /// The refusal of a JWT whose signature was not verified, without what it says of the issuer if refusals are uniform.
    pub(super) fn worded(&self, error: Error) -> Error {
        if self.uniform_refusals { error.concealed() } else { error }
    }
}
