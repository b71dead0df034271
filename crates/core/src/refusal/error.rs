//! Errors: one opaque [`Error`], its [`ErrorKind`], and the table from kind to status and code.

use std::{borrow::Cow, error::Error as StdError, fmt, mem, slice, sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    clock::text,
    jose::Algorithm,
    redact::{Excerpt, chain},
    refusal::Reason,
};

/// The class of a refusal.
///
/// | kind | status | OAuth error code | gRPC status |
/// |---|---|---|---|
/// | [`InvalidRequest`](Self::InvalidRequest) | 400 | `invalid_request` | 16 `UNAUTHENTICATED` |
/// | [`MissingCredentials`](Self::MissingCredentials) | 401 | none | 16 `UNAUTHENTICATED` |
/// | [`InvalidToken`](Self::InvalidToken) | 401 | `invalid_token` | 16 `UNAUTHENTICATED` |
/// | [`InsufficientScope`](Self::InsufficientScope) | 403 | `insufficient_scope` | 7 `PERMISSION_DENIED` |
/// | [`Misconfigured`](Self::Misconfigured) | 500 | no challenge | 13 `INTERNAL` |
/// | [`Unavailable`](Self::Unavailable) | 503 | no challenge, `Retry-After` | 14 `UNAVAILABLE` |
///
/// Statuses and codes are those of RFC 6750 §3.1; the gRPC statuses are Scopegate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The token is valid and lacks scope for this request.
    InsufficientScope,
    /// The credentials are malformed, or there are several.
    InvalidRequest,
    /// The token is invalid.
    InvalidToken,
    /// The service is misconfigured, or code of the application panicked. The client cannot remedy it.
    Misconfigured,
    /// There are no credentials.
    MissingCredentials,
    /// The token cannot be verified at the moment. This says nothing about the token.
    Unavailable,
}

struct Row {
    status: StatusCode,
    code: Option<&'static str>,
    grpc: u16,
    challenged: bool,
}

impl ErrorKind {
    /// The row of the table above.
    const fn row(self) -> Row {
        let (status, code, grpc, challenged) = match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, Some("invalid_request"), 16, true),
            Self::MissingCredentials => (StatusCode::UNAUTHORIZED, None, 16, true),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, Some("invalid_token"), 16, true),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope"), 7, true),
            Self::Misconfigured => (StatusCode::INTERNAL_SERVER_ERROR, None, 13, false),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None, 14, false),
        };
        Row { status, code, grpc, challenged }
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// The value of the challenge's `error` parameter, if it has one.
    pub const fn code(self) -> Option<&'static str> {
        self.row().code
    }

    /// The name of the class, for a client that gets no description.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient scope",
            Self::InvalidRequest => "invalid request",
            Self::InvalidToken => "invalid token",
            Self::Misconfigured => "misconfigured",
            Self::MissingCredentials => "missing credentials",
            Self::Unavailable => "unavailable",
        }
    }

    /// The gRPC status code, for gRPC requests to a service that speaks it.
    pub const fn grpc_status(self) -> u16 {
        self.row().grpc
    }

    /// Whether the answer carries a `WWW-Authenticate` challenge.
    pub const fn is_challenged(self) -> bool {
        self.row().challenged
    }
}

/// A refused request.
///
/// Its text is for the operator's log. It names the expected and the actual value and never contains the token; what it quotes
/// from a token is escaped and truncated. The client gets [`Reason::description`] at most.
pub struct Error {
    reason: Reason,
    context: Option<Box<Context>>,
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
        let reason = failures.as_slice().first()?.reason;
        Some(Self { reason, context: Some(Box::new(Context { failures, ..Context::default() })) })
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
                Actual::Excerpt(found) if failure.reason == Reason::UnknownKey => Some(found.clone()),
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
        Self { reason, context: None }
    }
}

impl From<FailedCheck> for Error {
    fn from(failure: FailedCheck) -> Self {
        let (reason, failures) = (failure.reason, Failures::One(failure));
        Self { reason, context: Some(Box::new(Context { failures, ..Context::default() })) }
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

/// The failed checks, in order. Most refusals have one, which needs no allocation.
#[derive(Default)]
pub(crate) enum Failures {
    #[default]
    None,
    One(FailedCheck),
    Several(Vec<FailedCheck>),
}

impl Failures {
    pub(crate) fn push(&mut self, failure: FailedCheck) {
        *self = match mem::take(self) {
            Self::None => Self::One(failure),
            Self::One(first) => Self::Several(vec![first, failure]),
            Self::Several(mut all) => {
                all.push(failure);
                Self::Several(all)
            }
        };
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut FailedCheck> {
        match self {
            Self::None => None,
            Self::One(failure) => Some(failure),
            Self::Several(failures) => failures.first_mut(),
        }
    }

    fn as_slice(&self) -> &[FailedCheck] {
        match self {
            Self::None => &[],
            Self::One(failure) => slice::from_ref(failure),
            Self::Several(failures) => failures,
        }
    }
}

impl FromIterator<FailedCheck> for Failures {
    fn from_iter<I: IntoIterator<Item = FailedCheck>>(all: I) -> Self {
        let mut failures = Self::None;
        all.into_iter().for_each(|failure| failures.push(failure));
        failures
    }
}

/// One failed check: the field, the expected value and the actual one.
#[derive(Clone, PartialEq, Eq)]
pub struct FailedCheck {
    reason: Reason,
    field: &'static str,
    expected: Expected,
    found: Actual,
    hint: Option<&'static str>,
}

/// What would have passed. Formatted only when it is read, since most refusals never are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Algorithms(Arc<[Algorithm]>),
    Fixed(&'static str),
    Text(Arc<str>),
    Time(TimeBound),
}

/// The bound that a time was compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeBound {
    pub(crate) side: Side,
    pub(crate) now: Duration,
    pub(crate) leeway: Duration,
}

/// On which side of now a time must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    LaterThanNow,
    NoLaterThanNow,
    AtMostBefore(Duration),
}

/// The actual value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Actual {
    Fixed(&'static str),
    Excerpt(Excerpt),
    Time(Duration),
}

impl Actual {
    pub(crate) const NONE: Self = Self::Fixed("none");
}

impl FailedCheck {
    pub(crate) fn new(
        reason: Reason,
        field: &'static str,
        expected: impl Into<Expected>,
        found: impl Into<Actual>,
    ) -> Self {
        Self { reason, field, expected: expected.into(), found: found.into(), hint: None }
    }

    /// Adds a likely explanation for the operator.
    pub(crate) fn with_hint(self, hint: Option<&'static str>) -> Self {
        Self { hint, ..self }
    }

    /// The reason that this check stands for.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The claim or header parameter that was checked.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What would have passed.
    pub fn expected(&self) -> Cow<'_, str> {
        match &self.expected {
            Expected::Algorithms(algorithms) => {
                algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(" or ").into()
            }
            Expected::Fixed(text) => Cow::Borrowed(text),
            Expected::Text(text) => Cow::Borrowed(text),
            Expected::Time(TimeBound { side, now, .. }) => {
                let now = text::rfc3339(*now);
                match side {
                    Side::LaterThanNow => format!("later than {now}").into(),
                    Side::NoLaterThanNow => format!("no later than {now}").into(),
                    Side::AtMostBefore(age) => format!("at most {} before {now}", text::span(*age)).into(),
                }
            }
        }
    }

    /// The actual value, escaped and truncated. A time is in RFC 3339 with its distance from now and the leeway.
    pub fn found(&self) -> Cow<'_, str> {
        match (&self.found, &self.expected) {
            (Actual::Fixed(text), _) => Cow::Borrowed(text),
            (Actual::Excerpt(text), _) => Cow::Borrowed(text.as_str()),
            (Actual::Time(time), Expected::Time(TimeBound { side, now, leeway })) => {
                let distance = text::span(now.abs_diff(*time));
                let distance = match side {
                    Side::LaterThanNow => format!("expired {distance} ago"),
                    Side::NoLaterThanNow => format!("{distance} from now"),
                    Side::AtMostBefore(_) => format!("{distance} ago"),
                };
                format!("{} ({distance}, leeway {})", text::rfc3339(*time), text::span(*leeway)).into()
            }
            (Actual::Time(time), _) => text::rfc3339(*time).into(),
        }
    }

    /// A likely explanation, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

/// How two names differ, where the difference is easily overlooked. They remain different names.
pub(crate) fn near_miss(one: &str, other: &str) -> Option<&'static str> {
    let bare = |name: &str| name.strip_suffix('/').unwrap_or(name).len();
    let (slash, rest) =
        (one.ends_with('/') != other.ends_with('/'), (one.get(..bare(one))?, other.get(..bare(other))?));
    match (slash, rest.0 == rest.1, rest.0.eq_ignore_ascii_case(rest.1)) {
        (true, true, _) => Some("they differ by the slash at the end alone"),
        (false, false, true) => Some("they differ by upper and lower case alone"),
        (true, false, true) => Some("they differ by the slash at the end and by upper and lower case alone"),
        _ => None,
    }
}

impl From<&'static str> for Expected {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Expected {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&Arc<str>> for Expected {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Arc::clone(text))
    }
}

/// Text that may come from a request.
impl From<&str> for Actual {
    fn from(text: &str) -> Self {
        Self::Excerpt(Excerpt::new(text))
    }
}

impl From<String> for Actual {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl From<Duration> for Actual {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.field, self.expected(), self.found())?;
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Debug for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(side: Side, now: Duration) -> Expected {
        Expected::Time(TimeBound { side, now, leeway: Duration::from_secs(60) })
    }

    #[test]
    fn names_that_differ_by_a_slash_or_by_case_alone_are_pointed_out() {
        let (slash, case) =
            (Some("they differ by the slash at the end alone"), "they differ by upper and lower case alone");
        for (one, other, expected) in [
            ("https://as.example", "https://as.example/", slash),
            ("https://as.example/a/", "https://as.example/a", slash),
            ("https://as.example", "https://AS.example", Some(case)),
            ("API", "api", Some(case)),
            (
                "https://as.example/A",
                "https://as.example/a/",
                Some("they differ by the slash at the end and by upper and lower case alone"),
            ),
            ("https://as.example", "https://as.example", None),
            ("https://as.example", "https://as.example//", None),
            ("https://as.example", "https://as.example/b", None),
            ("/", "", slash),
            ("\u{e9}", "\u{e8}", None),
        ] {
            assert_eq!(near_miss(one, other), expected, "{one} {other}");
            assert_eq!(near_miss(other, one), expected, "{other} {one}");
        }
        let failure = FailedCheck::new(Reason::WrongAudience, "aud", "api", "API").with_hint(near_miss("api", "API"));
        assert_eq!(failure.to_string(), format!("aud: expected api, found API; {case}"));
        assert_eq!(failure.hint(), Some(case));
    }

    #[test]
    fn an_error_says_what_was_expected_and_what_was_found() {
        let (now, expiry) = (Duration::from_secs(1_767_225_720), Duration::from_secs(1_767_225_600));
        let failures = [
            FailedCheck::new(Reason::WrongAudience, "aud", "https://api.example", "x"),
            FailedCheck::new(Reason::Expired, "exp", bound(Side::LaterThanNow, now), expiry),
        ];
        let error = Error::from_failures(failures.into_iter().collect())
            .unwrap()
            .with_issuer(&"https://as.example".into())
            .with_key_id(Some("k"))
            .with_retry_after(Some(Duration::from_secs(7)))
            .with_source("refused");
        assert_eq!(
            error.to_string(),
            "the token is meant for another audience: aud: expected https://api.example, found x; exp: expected later than \
             2026-01-01T00:02:00Z, found 2026-01-01T00:00:00Z (expired 2 min ago, leeway 60 s)"
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
                "later than 2026-01-01T00:02:00Z",
                "2026-01-01T00:00:00Z (expired 2 min ago, leeway 60 s)"
            )
        );
        assert_eq!(
            format!("{error:?}"),
            "Error { reason: WrongAudience, issuer: Some(\"https://as.example\"), key_id: Some(\"k\"), failures: [aud: expected \
             https://api.example, found x, exp: expected later than 2026-01-01T00:02:00Z, found 2026-01-01T00:00:00Z (expired 2 \
             min ago, leeway 60 s)], retry_after: Some(7s), .. }"
        );
    }

    #[test]
    fn what_was_expected_and_found_is_written_out_when_it_is_read() {
        let written = |expected: Expected, found: Actual| {
            let failure = FailedCheck::new(Reason::Expired, "x", expected, found);
            (failure.expected().into_owned(), failure.found().into_owned())
        };
        let algorithms = Expected::Algorithms([Algorithm::Rs256, Algorithm::Es256].into());
        let text = |text: &str| Actual::from(text);
        assert_eq!(written(algorithms, text("none\n")), ("RS256 or ES256".into(), "none\\n".into()));
        let (early, late) = (Duration::from_secs(1), Duration::from_millis(2999));
        assert_eq!(
            written(bound(Side::NoLaterThanNow, early), late.into()),
            ("no later than 1970-01-01T00:00:01Z".into(), "1970-01-01T00:00:02Z (1 s from now, leeway 60 s)".into())
        );
        assert_eq!(
            written(bound(Side::AtMostBefore(Duration::from_secs(3600)), Duration::from_secs(86400)), early.into()),
            (
                "at most 60 min before 1970-01-02T00:00:00Z".into(),
                "1970-01-01T00:00:01Z (23 h ago, leeway 60 s)".into()
            )
        );
        assert_eq!(written("x".into(), early.into()).1, "1970-01-01T00:00:01Z");
        assert_eq!(written(Expected::from("a".to_owned()), Actual::NONE), ("a".into(), "none".into()));
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

    #[test]
    fn chal_4_each_kind_has_one_status_and_one_code() {
        let table = [
            (ErrorKind::InvalidRequest, 400, Some("invalid_request"), 16, true),
            (ErrorKind::MissingCredentials, 401, None, 16, true),
            (ErrorKind::InvalidToken, 401, Some("invalid_token"), 16, true),
            (ErrorKind::InsufficientScope, 403, Some("insufficient_scope"), 7, true),
            (ErrorKind::Misconfigured, 500, None, 13, false),
            (ErrorKind::Unavailable, 503, None, 14, false),
        ];
        for (kind, status, code, grpc, challenged) in table {
            assert_eq!(kind.status().as_u16(), status);
            assert_eq!(kind.code(), code);
            assert_eq!(kind.grpc_status(), grpc);
            assert_eq!(kind.is_challenged(), challenged);
        }
    }
}
