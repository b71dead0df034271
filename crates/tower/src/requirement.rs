use scopegate_core::{Authentication, Error, ScopePolicy, VerifiedToken};

/// What a route demands of a token: any good one, or one whose scope meets a policy.
///
/// [`RequireScope`](crate::RequireScope), [`RequireToken`](crate::RequireToken) and extractors ask the same question, and
/// ask it here.
#[derive(Clone, Debug)]
pub struct Requirement {
    policy: Option<ScopePolicy>,
    challenge: Box<str>,
}

impl Requirement {
    /// Any good token will do.
    pub fn any_token() -> Self {
        Self { policy: None, challenge: "".into() }
    }

    /// The token's scope has to meet `policy`.
    pub fn scope(policy: ScopePolicy) -> Self {
        Self { challenge: policy.challenge().into(), policy: Some(policy) }
    }

    /// The scopes that a challenge names, where the requirement names any.
    pub fn challenge(&self) -> Option<&str> {
        Some(&*self.challenge).filter(|challenge| !challenge.is_empty())
    }

    /// The token that meets the requirement.
    ///
    /// # Errors
    ///
    /// - `missing_authenticate_layer` (500) where no `Authenticate` has seen the request;
    /// - `missing_credentials` (401) where the request is anonymous;
    /// - `insufficient_scope` (403) where the scope does not suffice.
    pub fn check<'r>(&self, authentication: Option<&'r Authentication>) -> Result<&'r VerifiedToken, Error> {
        let authentication = authentication.ok_or_else(Error::missing_authenticate_layer)?;
        let token = authentication.token().ok_or_else(Error::missing_credentials)?;
        match &self.policy {
            Some(policy) if !token.satisfies(policy) => Err(Error::insufficient_scope()),
            _ => Ok(token),
        }
    }
}

/// Left in the extensions of a response by a handler that found the token too weak. `Authenticate`, which knows the realm,
/// turns such a response into the refusal, whatever its status was.
///
/// Give the response a status that denies by itself (500), for the case that no `Authenticate` is there.
#[derive(Clone, Debug)]
pub struct UnmetRequirement {
    challenge: Box<str>,
}

impl UnmetRequirement {
    /// The handler needs a token whose scope meets `policy`.
    pub fn new(policy: &ScopePolicy) -> Self {
        Self { challenge: policy.challenge().into() }
    }

    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }
}
