//! Refusals: one opaque [`Error`], its [`ErrorKind`], and the one table from kind to status and code.

use std::{error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::Reason;

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
    /// The token is good and does not permit this.
    InsufficientScope,
    /// The credentials are malformed, or there are several.
    InvalidRequest,
    /// The token is bad.
    InvalidToken,
    /// The service is wired wrongly. The client can do nothing.
    Misconfigured,
    /// There are no credentials.
    MissingCredentials,
    /// No decision is possible at the moment. This says nothing about the token.
    Unavailable,
}

struct Row {
    status: StatusCode,
    code: Option<&'static str>,
    grpc: u16,
    challenged: bool,
}

impl ErrorKind {
    /// The table.
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

    /// The value of the challenge's `error` parameter, where it has one.
    pub const fn code(self) -> Option<&'static str> {
        self.row().code
    }

    /// The name of the class, for a client that is told no more.
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

    /// The gRPC status code, for requests whose content type is `application/grpc`.
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
/// Its text is for the operator's log. It names what was expected and what was found, and never contains the token; what
/// it quotes from a token is escaped and cut short. Nothing of it is sent to the client, which gets
/// [`Reason::description`] at most.
pub struct Error {
    reason: Reason,
    context: Option<Box<Context>>,
}

#[derive(Default)]
struct Context {
    issuer: Option<Box<str>>,
    key_id: Option<Excerpt>,
    failures: Vec<Failure>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn from_failures(failures: Vec<Failure>) -> Option<Self> {
        let reason = failures.first()?.reason;
        Some(Self { reason, context: Some(Box::new(Context { failures, ..Context::default() })) })
    }

    /// The refusal of a handler or a layer that found a good token too weak.
    pub fn insufficient_scope() -> Self {
        Reason::InsufficientScope.into()
    }

    /// The refusal of a request without credentials where some are needed.
    pub fn missing_credentials() -> Self {
        Reason::MissingCredentials.into()
    }

    /// The refusal of a request that no `Authenticate` layer has seen.
    pub fn not_authenticated_here() -> Self {
        Reason::NotAuthenticatedHere.into()
    }

    pub(crate) fn with_issuer(mut self, issuer: &str) -> Self {
        self.context().issuer = Some(issuer.into());
        self
    }

    pub(crate) fn with_key_id(mut self, key_id: Option<&str>) -> Self {
        if let Some(key_id) = key_id {
            self.context().key_id = Some(Excerpt::new(key_id));
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

    /// The reason, as it is logged. The client is told its [`disclosed`](Reason::disclosed) form.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The configured issuer whose rules were applied, once it was known.
    pub fn issuer(&self) -> Option<&str> {
        self.context.as_ref()?.issuer.as_deref()
    }

    /// The `kid` of the token, escaped and cut short.
    pub fn key_id(&self) -> Option<&str> {
        self.context.as_ref()?.key_id.as_ref().map(|excerpt| &*excerpt.0)
    }

    /// Every check that failed, the decisive one first. Empty where the reason says it all.
    pub fn failures(&self) -> &[Failure] {
        self.context.as_ref().map_or(&[], |context| &context.failures)
    }

    /// When to try again, for [`ErrorKind::Unavailable`].
    pub fn retry_after(&self) -> Option<Duration> {
        self.context.as_ref()?.retry_after
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self { reason, context: None }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let reason = failure.reason;
        Self { reason, context: Some(Box::new(Context { failures: vec![failure], ..Context::default() })) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.description())?;
        for (index, failure) in self.failures().iter().enumerate() {
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
            .field("failures", &self.failures())
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.context.as_ref()?.source.as_deref().map(|source| source as _)
    }
}

/// One failed check: what was looked at, what was expected, and what was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    reason: Reason,
    subject: &'static str,
    expected: Box<str>,
    found: Excerpt,
}

impl Failure {
    pub(crate) fn new(
        reason: Reason,
        subject: &'static str,
        expected: impl Into<Box<str>>,
        found: impl AsRef<str>,
    ) -> Self {
        Self { reason, subject, expected: expected.into(), found: Excerpt::new(found.as_ref()) }
    }

    /// The reason that this check stands for.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The claim or header parameter that was looked at.
    pub fn subject(&self) -> &'static str {
        self.subject
    }

    /// What would have passed.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was there, escaped and cut short.
    pub fn found(&self) -> &str {
        &self.found.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.subject, self.expected, self.found.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error with its causes, on one line: the last one is what an operator can do something about.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Text that came from a request, as [`excerpt`] keeps it.
#[derive(Clone, PartialEq, Eq)]
struct Excerpt(Box<str>);

impl Excerpt {
    fn new(text: &str) -> Self {
        Self(excerpt(text).into())
    }
}

/// How many characters of a text that came from a request are kept.
const EXCERPT: usize = 128;

/// Makes text that came from a request safe for a log: control characters and whatever is not printable are escaped, and no
/// more than 128 characters are kept. Text in the shape of a token is not kept at all, since a claim or a key id can itself
/// hold a credential.
pub(crate) fn excerpt(text: &str) -> String {
    // Most texts need nothing of this: they are short, of plain characters, and no part of a token begins or ends in them.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_:/@+=,".contains(&byte);
    if text.len() <= EXCERPT && text.bytes().all(is_plain) && !["ey", "ew"].iter().any(|start| text.contains(start)) {
        return text.to_owned();
    }
    if text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).any(is_token_shaped) {
        return "[redacted]".to_owned();
    }
    let mut kept: String = text.chars().take(EXCERPT).flat_map(char::escape_default).collect();
    if text.chars().nth(EXCERPT).is_some() {
        kept.push_str("...");
    }
    kept
}

/// Whether a word looks like a compact JWS or JWE, or the beginning of one: it begins with the encoding of `{"` or `{ `, or
/// has three or more parts of which the first two are long.
fn is_token_shaped(word: &str) -> bool {
    let mut parts = word.split('.');
    let long = |part: Option<&str>| part.is_some_and(|part| part.len() >= 16);
    ["eyJ", "eyA", "ewo", "ewk", "ew0"].iter().any(|start| word.starts_with(start)) && word.len() >= 8
        || long(parts.next()) && long(parts.next()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_says_is_escaped_and_cut_short_before_it_is_kept() {
        assert_eq!(excerpt("a\r\nb\u{1b}[31m\u{e9}"), "a\\r\\nb\\u{1b}[31m\\u{e9}");
        assert_eq!(excerpt(&"k".repeat(128)), "k".repeat(128));
        assert_eq!(excerpt(&"k".repeat(129)), format!("{}...", "k".repeat(128)));
    }

    #[test]
    fn what_looks_like_a_token_is_not_kept() {
        let long = "A".repeat(16);
        for token in [
            "x eyJhbGciOi",
            "eyAiYWxnIjoi",
            "ewogICJhbGci",
            &format!("{long}.{long}."),
            &format!("(a:{long}.{long}.{long})"),
        ] {
            assert_eq!(excerpt(token), "[redacted]", "{token}");
        }
        for text in [
            "https://idp.example/tenant-a.b.c",
            "messages:read eyes",
            "eyJ",
            &format!("{long}.{long}"),
            &format!("{long}.x.{long}"),
        ] {
            assert_eq!(excerpt(text), text);
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_what_was_found() {
        let failures = vec![
            Failure::new(Reason::WrongAudience, "aud", "https://api.example", "x"),
            Failure::new(Reason::Expired, "exp", "later than 2", "1"),
        ];
        let error = Error::from_failures(failures)
            .unwrap()
            .with_issuer("https://as.example")
            .with_key_id(Some("k"))
            .with_retry_after(Some(Duration::from_secs(7)))
            .with_source("refused");
        assert_eq!(
            error.to_string(),
            "the token is meant for another audience: aud: expected https://api.example, found x; exp: expected later than 2, found 1"
        );
        assert_eq!((error.kind(), error.reason()), (ErrorKind::InvalidToken, Reason::WrongAudience));
        assert_eq!((error.issuer(), error.key_id()), (Some("https://as.example"), Some("k")));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(StdError::source(&error).unwrap().to_string(), "refused");
        let failure = &error.failures()[1];
        assert_eq!(
            (failure.reason(), failure.subject(), failure.expected(), failure.found()),
            (Reason::Expired, "exp", "later than 2", "1")
        );
        assert_eq!(
            format!("{error:?}"),
            "Error { reason: WrongAudience, issuer: Some(\"https://as.example\"), key_id: Some(\"k\"), failures: [aud: expected \
             https://api.example, found x, exp: expected later than 2, found 1], retry_after: Some(7s), .. }"
        );
    }

    #[test]
    fn an_error_without_detail_is_its_description() {
        let error = Error::from(Reason::Expired);
        assert_eq!(error.to_string(), "the token has expired");
        assert_eq!((error.issuer(), error.key_id(), error.retry_after()), (None, None, None));
        assert!(error.failures().is_empty() && StdError::source(&error).is_none());
        assert_eq!(Error::from_failures(Vec::new()).map(|error| error.reason()), None);
        assert_eq!(Error::insufficient_scope().reason(), Reason::InsufficientScope);
        assert_eq!(Error::missing_credentials().reason(), Reason::MissingCredentials);
        assert_eq!(Error::not_authenticated_here().reason(), Reason::NotAuthenticatedHere);
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
