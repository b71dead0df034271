//! The refusal on the wire: `WWW-Authenticate` (RFC 6750 §3, RFC 9110 §11.6.1).
//!
//! One writer, one quoting routine. A challenge consists of configuration and fixed texts, never of anything from the request.

use std::{error::Error as StdError, fmt};

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::{
    net::https_url,
    refusal::{Error, Reason, reason::class_problem},
    request::Scheme,
};

/// Resources under one realm (RFC 9110 §11.5), and what their challenges have in common.
///
/// The `Authenticate` layer makes one from its settings and leaves it with every request, so that every later refusal names
/// the same realm.
#[derive(Clone, Debug)]
pub struct ProtectionSpace {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
    described: bool,
    grpc: bool,
    cache: CachedChallenges,
}

/// How many challenges are cached. A service has as many as it has pairs of a reason and a required scope.
const MAX_CACHED: usize = 256;

/// Cached challenges. They consist of configuration alone, so that no client can fill the cache.
#[derive(Debug, Default)]
struct CachedChallenges(ArcSwap<Vec<(ChallengeKey, HeaderValue)>>);

/// The reason, and the required scope where a challenge names one.
type ChallengeKey = (Reason, Option<Box<str>>);

/// A clone starts with an empty cache, since its settings may still change.
impl Clone for CachedChallenges {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl ProtectionSpace {
    /// A protection space of this realm.
    ///
    /// # Errors
    ///
    /// When `realm` is empty or has characters other than visible ASCII and the space.
    pub fn new(realm: &str) -> Result<Self, InvalidProtectionSpace> {
        Self {
            realm: "".into(),
            resource_metadata: None,
            described: true,
            grpc: false,
            cache: CachedChallenges::default(),
        }
        .with_realm(realm)
    }

    /// Changes the realm.
    ///
    /// # Errors
    ///
    /// When `realm` is empty or has characters other than visible ASCII and the space.
    pub fn with_realm(mut self, realm: &str) -> Result<Self, InvalidProtectionSpace> {
        if realm.is_empty() || !realm.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(InvalidProtectionSpace("the realm must be one or more visible ASCII characters or spaces"));
        }
        self.realm = realm.into();
        Ok(self.with_empty_cache())
    }

    /// Names the protected-resource metadata document (RFC 9728 §5.1) in every challenge.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute `https` URL without user information or a fragment. On `localhost` and loopback addresses
    /// `http` is accepted, for development: the URL is a pointer for clients, and this crate neither trusts nor fetches it.
    pub fn with_resource_metadata(mut self, url: &str) -> Result<Self, InvalidProtectionSpace> {
        // Only characters that need no escaping in a quoted-string: a client that does not unquote still gets the URL.
        let plain = url.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if !plain || !https_url::is_for_clients(url) {
            return Err(InvalidProtectionSpace(
                "the resource_metadata URL must be absolute and https (http on localhost, 127.0.0.1 or [::1]), without user information or a fragment",
            ));
        }
        self.resource_metadata = Some(url.into());
        Ok(self.with_empty_cache())
    }

    /// Omits `error_description` from challenges, and names only the class of a refusal in the response body.
    #[must_use]
    pub fn without_descriptions(mut self) -> Self {
        self.described = false;
        self.with_empty_cache()
    }

    /// Declares that the services of this space speak gRPC: gRPC requests are refused with a gRPC status, in HTTP 200.
    #[must_use]
    pub fn answering_grpc(mut self) -> Self {
        self.grpc = true;
        self
    }

    /// Whether gRPC requests are refused with a gRPC status.
    pub fn answers_grpc(&self) -> bool {
        self.grpc
    }

    /// The same space with an empty cache.
    fn with_empty_cache(mut self) -> Self {
        self.cache = CachedChallenges::default();
        self
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The problem document for `reason`.
    pub fn problem(&self, reason: Reason) -> &'static str {
        if self.described { reason.disclosed().problem() } else { class_problem(reason.kind()) }
    }

    /// The message for `reason` where the client reads no document: printable ASCII without a per cent sign.
    pub fn message(&self, reason: Reason) -> &'static str {
        if self.described { reason.disclosed().description() } else { reason.kind().title() }
    }

    /// The challenge for `error`, naming the required `scope` if given. `None` where the client cannot remedy the refusal.
    pub fn challenge<'a>(&'a self, error: &Error, scope: Option<&'a str>) -> Option<Challenge<'a>> {
        let kind = error.disclosed().kind();
        kind.is_challenged().then(|| Challenge {
            scheme: Scheme::Bearer,
            realm: &self.realm,
            error: kind.code(),
            description: (self.described && kind.code().is_some()).then(|| error.disclosed().description()),
            scope: scope.filter(|scope| !scope.is_empty()),
            resource_metadata: self.resource_metadata.as_deref(),
        })
    }
}

impl ProtectionSpace {
    /// The field value of the challenge for `error`, from the cache if it was written before. See
    /// [`challenge`](Self::challenge).
    pub fn challenge_value(&self, error: &Error, scope: Option<&str>) -> Option<HeaderValue> {
        let (reason, scope) = (error.disclosed(), scope.filter(|scope| !scope.is_empty()));
        let cached = self.cache.0.load();
        let known = cached.iter().find(|((other, required), _)| *other == reason && required.as_deref() == scope);
        if let Some((_, value)) = known {
            return Some(value.clone());
        }
        let value = self.challenge(error, scope)?.to_header_value();
        if cached.len() < MAX_CACHED {
            self.cache.0.rcu(|cached| {
                let mut all = Vec::clone(cached);
                all.push(((reason, scope.map(Into::into)), value.clone()));
                all.truncate(MAX_CACHED);
                all
            });
        }
        Some(value)
    }
}

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    scheme: Scheme,
    realm: &'a str,
    error: Option<&'static str>,
    description: Option<&'static str>,
    scope: Option<&'a str>,
    resource_metadata: Option<&'a str>,
}

impl Challenge<'_> {
    /// The field value. Each parameter occurs at most once; the realm always occurs.
    pub fn to_header_value(&self) -> HeaderValue {
        // The writer emits printable ASCII only, which is always a legal header value.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("Bearer realm=\"\""))
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.as_str())?;
        let parameters = [
            ("realm", Some(self.realm)),
            ("error", self.error),
            ("error_description", self.description),
            ("scope", self.scope),
            ("resource_metadata", self.resource_metadata),
        ];
        let present = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for (index, (name, value)) in present.enumerate() {
            f.write_str(if index == 0 { " " } else { ", " })?;
            write!(f, "{name}={}", Quoted(value))?;
        }
        Ok(())
    }
}

/// A `quoted-string` (RFC 9110 §5.6.4).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => write!(f, "{c}")?,
                // Configuration permits no such character; should one get here, it must not reach the wire.
                _ => f.write_str("?")?,
            }
        }
        f.write_str("\"")
    }
}

/// The error of a [`ProtectionSpace`] setting that cannot be written into a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProtectionSpace(&'static str);

impl fmt::Display for InvalidProtectionSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for InvalidProtectionSpace {}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> ProtectionSpace {
        ProtectionSpace::new("https://api.example").unwrap()
    }

    fn written(error: Error, scope: Option<&str>) -> String {
        space().challenge(&error, scope).unwrap().to_string()
    }

    #[test]
    fn each_class_is_written_in_full() {
        assert_eq!(written(Error::missing_credentials(), None), r#"Bearer realm="https://api.example""#);
        assert_eq!(
            written(Error::missing_credentials(), Some("a b")),
            r#"Bearer realm="https://api.example", scope="a b""#
        );
        assert_eq!(
            written(Reason::Expired.into(), None),
            r#"Bearer realm="https://api.example", error="invalid_token", error_description="the token has expired""#
        );
        assert_eq!(
            written(Error::insufficient_scope(), Some("a")),
            r#"Bearer realm="https://api.example", error="insufficient_scope", error_description="the token's scope does not cover this resource", scope="a""#
        );
        assert_eq!(written(Error::missing_credentials(), Some("")), written(Error::missing_credentials(), None));
        assert_eq!(space().challenge(&Reason::KeysUnavailable.into(), None), None);
        assert_eq!(space().challenge(&Error::missing_authenticate_layer(), None), None);
    }

    #[test]
    fn a_challenge_is_written_once_for_each_reason_and_scope() {
        let space = space();
        for (error, scope) in [
            (Error::missing_credentials(), None),
            (Error::missing_credentials(), Some("a")),
            (Error::insufficient_scope(), Some("a")),
            (Error::insufficient_scope(), Some("b")),
            (Error::from(Reason::Expired), None),
        ] {
            let expected = space.challenge(&error, scope).unwrap().to_header_value();
            for _ in 0..2 {
                assert_eq!(space.challenge_value(&error, scope).unwrap(), expected);
            }
        }
        assert_eq!(space.cache.0.load().len(), 5);
        assert_eq!(space.challenge_value(&Reason::KeysUnavailable.into(), None), None);
        let other = space.clone().with_realm("other").unwrap();
        assert_eq!(other.challenge_value(&Error::missing_credentials(), None).unwrap(), "Bearer realm=\"other\"");
        for number in 0..1000 {
            let scope = number.to_string();
            let expected = space.challenge(&Error::insufficient_scope(), Some(&scope)).unwrap().to_header_value();
            assert_eq!(space.challenge_value(&Error::insufficient_scope(), Some(&scope)).unwrap(), expected);
        }
        assert_eq!(space.cache.0.load().len(), MAX_CACHED);
    }

    #[test]
    fn descriptions_can_be_switched_off_and_the_metadata_document_named() {
        let space = space()
            .without_descriptions()
            .with_resource_metadata("https://api.example/.well-known/oauth-protected-resource")
            .unwrap();
        let challenge = space.challenge(&Reason::Expired.into(), None).unwrap();
        assert_eq!(
            challenge.to_header_value(),
            r#"Bearer realm="https://api.example", error="invalid_token", resource_metadata="https://api.example/.well-known/oauth-protected-resource""#
        );
        assert_eq!(space.problem(Reason::Expired), class_problem(crate::ErrorKind::InvalidToken));
        assert_eq!(space.realm(), "https://api.example");
    }

    #[test]
    fn one_line_says_the_reason_or_its_class() {
        assert_eq!(space().message(Reason::UnknownKey), "the token's signature is not valid");
        assert_eq!(space().without_descriptions().message(Reason::UnknownKey), "invalid token");
        for reason in Reason::ALL {
            for message in [space().message(*reason), space().without_descriptions().message(*reason)] {
                assert!(message.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'%'), "{message}");
            }
        }
    }

    #[test]
    fn a_setting_that_cannot_be_written_is_explained() {
        assert!(ProtectionSpace::new("").unwrap_err().to_string().contains("the realm must be"));
    }

    #[test]
    fn an_unknown_key_is_worded_as_an_invalid_signature() {
        assert_eq!(written(Reason::UnknownKey.into(), None), written(Reason::InvalidSignature.into(), None));
        assert_eq!(space().problem(Reason::UnknownKey), Reason::InvalidSignature.problem());
    }

    #[test]
    fn a_realm_is_quoted_and_must_be_visible_ascii() {
        let space = ProtectionSpace::new(r#"a "b" \c"#).unwrap();
        assert_eq!(
            space.challenge(&Error::missing_credentials(), None).unwrap().to_string(),
            r#"Bearer realm="a \"b\" \\c""#
        );
        for bad in ["", "a\r\nb", "\u{e9}", "a\tb", "\u{7f}"] {
            assert!(ProtectionSpace::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Quoted("a\r\n\u{e9}").to_string(), r#""a???""#);
    }

    #[test]
    fn a_space_that_is_changed_writes_its_challenges_anew() {
        let error = Error::from(Reason::Expired);
        let written = || {
            let space = ProtectionSpace::new("old").unwrap();
            assert!(space.challenge_value(&error, None).is_some());
            space
        };
        for changed in [
            written().with_realm("new").unwrap(),
            written().with_resource_metadata("https://h/x").unwrap(),
            written().without_descriptions(),
        ] {
            let anew = changed.challenge(&error, None).map(|challenge| challenge.to_header_value());
            assert_eq!(changed.challenge_value(&error, None), anew);
        }
    }

    #[test]
    fn the_metadata_url_is_https_but_for_a_client_on_this_machine() {
        for good in [
            "https://h/.well-known/oauth-protected-resource/r?x=1",
            "https://127.0.0.1:3000/x",
            "http://127.0.0.1:3000/x",
            "http://[::1]/x",
            "http://localhost:3000/x",
        ] {
            assert!(space().with_resource_metadata(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/x",
            "http://h/x",
            "https://h/x#f",
            "https:///x",
            "ftp://h/x",
            "https://h/a b",
            "https://h/\"",
            "https://user:pw@h/x",
            "http://localhost.example/x",
            "http://10.0.0.1/x",
            "http://user@localhost/x",
        ] {
            assert!(space().with_resource_metadata(bad).is_err(), "{bad}");
        }
    }
}
