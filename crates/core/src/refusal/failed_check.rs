//! What a failed check expected and what it found.

use std::{borrow::Cow, fmt, mem, slice, sync::Arc, time::Duration};

use crate::{clock::text, jose::Algorithm, redact::Excerpt, refusal::Reason, scope::Scope};

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

    pub(super) fn as_slice(&self) -> &[FailedCheck] {
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
    pub(super) found: Actual,
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

impl Expected {
    pub(crate) fn describe(&self) -> Cow<'_, str> {
        match self {
            Self::Algorithms(algorithms) => {
                algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(" or ").into()
            }
            Self::Fixed(text) => Cow::Borrowed(text),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Time(bound) => bound.describe().into(),
        }
    }
}

/// The bound that a time was compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeBound {
    pub(crate) side: Side,
    pub(crate) now: Duration,
    pub(crate) leeway: Duration,
}

impl TimeBound {
    /// The earliest or the latest time that passes, and how it follows from now.
    fn describe(&self) -> String {
        let Self { side, now, leeway } = *self;
        let with_leeway = |text: &str, sign: &str| match leeway {
            Duration::ZERO => format!(" ({text})"),
            leeway => format!(" ({text}, {sign} {} of leeway)", text::span(leeway)),
        };
        let (limit, why) = match side {
            Side::LaterThanNow => (now.saturating_sub(leeway), with_leeway("now", "less")),
            Side::NoLaterThanNow => (now.saturating_add(leeway), with_leeway("now", "plus")),
            Side::AtMostBefore(age) => {
                let limit = now.saturating_sub(age).saturating_sub(leeway);
                (limit, with_leeway(&format!("{} before now", text::span(age)), "less"))
            }
        };
        let relation = match side {
            Side::LaterThanNow => "later than",
            Side::NoLaterThanNow => "no later than",
            Side::AtMostBefore(_) => "no earlier than",
        };
        format!("{relation} {}{why}", text::rfc3339(limit))
    }

    /// A time with its distance from now.
    fn distance(&self, time: Duration) -> String {
        let distance = text::exact_span(self.now.abs_diff(time));
        if time > self.now { format!("in {distance}") } else { format!("{distance} ago") }
    }

    /// A time that does not pass, with its distance from now, and until when or from when on it does.
    fn describe_failure(&self, time: Duration) -> String {
        let (when, limit) = match self.side {
            Side::LaterThanNow => ("until", time.saturating_add(self.leeway)),
            Side::NoLaterThanNow => ("from", time.saturating_sub(self.leeway)),
            Side::AtMostBefore(age) => ("until", time.saturating_add(age).saturating_add(self.leeway)),
        };
        let (time, distance) = (text::rfc3339(time), self.distance(time));
        format!("{time} ({distance}; accepted {when} {})", text::rfc3339(limit))
    }
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
        self.expected.describe()
    }

    /// The actual value, escaped and truncated. A time is in RFC 3339, with its distance from now and with the end or the
    /// beginning of the time in which it is accepted, leeway included.
    pub fn found(&self) -> Cow<'_, str> {
        match (&self.found, &self.expected) {
            (Actual::Fixed(text), _) => Cow::Borrowed(text),
            (Actual::Excerpt(text), _) => Cow::Borrowed(text.as_str()),
            (Actual::Time(time), Expected::Time(bound)) => bound.describe_failure(*time).into(),
            (Actual::Time(time), _) => text::rfc3339(*time).into(),
        }
    }

    /// A likely explanation, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

/// The actual value of a check that passed. A time has its distance from now.
pub(crate) fn describe(found: &Actual, expected: &Expected) -> String {
    match (found, expected) {
        (Actual::Time(time), Expected::Time(bound)) => format!("{} ({})", text::rfc3339(*time), bound.distance(*time)),
        (Actual::Time(time), _) => text::rfc3339(*time),
        (Actual::Fixed(text), _) => (*text).to_owned(),
        (Actual::Excerpt(text), _) => text.as_str().to_owned(),
    }
}

/// How two names differ, where the difference is easily overlooked. They remain different names.
pub(crate) fn near_miss(one: &str, other: &str) -> Option<&'static str> {
    let bare = |name: &str| name.strip_suffix('/').unwrap_or(name).len();
    let (slash, rest) =
        (one.ends_with('/') != other.ends_with('/'), (one.get(..bare(one))?, other.get(..bare(other))?));
    match (slash, rest.0 == rest.1, rest.0.eq_ignore_ascii_case(rest.1)) {
        (true, true, _) => Some("they differ only by the slash at the end"),
        (false, false, true) => Some("they differ only by upper and lower case"),
        (true, false, true) => Some("they differ only by the slash at the end and by upper and lower case"),
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

impl From<&Scope> for Actual {
    fn from(scope: &Scope) -> Self {
        if scope.is_empty() { Self::NONE } else { Self::from(scope.to_log()) }
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

    #[test]
    fn names_that_differ_by_a_slash_or_by_case_alone_are_pointed_out() {
        let (slash, case) =
            (Some("they differ only by the slash at the end"), "they differ only by upper and lower case");
        for (one, other, expected) in [
            ("https://as.example", "https://as.example/", slash),
            ("https://as.example/a/", "https://as.example/a", slash),
            ("https://as.example", "https://AS.example", Some(case)),
            ("API", "api", Some(case)),
            (
                "https://as.example/A",
                "https://as.example/a/",
                Some("they differ only by the slash at the end and by upper and lower case"),
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
            (
                "no later than 1970-01-01T00:01:01Z (now, plus 60 s of leeway)".into(),
                "1970-01-01T00:00:02Z (in 1 s; accepted from 1970-01-01T00:00:00Z)".into()
            )
        );
        assert_eq!(
            written(bound(Side::AtMostBefore(Duration::from_secs(3600)), Duration::from_secs(86400)), early.into()),
            (
                "no earlier than 1970-01-01T22:59:00Z (60 min before now, less 60 s of leeway)".into(),
                "1970-01-01T00:00:01Z (23 h 59 min ago; accepted until 1970-01-01T01:01:01Z)".into()
            )
        );
        let strict = TimeBound { side: Side::LaterThanNow, now: Duration::from_secs(124), leeway: Duration::ZERO };
        assert_eq!(
            written(Expected::Time(strict), early.into()),
            (
                "later than 1970-01-01T00:02:04Z (now)".into(),
                "1970-01-01T00:00:01Z (2 min 3 s ago; accepted until 1970-01-01T00:00:01Z)".into()
            )
        );
        assert_eq!(written("x".into(), early.into()).1, "1970-01-01T00:00:01Z");
        assert_eq!(written(Expected::from("a".to_owned()), Actual::NONE), ("a".into(), "none".into()));
    }

    fn bound(side: Side, now: Duration) -> Expected {
        Expected::Time(TimeBound { side, now, leeway: Duration::from_secs(60) })
    }
}
