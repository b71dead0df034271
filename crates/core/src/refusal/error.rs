//! The refusal of a request: its reason, with what the operator needs to know about it.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{
    redact::{Excerpt, chain},
    refusal::{
        Reason,
        failed_check::{Actual, FailedCheck, Failures},
        kind::ErrorKind,
    },
    request::Scheme,
};

/// A refused request.
///
/// Its text is for the operator's log. It names the expected and the actual value and never contains the token; what it quotes
/// from a token is escaped and truncated. The client gets [`Reason::description`] at most.
pub struct Error {
    reason: Reason,
    schemes: Schemes,
    context: Option<Box<Context>>,
}

/// The authentication schemes that a refused request used: the error code is in the challenges of those alone (RFC 9449 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Schemes {
    /// None that is known.
    #[default]
    None,
    Bearer,
    Dpop,
    Both,
}

impl Schemes {
    pub(crate) fn and(self, scheme: Scheme) -> Self {
        match (self, scheme) {
            (Self::None | Self::Bearer, Scheme::Bearer) => Self::Bearer,
            (Self::None | Self::Dpop, Scheme::Dpop) => Self::Dpop,
            _ => Self::Both,
        }
    }

    /// Whether this scheme was used. What is known of none was Bearer's.
    pub(crate) fn include(self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::Bearer => self != Self::Dpop,
            Scheme::Dpop => matches!(self, Self::Dpop | Self::Both),
        }
    }
}

#[derive(Default)]
struct Context {
    issuer: Option<Arc<str>>,
    key_id: Option<Excerpt>,
    failures: Failures,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    is_concealed: bool,
}

impl Error {
    pub(crate) fn from_failures(failures: Failures) -> Option<Self> {
        let reason = failures.as_slice().first()?.reason();
        Some(Self {
            reason,
            schemes: Schemes::None,
            context: Some(Box::new(Context { failures, ..Context::default() })),
        })
    }

    /// The refusal of a handler or layer that requires more scope than the token has.
    pub fn insufficient_scope() -> Self {
        Reason::InsufficientScope.into()
    }

    /// The refusal of a request without credentials.
    pub fn missing_credentials() -> Self {
        Reason::MissingCredentials.into()
    }

    /// The refusal of a request that no `Authenticate` layer has seen.
    pub fn missing_authenticate_layer() -> Self {
        Reason::MissingAuthenticateLayer.into()
    }

    /// The refusal of a request to a route that requires a [bound](crate::Access::bound) token, by a method that the resource
    /// server has not switched on.
    pub fn no_binding() -> Self {
        Reason::NoBinding.into()
    }

    /// Adds a scheme that the request used.
    pub(crate) fn under(mut self, scheme: Scheme) -> Self {
        self.schemes = self.schemes.and(scheme);
        self
    }

    pub(crate) fn schemes(&self) -> Schemes {
        self.schemes
    }

    pub(crate) fn with_issuer(mut self, issuer: &Arc<str>) -> Self {
        self.context().issuer = Some(Arc::clone(issuer));
        self
    }

    /// Discloses the error to the client as an invalid signature, whatever its reason is.
    pub(crate) fn concealed(mut self) -> Self {
        self.context().is_concealed = true;
        self
    }

    pub(crate) fn with_key_id(mut self, key_id: Option<&str>) -> Self {
        if let Some(key_id) = key_id {
            // Where no key was found, the failed check holds the key id already.
            let kept = self.failed_checks().iter().find_map(|failure| match &failure.found {
                Actual::Excerpt(found) if failure.reason() == Reason::UnknownKey => Some(found.clone()),
                _ => None,
            });
            self.context().key_id = Some(kept.unwrap_or_else(|| Excerpt::new(key_id)));
        }
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.context().retry_after = retry_after;
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.context().source = Some(source.into());
        self
    }

    fn context(&mut self) -> &mut Context {
        self.context.get_or_insert_default()
    }

    /// The class of the refusal.
    pub fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }

    /// The reason, as it is logged. The client reads its [`disclosed`](Reason::disclosed) form.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The reason that the client reads: the [`disclosed`](Reason::disclosed) form of the reason, or an invalid signature
    /// under [`uniform_refusals`](crate::ResourceServerBuilder::uniform_refusals). Status, challenge and body follow from it.
    pub fn disclosed(&self) -> Reason {
        let is_concealed = self.context.as_ref().is_some_and(|context| context.is_concealed);
        if is_concealed { Reason::InvalidSignature } else { self.reason.disclosed() }
    }

    /// The configured issuer of the token, once it is known.
    pub fn issuer(&self) -> Option<&str> {
        self.context.as_ref()?.issuer.as_deref()
    }

    /// The `kid` of the token, escaped and truncated.
    pub fn key_id(&self) -> Option<&str> {
        self.context.as_ref()?.key_id.as_ref().map(|excerpt| excerpt.as_str())
    }

    /// Every failed check, the decisive one first. Empty where the reason says everything.
    pub fn failed_checks(&self) -> &[FailedCheck] {
        self.context.as_ref().map_or(&[], |context| context.failures.as_slice())
    }

    /// Why the token could not be verified, with all underlying causes, on one line, for the log. It may quote the issuer's
    /// response, so unprintable characters are escaped, words in the shape of a token are omitted, and each cause is cut after
    /// 512 characters.
    pub fn cause(&self) -> Option<String> {
        self.source().map(chain)
    }

    /// When to retry, for [`ErrorKind::Unavailable`].
    pub fn retry_after(&self) -> Option<Duration> {
        self.context.as_ref()?.retry_after
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self { reason, schemes: Schemes::None, context: None }
    }
}

impl From<FailedCheck> for Error {
    fn from(failure: FailedCheck) -> Self {
        let (reason, failures) = (failure.reason(), Failures::One(failure));
        Self { reason, schemes: Schemes::None, context: Some(Box::new(Context { failures, ..Context::default() })) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.description())?;
        for (index, failure) in self.failed_checks().iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            failure.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("reason", &self.reason)
            .field("issuer", &self.issuer())
            .field("key_id", &self.key_id())
            .field("failures", &self.failed_checks())
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.context.as_ref()?.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::failed_check::{Expected, Side, TimeBound};

    fn later_than(now: Duration) -> Expected {
        Expected::Time(TimeBound { side: Side::LaterThanNow, now, leeway: Duration::from_secs(60) })
    }

    #[test]
    fn an_error_says_what_was_expected_and_what_was_found() {
        let (now, expiry) = (Duration::from_secs(1_767_225_720), Duration::from_secs(1_767_225_600));
        let failures = [
            FailedCheck::new(Reason::WrongAudience, "aud", "https://api.example", "x"),
            FailedCheck::new(Reason::Expired, "exp", later_than(now), expiry),
        ];
        let error = Error::from_failures(failures.into_iter().collect())
            .unwrap()
            .with_issuer(&"https://as.example".into())
            .with_key_id(Some("k"))
            .with_retry_after(Some(Duration::from_secs(7)))
            .with_source("refused");
        assert_eq!(
            error.to_string(),
            "the token is meant for another audience: aud: expected https://api.example, found x; exp: expected \
             later than 2026-01-01T00:01:00Z (now, less 60 s of leeway), found 2026-01-01T00:00:00Z (2 min ago; accepted until 2026-01-01T00:01:00Z)"
        );
        assert_eq!((error.kind(), error.reason()), (ErrorKind::InvalidToken, Reason::WrongAudience));
        assert_eq!((error.issuer(), error.key_id()), (Some("https://as.example"), Some("k")));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(StdError::source(&error).unwrap().to_string(), "refused");
        let failure = &error.failed_checks()[1];
        assert_eq!(
            (failure.reason(), failure.field(), &*failure.expected(), &*failure.found()),
            (
                Reason::Expired,
                "exp",
                "later than 2026-01-01T00:01:00Z (now, less 60 s of leeway)",
                "2026-01-01T00:00:00Z (2 min ago; accepted until 2026-01-01T00:01:00Z)"
            )
        );
        assert_eq!(
            format!("{error:?}"),
            "Error { reason: WrongAudience, issuer: Some(\"https://as.example\"), key_id: Some(\"k\"), failures: [aud: expected \
             https://api.example, found x, exp: expected later than 2026-01-01T00:01:00Z (now, less 60 s of leeway), found \
             2026-01-01T00:00:00Z (2 min ago; accepted until 2026-01-01T00:01:00Z)], retry_after: Some(7s), .. }"
        );
    }

    #[test]
    fn a_key_that_was_not_found_is_named_once_and_kept_once() {
        let unknown = FailedCheck::new(Reason::UnknownKey, "kid", "a", "b\n");
        let error = Error::from(unknown).with_key_id(Some("b\n"));
        assert_eq!((error.key_id(), &*error.failed_checks()[0].found()), (Some("b\\n"), "b\\n"));
        let nameless = Error::from(FailedCheck::new(Reason::UnknownKey, "kid", "a", Actual::NONE)).with_key_id(None);
        assert_eq!(nameless.key_id(), None);
    }

    #[test]
    fn an_error_without_detail_is_its_description() {
        let error = Error::from(Reason::Expired);
        assert_eq!(error.to_string(), "the token has expired");
        assert_eq!((error.issuer(), error.key_id(), error.retry_after()), (None, None, None));
        assert!(error.failed_checks().is_empty() && StdError::source(&error).is_none());
        assert_eq!(Error::from_failures(Failures::None).map(|error| error.reason()), None);
        assert_eq!(Error::insufficient_scope().reason(), Reason::InsufficientScope);
        assert_eq!(Error::missing_credentials().reason(), Reason::MissingCredentials);
        assert_eq!(Error::missing_authenticate_layer().reason(), Reason::MissingAuthenticateLayer);
        assert_eq!(Error::from(Reason::Expired).with_key_id(None).key_id(), None);
    }
}
