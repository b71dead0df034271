//! How an endpoint fails.

use std::time::Duration;

use scopegate_tests::Reply;

/// A fault of an endpoint. `docs/issuer-outages.md` lists many more of keys; these are the kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Silent,
    Refused,
    Slow,
    TooSlow,
    Status(u16),
    TooManyRequests,
    Html,
    Empty,
    Truncated,
    OtherShape,
    Huge,
    ByteOrderMark,
    Breaks,
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::Silent,
        Self::Refused,
        Self::Slow,
        Self::TooSlow,
        Self::Status(302),
        Self::Status(400),
        Self::Status(403),
        Self::Status(404),
        Self::Status(500),
        Self::Status(503),
        Self::TooManyRequests,
        Self::Html,
        Self::Empty,
        Self::Truncated,
        Self::OtherShape,
        Self::Huge,
        Self::ByteOrderMark,
        Self::Breaks,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "no response",
            Self::Refused => "connection refused",
            Self::Slow => "slow, within the timeout",
            Self::TooSlow => "slower than the timeout",
            Self::Status(302) => "a redirect",
            Self::Status(400) => "400",
            Self::Status(403) => "403",
            Self::Status(404) => "404",
            Self::Status(500) => "500",
            Self::Status(_) => "503",
            Self::TooManyRequests => "429 with a time",
            Self::Html => "a page in HTML",
            Self::Empty => "an empty body",
            Self::Truncated => "JSON that breaks off",
            Self::OtherShape => "JSON of another shape",
            Self::Huge => "a body beyond the limit",
            Self::ByteOrderMark => "a byte order mark",
            Self::Breaks => "the HTTP client panics",
        }
    }

    /// The reply of an endpoint that would reply with `good`.
    pub(crate) fn reply(self, good: impl FnOnce() -> Reply) -> Reply {
        match self {
            Self::Silent => Reply::Never,
            Self::Refused => Reply::Fails("connection refused"),
            Self::Slow => Reply::After(Duration::from_millis(900), Box::new(good())),
            Self::TooSlow => Reply::After(Duration::from_secs(60), Box::new(Reply::status(500, "late"))),
            Self::Status(302) => Reply::status(302, "").field("location", "https://elsewhere.example/"),
            Self::Status(status) => Reply::status(status, ""),
            Self::TooManyRequests => Reply::status(429, "").field("retry-after", "17"),
            Self::Html => Reply::ok("<!doctype html><title>Maintenance</title>").field("content-type", "text/html"),
            Self::Empty => Reply::json(""),
            Self::Truncated => Reply::json(r#"{"keys":[{"kty":"EC","crv":"P-2"#),
            Self::OtherShape => Reply::json(r#"{"keys":[],"active":"true","valid":"true","issuer":5}"#),
            Self::Huge => Reply::json(" ".repeat(2 << 20)),
            Self::ByteOrderMark => Reply::json("\u{feff}{\"keys\":[],\"active\":true,\"valid\":true}"),
            Self::Breaks => Reply::Panics,
        }
    }
}
