use std::{sync::Arc, time::Duration};

use super::{IntrospectionClient, JwtIntrospection};
use crate::{
    jwt,
    online::{Audience, CacheKey, Lookup, LookupRequest, OnlineVerifier, Verified},
    token::VerifiedToken,
};

/// Judges the tokens of one issuer by asking it.
#[derive(Debug)]
pub(crate) struct Introspector {
    pub(crate) online: Arc<OnlineVerifier>,
    pub(crate) client: Arc<IntrospectionClient>,
    pub(crate) jwts: JwtIntrospection,
    /// What JWTs are held to before they are asked about, where that takes the place of a check of their signature.
    pub(crate) jwt_validation: jwt::JwtValidation,
    /// What its opaque tokens begin with; nothing where they are all that no other issuer has a prefix for.
    pub(crate) prefixes: Vec<Box<str>>,
    /// Who is asked and who asks: answers for one are not answers for another.
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

    /// What the issuer says of the token, by an answer that is no older than `max_age`, if that is limited. Of a token that
    /// was verified locally, only whether it is still good is asked.
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

    /// How old an answer about a JWT may be that was verified locally; `None` where it is not asked about.
    pub(crate) fn max_age_for_jwts(&self, demanded: Option<Duration>) -> Option<Duration> {
        match (&self.jwts, demanded) {
            (JwtIntrospection::Every(every), Some(demanded)) => Some(demanded.min(*every)),
            (JwtIntrospection::Every(every), None) => Some(*every),
            (_, demanded) => demanded,
        }
    }
}
