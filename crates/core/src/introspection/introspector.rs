use std::{sync::Arc, time::Duration};

use super::{IntrospectionClient, JwtIntrospection};
use crate::{
    jwt,
    online::{Audience, CacheKey, Lookup, LookupRequest, OnlineVerifier, Verified},
    token::VerifiedToken,
};

/// Verifies the tokens of one issuer by introspection.
#[derive(Debug)]
pub(crate) struct Introspector {
    pub(crate) online: Arc<OnlineVerifier>,
    pub(crate) client: Arc<IntrospectionClient>,
    pub(crate) jwts: JwtIntrospection,
    /// The checks of a JWT before it is introspected instead of having its signature checked.
    pub(crate) jwt_validation: jwt::JwtValidation,
    /// The prefixes of the issuer's opaque tokens; empty where it has all that no other issuer's prefix matches.
    pub(crate) prefixes: Vec<Box<str>>,
    /// The endpoint and the client, part of the cache key: a response to one client is not valid for another.
    identity: Vec<u8>,
}

impl Introspector {
    pub(crate) fn new(
        online: OnlineVerifier,
        client: IntrospectionClient,
        jwts: JwtIntrospection,
        jwt_validation: jwt::JwtValidation,
        prefixes: Vec<Box<str>>,
    ) -> Self {
        let endpoint = client.endpoint.identity();
        let credentials = client.client.identity();
        let signed = [u8::from(client.signed.is_some())];
        let mut parts: Vec<&[u8]> = vec![endpoint.as_bytes(), &credentials, &signed];
        parts.extend(client.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        if let Audience::Ours { names, .. } = &online.validation.audience {
            parts.extend(names.iter().map(|name| name.as_bytes()));
        }
        let identity = online.digest(&parts).as_bytes().to_vec();
        Self { online: Arc::new(online), client: Arc::new(client), jwts, jwt_validation, prefixes, identity }
    }

    /// Looks the token up in the cache or starts its introspection. A cached response older than `max_age` does not count. Of
    /// a token that was `verified` locally, the response only has to say that it is active.
    pub(crate) fn look_up(&self, token: &str, max_age: Option<Duration>, verified: Option<&VerifiedToken>) -> Lookup {
        let key = self.key(token, verified.is_some());
        if let Some(verdict) = self.online.cached(&key, max_age) {
            return Lookup::Ready(verdict.map(|token| Verified { token, asked_at: None }));
        }
        let (client, presented) = (Arc::clone(&self.client), token.to_owned());
        let lookup = LookupRequest {
            key: Some(key),
            token: self.online.token_tags(token),
            verified: verified.cloned(),
            max_age,
            ask: Box::new(move || Box::pin(async move { client.ask(&presented).await })),
        };
        Lookup::Pending(Box::pin(Arc::clone(&self.online).ask(lookup)))
    }

    fn key(&self, token: &str, is_verified: bool) -> CacheKey {
        let issuer = self.online.validation.issuer.as_bytes();
        self.online.digest(&[b"introspection", issuer, &self.identity, &[u8::from(is_verified)], token.as_bytes()])
    }

    /// The greatest age of a response about a JWT that was verified locally; `None` where it is not introspected.
    pub(crate) fn max_age_for_jwts(&self, required: Option<Duration>) -> Option<Duration> {
        match (&self.jwts, required) {
            (JwtIntrospection::NoOlderThan(max_age), Some(required)) => Some(required.min(*max_age)),
            (JwtIntrospection::NoOlderThan(max_age), None) => Some(*max_age),
            (_, required) => required,
        }
    }
}
