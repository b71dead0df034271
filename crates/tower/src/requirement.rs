use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Extensions, HeaderMap};
use scopegate_core::{Access, Authentication, Error, ScopePolicy, VerifiedToken, authenticated};

use crate::{
    guard::Decided,
    refusal::{Refusal, ResponseForm},
};

/// What a route requires of a token: that it is valid, or also that its scope meets a policy, or what else an [`Access`] says.
///
/// The layers [`RequireScope`](crate::RequireScope), [`RequireToken`](crate::RequireToken) and
/// [`RequireAccess`](crate::RequireAccess) and the extractors of `scopegate-axum` all check it here; extractors of other
/// frameworks should too.
#[derive(Clone, Debug)]
pub struct Requirement {
    access: Access,
    challenge: Box<str>,
    has_warned: Arc<AtomicBool>,
}

impl Requirement {
    /// Requires a valid token, whatever its scope.
    pub fn any_token() -> Self {
        Self::new(authenticated())
    }

    /// Requires a valid token whose scope meets `policy`.
    pub fn scope(policy: ScopePolicy) -> Self {
        Self::new(policy.into())
    }

    /// What `access` requires; `None` where it admits anonymous callers.
    pub fn of(access: &Access) -> Option<Self> {
        (!access.admits_anonymous()).then(|| Self::new(access.clone()))
    }

    pub(crate) fn new(access: Access) -> Self {
        let challenge = access.scope().map(ScopePolicy::challenge).unwrap_or_default();
        Self { access, challenge: challenge.into(), has_warned: Arc::default() }
    }

    /// The scopes that a challenge names, space-delimited; `None` where the requirement is for any token.
    pub fn challenge(&self) -> Option<&str> {
        Some(&*self.challenge).filter(|challenge| !challenge.is_empty())
    }

    /// Whether a fault of the service is to be logged at `warn`: the first time. Any client can name a path that does not exist.
    pub(crate) fn is_first_warning(&self) -> bool {
        !self.has_warned.swap(true, Ordering::Relaxed)
    }

    /// The token of the request with these extensions, if it meets the requirement.
    ///
    /// # Errors
    ///
    /// - `missing_authenticate_layer` (500) where no `Authenticate` has seen the request;
    /// - `no_binding` (500) where a token has to be bound and the resource server accepts no bound one;
    /// - `missing_credentials` (401) where the request is anonymous;
    /// - `unbound_token` (401) where a bearer token does not do;
    /// - `insufficient_scope` (403) where the scope does not suffice;
    /// - `policy_not_met` (403) where a `TokenPolicy` is not met.
    pub fn check<'r>(&self, request: &'r Extensions) -> Result<&'r VerifiedToken, Error> {
        if self.access.scope().is_some() {
            Decided::note_scope(request);
        }
        // SCOPE-5: without `Authenticate` in front, nothing passes.
        let authentication = request.get::<Authentication>().ok_or_else(Error::missing_authenticate_layer)?;
        if authentication.resource_server().access_fault(&self.access).is_some() {
            return Err(Error::no_binding());
        }
        // SCOPE-4: no token is 401, whatever scope is required.
        let token = authentication.token().ok_or_else(Error::missing_credentials)?;
        self.access.check(token)?;
        Ok(token)
    }

    /// [`check`](Self::check), for a method of a gRPC service that decides by itself. It refuses as the layers do, by the
    /// headers of a response that ends with them: `grpc-status`, `grpc-message`, and the challenge as metadata. The refusal is
    /// logged and observed here. In tonic:
    ///
    /// ```text
    /// let token = requirement
    ///     .check_grpc(request.extensions())
    ///     .map_err(|refusal| Status::from_header_map(&refusal).unwrap_or_else(|| Status::internal("refused")))?;
    /// ```
    ///
    /// # Errors
    ///
    /// The headers of the refusal, for the reasons of `check`.
    pub fn check_grpc<'r>(&self, request: &'r Extensions) -> Result<&'r VerifiedToken, HeaderMap> {
        self.check(request).map_err(|error| {
            let refusal = Refusal::new(&error).after(request.get()).requiring(self.challenge());
            refusal.respond::<()>(ResponseForm::GRPC).into_parts().0.headers
        })
    }
}

/// Marks a response whose handler requires more scope than the token has. A response extension.
///
/// `Authenticate`, which knows the realm, turns the marked response into a refusal, whatever its status is. Give the response
/// a status that denies by itself (500), for a service without `Authenticate`.
#[derive(Clone, Debug)]
pub struct UnmetRequirement {
    challenge: Box<str>,
}

impl UnmetRequirement {
    /// The handler requires a token whose scope meets `policy`.
    pub fn new(policy: &ScopePolicy) -> Self {
        Self { challenge: policy.challenge().into() }
    }

    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }
}
