//! Evidence that a token was judged good.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::de::DeserializeOwned;

use crate::{Error, Reason, Scope, ScopeGrammar, ScopePolicy, error::Failure};

/// An access token that was judged good: who issued it, to whom, for what, until when.
///
/// There is no public constructor. A value exists because a [`ResourceServer`](crate::ResourceServer) judged a token and
/// found it good. It does not hold the token's text, and is cheap to clone.
///
/// A user is identified by [`principal`](Self::principal), the pair of issuer and subject. A bare `sub` identifies nobody:
/// another issuer may give the same one to somebody else, and a client that acts for itself may have a `sub` that reads
/// like a user's (RFC 9068 §5).
#[derive(Clone)]
pub struct VerifiedToken(Arc<Inner>);

struct Inner {
    issuer: Arc<str>,
    /// The claims as a JSON object. Most of what is said below is a part of it.
    claims: Box<str>,
    subject: Option<Text>,
    client_id: Option<Text>,
    audience: Box<[Text]>,
    scope: Scope,
    grammar: Arc<dyn ScopeGrammar>,
    expires_at: Option<Duration>,
    not_before: Option<Duration>,
    issued_at: Option<Duration>,
    token_id: Option<Text>,
    authentication_time: Option<Duration>,
    authentication_context: Option<Text>,
    authentication_methods: Box<[Text]>,
    /// The claims in the types that handlers have asked for so far, each built once.
    typed: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

/// A text: where it is among the claims, or by itself where it is written there with escapes.
enum Text {
    Among { from: u32, to: u32 },
    Alone(Box<str>),
}

impl Text {
    /// `text` may be a part of `claims`, the very memory, or lie somewhere else.
    fn of(text: &str, claims: &str) -> Self {
        let from = (text.as_ptr() as usize).checked_sub(claims.as_ptr() as usize);
        let is_among = |from: &usize| claims.get(*from..from + text.len()).is_some_and(|part| part == text);
        match from.filter(is_among).and_then(|from| Some((from.try_into().ok()?, (from + text.len()).try_into().ok()?)))
        {
            Some((from, to)) => Self::Among { from, to },
            None => Self::Alone(text.into()),
        }
    }
}

/// What a verifier vouches for.
pub(crate) struct Assertion<'a> {
    pub(crate) issuer: Arc<str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) audience: Vec<&'a str>,
    pub(crate) scope: Scope,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) not_before: Option<Duration>,
    pub(crate) issued_at: Option<Duration>,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) authentication_time: Option<Duration>,
    pub(crate) authentication_context: Option<&'a str>,
    pub(crate) authentication_methods: Vec<&'a str>,
    /// The claims as a JSON object.
    pub(crate) claims: &'a str,
}

impl VerifiedToken {
    /// The one place where a token becomes a verified one. Every caller vouches that the token was judged good.
    pub(crate) fn assertion(assertion: Assertion<'_>) -> Self {
        let claims = assertion.claims;
        let text = |text: &str| Text::of(text, claims);
        let texts = |texts: Vec<&str>| texts.into_iter().map(text).collect();
        Self(Arc::new(Inner {
            issuer: assertion.issuer,
            subject: assertion.subject.map(text),
            client_id: assertion.client_id.map(text),
            audience: texts(assertion.audience),
            scope: assertion.scope,
            grammar: assertion.grammar,
            expires_at: assertion.expires_at,
            not_before: assertion.not_before,
            issued_at: assertion.issued_at,
            token_id: assertion.token_id.map(text),
            authentication_time: assertion.authentication_time,
            authentication_context: assertion.authentication_context.map(text),
            authentication_methods: texts(assertion.authentication_methods),
            claims: claims.into(),
            typed: Mutex::default(),
        }))
    }

    fn get(&self) -> &Inner {
        &self.0
    }

    fn text<'t>(&'t self, text: &'t Text) -> &'t str {
        match text {
            Text::Among { from, to } => &self.0.claims[*from as usize..*to as usize],
            Text::Alone(text) => text,
        }
    }

    /// The issuer (`iss`), as it is configured.
    pub fn issuer(&self) -> &str {
        &self.get().issuer
    }

    /// The subject (`sub`), unique only together with the issuer. Tokens of machines may have none.
    pub fn subject(&self) -> Option<&str> {
        self.get().subject.as_ref().map(|text| self.text(text))
    }

    /// The issuer and subject, to know a user by. `None` where the token has no subject.
    pub fn principal(&self) -> Option<Principal<'_>> {
        Some(Principal { issuer: self.issuer(), subject: self.subject()? })
    }

    /// The client that the token was issued to (`client_id`, or the claim that the issuer's profile names).
    pub fn client_id(&self) -> Option<&str> {
        self.get().client_id.as_ref().map(|text| self.text(text))
    }

    /// Whether the client acts for itself and not for a user: the token has no subject, or one equal to the client.
    pub fn is_client(&self) -> bool {
        match self.subject() {
            None => true,
            subject => subject == self.client_id(),
        }
    }

    /// The audiences (`aud`) that the issuer named, at least one of which is this resource server.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.get().audience.iter().map(|text| self.text(text))
    }

    /// The scope that was granted.
    pub fn scope(&self) -> &Scope {
        &self.get().scope
    }

    /// Whether the token's scope meets `policy`, under the grammar of its issuer.
    pub fn satisfies(&self, policy: &ScopePolicy) -> bool {
        policy.is_satisfied_by(&self.get().scope, &*self.get().grammar)
    }

    /// When the token expires (`exp`), the leeway not added. `None` where nobody said: a JWT without `exp` is refused, but
    /// the answer about an opaque token may have none (RFC 7662 §2.2).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.get().expires_at.map(|time| SystemTime::UNIX_EPOCH + time)
    }

    /// Whether it is valid at this time, by its own times.
    pub(crate) fn is_within(&self, now: Duration, leeway: Duration, max_age: Option<Duration>) -> bool {
        let Inner { expires_at, not_before, issued_at, .. } = self.get();
        let is_young = |issued_at: Duration| {
            issued_at <= now + leeway
                && max_age.is_none_or(|max_age| now <= issued_at.saturating_add(max_age).saturating_add(leeway))
        };
        expires_at.is_none_or(|expires_at| now < expires_at + leeway)
            && not_before.is_none_or(|not_before| not_before <= now + leeway)
            && issued_at.is_none_or(is_young)
    }

    /// How many bytes it takes, by estimate.
    pub(crate) fn size(&self) -> usize {
        1024 + 2 * self.get().claims.len()
    }

    /// When it expired, if that was at this time or before.
    pub(crate) fn lapsed(&self, time: Duration) -> Option<Duration> {
        self.get().expires_at.filter(|expires_at| *expires_at <= time)
    }

    /// The claims as a JSON object.
    pub(crate) fn payload(&self) -> &[u8] {
        self.get().claims.as_bytes()
    }

    /// Before when the token is not valid (`nbf`).
    pub fn not_before(&self) -> Option<SystemTime> {
        self.get().not_before.map(|time| SystemTime::UNIX_EPOCH + time)
    }

    /// When the token was issued (`iat`).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.get().issued_at.map(|time| SystemTime::UNIX_EPOCH + time)
    }

    /// The token's identifier (`jti`), for audit. A bearer token may be presented any number of times, so an identifier
    /// that was seen before says nothing against it.
    pub fn token_id(&self) -> Option<&str> {
        self.get().token_id.as_ref().map(|text| self.text(text))
    }

    /// When the user authenticated (`auth_time`, RFC 9068 §2.2.1).
    pub fn authentication_time(&self) -> Option<SystemTime> {
        self.get().authentication_time.map(|time| SystemTime::UNIX_EPOCH + time)
    }

    /// The authentication context class (`acr`, RFC 9068 §2.2.1).
    pub fn authentication_context(&self) -> Option<&str> {
        self.get().authentication_context.as_ref().map(|text| self.text(text))
    }

    /// The authentication methods (`amr`, RFC 9068 §2.2.1).
    pub fn authentication_methods(&self) -> impl Iterator<Item = &str> {
        self.get().authentication_methods.iter().map(|text| self.text(text))
    }

    /// The claims as `C`, built once per token and type and shared afterwards.
    ///
    /// # Errors
    ///
    /// [`Reason::ClaimsMismatch`] when the claims cannot be read as `C`.
    pub fn claims<C: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<C>, Error> {
        if let Some(claims) = find(&self.typed()) {
            return Ok(claims);
        }
        let built: Arc<C> =
            serde_json::from_str(&self.get().claims).map(Arc::new).map_err(|error| self.mismatch::<C>(&error))?;
        let mut typed = self.typed();
        if let Some(claims) = find(&typed) {
            return Ok(claims);
        }
        typed.push(Arc::clone(&built) as Arc<dyn Any + Send + Sync>);
        Ok(built)
    }

    /// Nothing is done under the lock that could panic, so a poisoned one would hold good values.
    fn typed(&self) -> MutexGuard<'_, Vec<Arc<dyn Any + Send + Sync>>> {
        self.0.typed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a deserializer says may quote values, so no more of it is kept than the name of a field that is missing, which
    /// is the application's own.
    fn mismatch<C>(&self, error: &serde_json::Error) -> Error {
        let said = error.to_string();
        let found = match said.split(" at line").next() {
            Some(missing) if missing.starts_with("missing field") => missing,
            _ => "a claim of another type",
        };
        Error::from(Failure::new(Reason::ClaimsMismatch, "claims", std::any::type_name::<C>(), found))
            .with_issuer(self.issuer())
    }
}

fn find<C: Send + Sync + 'static>(typed: &[Arc<dyn Any + Send + Sync>]) -> Option<Arc<C>> {
    typed.iter().find_map(|claims| Arc::clone(claims).downcast().ok())
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("client_id", &self.client_id())
            .field("scope", self.scope())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// Who a token speaks for: an issuer, and a subject of that issuer.
///
/// Two principals are equal when both parts are (RFC 8725 §3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Principal<'a> {
    issuer: &'a str,
    subject: &'a str,
}

impl<'a> Principal<'a> {
    /// The issuer.
    pub fn issuer(&self) -> &'a str {
        self.issuer
    }

    /// The subject.
    pub fn subject(&self) -> &'a str {
        self.subject
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Claims, ExactScopes};

    /// A token of `issuer` as a verifier would vouch for it.
    pub(crate) fn verified(issuer: &str, subject: Option<&str>, client_id: Option<&str>) -> VerifiedToken {
        VerifiedToken::assertion(Assertion {
            issuer: issuer.into(),
            subject,
            client_id,
            audience: vec!["api"],
            scope: Scope::parse("read write"),
            grammar: Arc::new(ExactScopes),
            expires_at: Some(Duration::from_secs(100)),
            not_before: None,
            issued_at: None,
            token_id: None,
            authentication_time: None,
            authentication_context: None,
            authentication_methods: Vec::new(),
            claims: r#"{"name":"Alice","roles":["admin"]}"#,
        })
    }

    #[test]
    fn jwt_9_a_principal_is_the_pair_of_issuer_and_subject() {
        let [a, b] = ["https://a", "https://b"].map(|issuer| verified(issuer, Some("alice"), None));
        let other = verified("https://a", Some("bob"), None);
        assert_ne!(a.principal(), b.principal());
        assert_ne!(a.principal(), other.principal());
        assert_eq!(a.principal(), verified("https://a", Some("alice"), Some("app")).principal());
        let principal = a.principal().unwrap();
        assert_eq!((principal.issuer(), principal.subject()), ("https://a", "alice"));
        assert!(verified("https://a", None, Some("app")).principal().is_none());
    }

    #[test]
    fn at_8_a_client_that_acts_for_itself_is_told_from_a_user() {
        for (subject, client_id, is_client) in [
            (Some("alice"), Some("app"), false),
            (Some("app"), Some("app"), true),
            (None, Some("app"), true),
            (None, None, true),
            (Some("alice"), None, false),
        ] {
            assert_eq!(verified("https://a", subject, client_id).is_client(), is_client, "{subject:?}, {client_id:?}");
        }
    }

    #[test]
    fn a_policy_is_met_by_the_scope_of_the_token() {
        let token = verified("https://a", None, None);
        assert!(token.satisfies(&ScopePolicy::all(["read", "write"]).unwrap()));
        assert!(!token.satisfies(&ScopePolicy::all(["read", "admin"]).unwrap()));
    }

    #[derive(Debug, Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn claims_are_built_once_for_each_type() {
        let token = verified("https://a", None, None);
        let first = token.claims::<Named>().unwrap();
        assert_eq!(first.name, "Alice");
        assert!(Arc::ptr_eq(&first, &token.clone().claims::<Named>().unwrap()));
        let all = token.claims::<Claims>().unwrap();
        assert_eq!(all["roles"][0], "admin");
        assert!(Arc::ptr_eq(&all, &token.claims::<Claims>().unwrap()));
        assert!(Arc::ptr_eq(&first, &token.claims::<Named>().unwrap()));
    }

    #[test]
    fn claims_that_do_not_fit_are_a_mismatch_that_quotes_none_of_them() {
        let error = verified("https://a", None, None).claims::<Vec<String>>().unwrap_err();
        assert_eq!((error.reason(), error.issuer()), (Reason::ClaimsMismatch, Some("https://a")));
        assert_eq!(error.failures()[0].found(), "a claim of another type");
        assert!(error.failures()[0].expected().contains("Vec"));
        assert!(!format!("{error} {error:?}").contains("Alice"));
    }

    #[test]
    fn a_claim_that_is_missing_is_named() {
        #[derive(Debug, serde::Deserialize)]
        struct Mail {
            #[expect(dead_code, reason = "never there")]
            email: String,
        }

        let error = verified("https://a", None, None).claims::<Mail>().unwrap_err();
        assert_eq!(error.failures()[0].found(), "missing field `email`");
    }

    #[test]
    fn a_token_and_its_claims_print_without_personal_data() {
        let token = verified("https://a", Some("alice"), Some("app"));
        let printed = format!("{token:?}");
        assert!(printed.contains("https://a") && printed.contains("alice") && !printed.contains("Alice"), "{printed}");
        let claims = token.claims::<Claims>().unwrap();
        assert_eq!(format!("{claims:?}"), r#"{"name", "roles"}"#);
        assert_eq!(Claims::clone(&claims).into_map().len(), 2);
    }
}
