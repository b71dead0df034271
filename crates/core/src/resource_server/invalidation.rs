use super::ResourceServer;
use crate::{
    BoxFuture,
    dispatch::Dispatch,
    jose::is_jwt_shaped,
    jwt::{DecodedJwt, JwtBuffers},
    online::{Invalidate, Invalidated, StoreError},
    token::claims::UnverifiedClaims,
};

impl ResourceServer {
    /// Drops the cached answers about a token, a subject or a session, for an application that learns of a revocation. The next
    /// request that needs such an answer causes a new lookup, and the answer to a lookup in flight is not cached.
    ///
    /// What waits for the [end](crate::TokenEnd) of such a token, as a stream does, is told so, whatever verified the token.
    ///
    /// The answers cached here are gone when this returns. The future does the same to a shared
    /// [store](crate::online::CacheStore), where there is one, and gives the outcome after half a second for each issuer at
    /// most.
    ///
    /// Not concerned are:
    ///
    /// - JWTs that are verified locally and not introspected: without an
    ///   [`Introspection`](crate::introspection::Introspection) of their issuer, and with
    ///   [`JwtIntrospection::WhereRequired`](crate::introspection::JwtIntrospection) on routes without `RequireActive`. They
    ///   stay valid until they expire, so that a client whose stream was ended may begin another. Where such tokens are never looked up, [`Invalidated::is_asked_about`] and a warning in
    ///   the log say so;
    /// - other replicas. What they have in their own memory stays there for up to
    ///   [`CacheConfig::ttl`](crate::online::CacheConfig::ttl), and a lookup that one of them has in flight may put its answer
    ///   into the store after this. Tell each replica of a revocation that matters.
    ///
    /// ```
    /// # async fn hook(resource_server: scopegate_core::ResourceServer) -> Result<(), scopegate_core::online::StoreError> {
    /// use scopegate_core::online::Invalidate;
    ///
    /// resource_server.invalidate(Invalidate::Subject { issuer: "https://tenant.example", subject: "alice" }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store fails or takes too long; then all replicas may use the answers in it until these expire.
    pub fn invalidate(&self, what: Invalidate<'_>) -> BoxFuture<'static, Result<Invalidated, StoreError>> {
        let mut invalidated = Invalidated { answers: 0, is_asked_about: false };
        let mut in_stores = Vec::new();
        for online in self.server().dispatch.online_verifiers() {
            let Some(tag) = online.tag_of(what) else { continue };
            let (answers, in_store) = online.invalidate(tag);
            invalidated.answers += answers;
            invalidated.is_asked_about = true;
            in_stores.push(in_store);
        }
        if let Invalidate::Token(token) = what {
            invalidated.is_asked_about = self.is_looked_up(token);
        }
        self.server().end_tokens(what);
        if !invalidated.is_asked_about {
            tracing::warn!(
                ?what,
                "nobody is asked about such tokens: what waits for their end is ended, and they stay valid"
            );
        }
        Box::pin(async move {
            let mut outcome = Ok(invalidated);
            for in_store in in_stores {
                // Each is awaited, whether or not others failed.
                outcome = outcome.and(in_store.await.map(|()| invalidated));
            }
            outcome
        })
    }

    /// Whether this token may be looked up online: there are verifiers of the application, or its issuer has an introspection.
    fn is_looked_up(&self, token: &str) -> bool {
        let Dispatch { issuers, applications } = &self.server().dispatch;
        if !applications.is_empty() {
            return true;
        }
        if !is_jwt_shaped(token) {
            return issuers.introspector_of_opaque(token).is_some();
        }
        let (mut buffers, mut claims) = (JwtBuffers::new(), UnverifiedClaims::default());
        let jwt = DecodedJwt::decode(token, &mut buffers, &mut claims, &self.server().claim_names).ok();
        let issuer = jwt.as_ref().and_then(|jwt| jwt.claims.string("iss", "iss").ok().flatten());
        issuer.is_some_and(|issuer| issuers.introspector(issuer).is_some())
    }
}
