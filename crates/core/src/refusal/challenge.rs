//! The refusal on the wire: `WWW-Authenticate` (RFC 6750 §3, RFC 9110 §11.6.1).
//!
//! One writer, one quoting routine. A challenge consists of configuration and fixed texts, never of anything from the request.

use std::{error::Error as StdError, fmt, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderValue;

use super::error::Schemes;
use crate::{
    confirmation::ConfirmationMethod,
    net::https_url,
    refusal::{Error, Reason, reason::class_problem},
    request::Scheme,
    scope::Access,
    token::VerifiedToken,
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
    schemes: OfferedSchemes,
    /// The methods by one of which tokens have to be bound; empty where bearer tokens do.
    bindings: &'static [ConfirmationMethod],
    cache: CachedChallenges,
}

/// The schemes by which clients may present tokens.
#[derive(Clone, Debug)]
pub(crate) struct OfferedSchemes {
    pub(crate) bearer: bool,
    /// The algorithms of proofs, where the scheme DPoP is offered.
    pub(crate) dpop: Option<Box<str>>,
}

impl OfferedSchemes {
    const BEARER: Self = Self { bearer: true, dpop: None };
}

/// How many challenges are cached. A service has as many as it has pairs of a reason and a required scope.
const MAX_CACHED: usize = 256;

/// Cached challenges. They consist of configuration alone, so that no client can fill the cache.
#[derive(Debug, Default)]
struct CachedChallenges(ArcSwap<Vec<(ChallengeKey, Arc<[HeaderValue]>)>>);

/// The reason, the schemes that were used, and the required scope where a challenge names one.
type ChallengeKey = (Reason, Schemes, Option<Box<str>>);

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
            schemes: OfferedSchemes::BEARER,
            bindings: &[],
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
        // CHAL-2: there is always a realm.
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
        // PRM-6: an absolute https URL.
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

    /// The space of what is called with this access. Challenges offer only schemes under which a token can meet it, by the methods
    /// that the resource server has switched on: not Bearer where a token has to be bound to a key.
    #[must_use]
    pub fn for_access(mut self, access: &Access) -> Self {
        self.bindings = access.required_bindings();
        self.with_empty_cache()
    }

    /// The methods by one of which tokens have to be bound; empty where bearer tokens do. Default: empty.
    pub fn required_bindings(&self) -> &'static [ConfirmationMethod] {
        self.bindings
    }

    /// The scheme whose challenge has the error of a refusal that names none.
    pub(crate) fn default_scheme(&self) -> Scheme {
        if self.schemes.bearer { Scheme::Bearer } else { Scheme::Dpop }
    }

    /// Offers these schemes. Without it, Bearer is offered.
    pub(crate) fn offering(mut self, schemes: OfferedSchemes) -> Self {
        self.schemes = schemes;
        self.with_empty_cache()
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

    /// What clients may be told of `reason`: the reason, or another that stands for it. `None` where they are told the class alone,
    /// see [`without_descriptions`](Self::without_descriptions).
    pub fn disclosed(&self, reason: Reason) -> Option<Reason> {
        self.described.then(|| reason.disclosed())
    }

    /// The name of `reason` for clients, which is that of the class where descriptions are omitted.
    pub fn reason_name(&self, reason: Reason) -> &'static str {
        self.disclosed(reason).map_or_else(|| reason.kind().as_str(), Reason::as_str)
    }

    /// The problem document for `reason`.
    pub fn problem(&self, reason: Reason) -> &'static str {
        self.disclosed(reason).map_or_else(|| class_problem(reason.kind()), Reason::problem)
    }

    /// The message for `reason` where the client reads no document: printable ASCII without a per cent sign.
    pub fn message(&self, reason: Reason) -> &'static str {
        self.disclosed(reason).map_or_else(|| reason.kind().title(), Reason::description)
    }

    /// The challenges for `error`, one for each scheme, naming the required `scope` if given. None where the client cannot
    /// remedy the refusal.
    ///
    /// The error code is in the challenge of the scheme that the request used (RFC 9449 §7.1): that of the refused credentials,
    /// or of the valid `token` of a request that is not permitted. Challenges of other schemes have none.
    pub fn challenges<'a>(
        &'a self,
        error: &Error,
        scope: Option<&'a str>,
        token: Option<&VerifiedToken>,
    ) -> Vec<Challenge<'a>> {
        self.of_schemes(error, scope, used(error, token))
    }

    fn of_schemes<'a>(&'a self, error: &Error, scope: Option<&'a str>, used: Schemes) -> Vec<Challenge<'a>> {
        let kind = error.disclosed().kind();
        if !kind.is_challenged() {
            return Vec::new();
        }
        let OfferedSchemes { bearer, ref dpop } = self.schemes;
        let used = if used == Schemes::None { used.and(self.default_scheme()) } else { used };
        let challenge = |scheme, algorithms| {
            // CHAL-3, DPOP-19: an error in the scheme that was used, and in no other.
            let code = kind.code().filter(|_| used.include(scheme));
            Challenge {
                scheme,
                realm: &self.realm,
                error: code,
                // CHAL-7, CHAL-12: fixed texts, which can be switched off.
                description: code.filter(|_| self.described).map(|_| error.disclosed().description()),
                scope: scope.filter(|scope| !scope.is_empty()),
                resource_metadata: self.resource_metadata.as_deref(),
                algorithms,
            }
        };
        // CHAL-8, DPOP-15: a challenge for each scheme that is offered.
        let bearer = (bearer || used.include(Scheme::Bearer)).then(|| challenge(Scheme::Bearer, None));
        let dpop = dpop.as_deref().map(|algorithms| challenge(Scheme::Dpop, Some(algorithms)));
        bearer.into_iter().chain(dpop).collect()
    }
}

/// The schemes that the refused request used. A valid token tells by its binding.
fn used(error: &Error, token: Option<&VerifiedToken>) -> Schemes {
    match token.map(VerifiedToken::binding) {
        Some(binding) if binding.is_by(ConfirmationMethod::Dpop) => Schemes::Dpop,
        Some(_) => Schemes::Bearer,
        None => error.schemes(),
    }
}

impl ProtectionSpace {
    /// The field values of the challenges for `error`, each for a field line of its own, from the cache if they were written
    /// before. See [`challenges`](Self::challenges).
    pub fn challenge_values(
        &self,
        error: &Error,
        scope: Option<&str>,
        token: Option<&VerifiedToken>,
    ) -> Arc<[HeaderValue]> {
        let (reason, scope) = (error.disclosed(), scope.filter(|scope| !scope.is_empty()));
        let used = used(error, token);
        let cached = self.cache.0.load();
        let is_it = |(other, schemes, required): &ChallengeKey| {
            *other == reason && *schemes == used && required.as_deref() == scope
        };
        if let Some((_, values)) = cached.iter().find(|(key, _)| is_it(key)) {
            return Arc::clone(values);
        }
        let values: Arc<[HeaderValue]> =
            self.of_schemes(error, scope, used).iter().map(Challenge::to_header_value).collect();
        if cached.len() < MAX_CACHED && !values.is_empty() {
            self.cache.0.rcu(|cached| {
                let mut all = Vec::clone(cached);
                all.push(((reason, used, scope.map(Into::into)), Arc::clone(&values)));
                all.truncate(MAX_CACHED);
                all
            });
        }
        values
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
    /// The algorithms of proofs (RFC 9449 §7.1).
    algorithms: Option<&'a str>,
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
        // CHAL-5: each parameter once.
        let parameters = [
            ("realm", Some(self.realm)),
            ("error", self.error),
            ("error_description", self.description),
            ("scope", self.scope),
            ("resource_metadata", self.resource_metadata),
            ("algs", self.algorithms),
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
                // CHAL-6: a quoted-string ends where it has to.
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
        space().challenges(&error, scope, None)[0].to_string()
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
        assert_eq!(space().challenges(&Reason::KeysUnavailable.into(), None, None), []);
        assert_eq!(space().challenges(&Error::missing_authenticate_layer(), None, None), []);
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
            let expected = space.challenges(&error, scope, None)[0].to_header_value();
            for _ in 0..2 {
                assert_eq!(space.challenge_values(&error, scope, None).to_vec(), vec![expected.clone()]);
            }
        }
        assert_eq!(space.cache.0.load().len(), 5);
        assert!(space.challenge_values(&Reason::KeysUnavailable.into(), None, None).is_empty());
        let other = space.clone().with_realm("other").unwrap();
        assert_eq!(*other.challenge_values(&Error::missing_credentials(), None, None), ["Bearer realm=\"other\""]);
        for number in 0..1000 {
            let scope = number.to_string();
            let expected = space.challenges(&Error::insufficient_scope(), Some(&scope), None)[0].to_header_value();
            assert_eq!(*space.challenge_values(&Error::insufficient_scope(), Some(&scope), None), [expected]);
        }
        assert_eq!(space.cache.0.load().len(), MAX_CACHED);
    }

    #[test]
    fn dpop_19_the_error_is_in_the_challenge_of_the_scheme_that_was_used() {
        let both = OfferedSchemes { bearer: true, dpop: Some("ES256 Ed25519".into()) };
        let dpop = OfferedSchemes { bearer: false, ..both.clone() };
        let written = |offered: &OfferedSchemes, error: &Error| {
            let space = ProtectionSpace::new("r").unwrap().without_descriptions().offering(offered.clone());
            let values = space.challenge_values(error, None, None);
            values.iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (bearer, with_dpop) = (r#"Bearer realm="r""#, r#"DPoP realm="r", algs="ES256 Ed25519""#);
        let invalid_bearer = r#"Bearer realm="r", error="invalid_token""#;
        let invalid_dpop = r#"DPoP realm="r", error="invalid_token", algs="ES256 Ed25519""#;
        let expired = || Error::from(Reason::Expired);
        assert_eq!(written(&both, &Error::missing_credentials()), [bearer, with_dpop]);
        assert_eq!(written(&dpop, &Error::missing_credentials()), [with_dpop]);
        assert_eq!(written(&both, &expired()), [invalid_bearer, with_dpop]);
        assert_eq!(written(&both, &expired().under(Scheme::Bearer)), [invalid_bearer, with_dpop]);
        assert_eq!(written(&both, &expired().under(Scheme::Dpop)), [bearer, invalid_dpop]);
        assert_eq!(written(&dpop, &expired().under(Scheme::Dpop)), [invalid_dpop]);
        assert_eq!(written(&dpop, &expired().under(Scheme::Bearer)), [invalid_bearer, with_dpop]);
        assert_eq!(written(&dpop, &expired()), [invalid_dpop]);
        let twice = Error::from(Reason::DuplicateCredentials).under(Scheme::Bearer).under(Scheme::Dpop);
        assert_eq!(
            written(&both, &twice),
            [
                r#"Bearer realm="r", error="invalid_request""#,
                r#"DPoP realm="r", error="invalid_request", algs="ES256 Ed25519""#
            ]
        );
    }

    #[test]
    fn descriptions_can_be_switched_off_and_the_metadata_document_named() {
        let space = space()
            .without_descriptions()
            .with_resource_metadata("https://api.example/.well-known/oauth-protected-resource")
            .unwrap();
        let challenge = &space.challenges(&Reason::Expired.into(), None, None)[0];
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
            space.challenges(&Error::missing_credentials(), None, None)[0].to_string(),
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
            assert!(!space.challenge_values(&error, None, None).is_empty());
            space
        };
        for changed in [
            written().with_realm("new").unwrap(),
            written().with_resource_metadata("https://h/x").unwrap(),
            written().without_descriptions(),
        ] {
            let anew = changed.challenges(&error, None, None)[0].to_header_value();
            assert_eq!(*changed.challenge_values(&error, None, None), [anew]);
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
