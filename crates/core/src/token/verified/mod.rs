//! The token that handlers get: evidence that every check passed.

use std::{
    any::{Any, type_name},
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, SystemTime},
};

use once_cell::race::OnceBox;
use serde::de::DeserializeOwned;

use super::{
    checked_claims::{CheckedClaims, StoredClaims, Text, Writer, short},
    claims::{
        NumericDate,
        checks::{self, AllowedValues},
    },
};
use crate::{
    confirmation::{Binding, Confirmation},
    jose::{
        KeySet,
        json::{self, Value},
    },
    per_thread::LocalArc,
    refusal::{Error, FailedCheck, Reason, failed_check::Actual},
    scope::{Scope, ScopeGrammar, ScopePolicy},
};

/// A valid access token: its issuer, subject, client, scope and times.
///
/// There is no public constructor: a value exists because a [`ResourceServer`](crate::ResourceServer) verified a token. It does
/// not hold the token's text, and is cheap to clone.
///
/// A user is identified by [`principal`](Self::principal), the pair of issuer and subject, and never by `sub` alone: another
/// issuer may give the same `sub` to another user, and a client that acts for itself may have a `sub` that reads like a user's
/// (RFC 9068 §5).
#[derive(Clone)]
pub struct VerifiedToken(LocalArc<Inner>);

/// A token as it is cached, perhaps a great many times, so that no text of its claims is kept twice.
#[derive(Clone)]
struct Inner {
    issuer_context: Arc<IssuerContext>,
    /// The claims as a JSON object, and then the texts that are written there with escapes.
    text: Box<str>,
    /// Where the JSON object ends.
    end: u32,
    claims: StoredClaims,
    scope: Scope,
    typed: Typed,
    growth_hook: GrowthHook,
}

/// Called when a cached token takes more memory than before. A copy of the token is not cached, and has none.
#[derive(Default)]
struct GrowthHook(OnceLock<Box<Grown>>);

type Grown = dyn Fn(&VerifiedToken) + Send + Sync;

impl Clone for GrowthHook {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What the tokens of an issuer have in common. Those that were verified by the same keys share one.
pub(crate) struct IssuerContext {
    /// The issuer's name, in memory that is the verifier's own: another verifier of the same issuer has another `Arc`.
    pub(crate) issuer: Arc<str>,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) leeway: Duration,
    /// How long ago a token may have been issued, if that is limited.
    pub(crate) max_age: Option<Duration>,
    /// Where the signature was checked; `None` where a lookup verified the token.
    pub(crate) verified_by: Option<VerifiedBy>,
}

/// The keys that verified a signature: a cached token is valid for as long as its issuer has these very keys.
pub(crate) struct VerifiedBy {
    /// Weak: a token held by a handler does not keep rotated-out keys in memory.
    pub(crate) keys: Weak<KeySet>,
    pub(crate) issuer_index: IssuerIndex,
}

/// The place of an issuer in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IssuerIndex {
    /// The issuer of this number, among those that were named one by one.
    Named(usize),
    /// A tenant of the set of this number.
    Tenant(usize),
}

impl fmt::Debug for IssuerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerContext")
            .field("issuer", &self.issuer)
            .field("grammar", &self.grammar)
            .finish_non_exhaustive()
    }
}

/// The claims in the types that handlers have asked for so far: a linked list without locks.
type Typed = OnceBox<TypedClaims>;

#[derive(Clone)]
struct TypedClaims {
    claims: Arc<dyn Any + Send + Sync>,
    /// How many bytes they take, by estimate.
    bytes: usize,
    others: Typed,
}

/// How many bytes claims take in the type of a handler, by an estimate on the safe side: as many as values of serde_json would,
/// with punctuation in texts counted as structure.
fn in_memory<C>(json: &str) -> usize {
    /// A node of a B-tree, which up to eleven members of an object share.
    const NODE: usize = 768;
    /// What a text takes beside its bytes.
    const TEXT: usize = 24;
    /// An element of a list, whose memory grows by doubling and begins with room for four.
    const ELEMENT: usize = 2 * size_of::<serde_json::Value>();
    let count = |byte| json.bytes().filter(|found| *found == byte).count();
    let (objects, members, lists) = (count(b'{'), count(b':'), count(b'['));
    // Members are separated by commas, too.
    let elements = (count(b',') + objects).saturating_sub(members) + 2 * lists;
    let objects = objects + members / 6;
    size_of::<C>() + json.len() + NODE * objects + TEXT * count(b'"') / 2 + ELEMENT * elements
}

impl VerifiedToken {
    /// The one place where a token becomes a verified one. The caller vouches that `checked`, which were read from the JSON
    /// object `claims`, passed every check, and that the token is genuine.
    pub(crate) fn from_checked(
        issuer_context: Arc<IssuerContext>,
        checked: CheckedClaims<'_>,
        scope: Scope,
        claims: &str,
    ) -> Self {
        let mut writer = Writer::new(claims);
        let stored = checked.store(&mut writer);
        Self(LocalArc::new(Inner {
            issuer_context,
            text: writer.finish(),
            end: short(claims.len()),
            claims: stored,
            scope,
            typed: OnceBox::new(),
            growth_hook: GrowthHook::default(),
        }))
    }

    /// The same token with the scope and the binding of the answer about it, which has narrowed them.
    pub(crate) fn narrowed(self, scope: &Scope, confirmation: Option<Confirmation>) -> Self {
        if self.scope() == scope && self.confirmation() == confirmation.as_ref() {
            return self;
        }
        let mut inner = Inner { scope: scope.clone(), ..Inner::clone(&self.0) };
        inner.claims.confirmation = confirmation.map(Box::new);
        Self(LocalArc::new(inner))
    }

    /// The same token with a reference count of its own, for one thread to clone.
    pub(crate) fn padded(&self) -> Self {
        Self(self.0.padded())
    }

    /// The same token with the reference count that it was made with.
    pub(crate) fn unpadded(&self) -> Self {
        Self(self.0.unpadded())
    }

    fn text(&self, text: Text) -> &str {
        text.of(&self.0.text)
    }

    pub(crate) fn json(&self) -> &str {
        self.0.text.get(..self.0.end as usize).unwrap_or_default()
    }

    /// What it has in common with other tokens of its issuer.
    pub(crate) fn issuer_context(&self) -> &IssuerContext {
        &self.0.issuer_context
    }

    /// The issuer (`iss`), as it is configured.
    pub fn issuer(&self) -> &str {
        &self.0.issuer_context.issuer
    }

    /// The subject (`sub`), unique only together with the issuer. Tokens of machines may have none.
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject.map(|text| self.text(text))
    }

    /// The issuer and subject, to know a user by. `None` where the token has no subject.
    pub fn principal(&self) -> Option<Principal<'_>> {
        // JWT-9: a subject is one of its issuer.
        Some(Principal { issuer: self.issuer(), subject: self.subject()? })
    }

    /// The client that the token was issued to (`client_id`, or the claim that the issuer's profile names).
    pub fn client_id(&self) -> Option<&str> {
        self.0.claims.client_id.map(|text| self.text(text))
    }

    /// Whether the client acts for itself and not for a user: the token has no subject, or one equal to the client.
    pub fn is_client(&self) -> bool {
        match self.subject() {
            None => true,
            // AT-8: a client that acts for itself is its own subject.
            subject => subject == self.client_id(),
        }
    }

    /// The audiences (`aud`) that the issuer named, at least one of which is this resource server.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.0.claims.audience.iter().map(|text| self.text(text))
    }

    /// Checks that the token names one of these audiences.
    pub(crate) fn check_audience(&self, ours: &AllowedValues) -> Result<(), FailedCheck> {
        checks::audience(ours, self.0.claims.audience.iter().map(|text| self.text(text)))
    }

    /// The scope that was granted.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Whether the token's scope meets `policy`, under the grammar of its issuer.
    pub fn satisfies(&self, policy: &ScopePolicy) -> bool {
        policy.is_satisfied_by(&self.0.scope, &*self.0.issuer_context.grammar)
    }

    /// When the token expires (`exp`), the leeway not added. `None` where that is not known: a JWT without `exp` is refused,
    /// but the answer about an opaque token may have none (RFC 7662 §2.2).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.claims.expires_at.map(time)
    }

    /// Whether its times allow it now.
    pub(crate) fn is_valid_at(&self, now: Duration) -> bool {
        self.check_times(now).is_ok()
    }

    /// How many bytes it takes, by estimate, with the claims that were built in the types of handlers so far.
    pub(crate) fn size(&self) -> usize {
        let built = std::iter::successors(self.0.typed.get(), |typed| typed.others.get());
        let built: usize = built.map(|typed| size_of::<TypedClaims>() + typed.bytes).sum();
        size_of::<Inner>() + 256 + self.0.text.len() + self.0.scope.size() + built
    }

    /// Has `grown` called whenever the token takes more memory than before. A second call changes nothing: one cache keeps a
    /// token.
    pub(crate) fn on_growth(&self, grown: impl Fn(&VerifiedToken) + Send + Sync + 'static) {
        let _ = self.0.growth_hook.0.set(Box::new(grown));
    }

    /// Refuses it where its times do not allow it now.
    pub(crate) fn check_times(&self, now: Duration) -> Result<(), FailedCheck> {
        let IssuerContext { leeway, max_age, .. } = *self.0.issuer_context;
        let StoredClaims { expires_at, not_before, issued_at, .. } = self.0.claims;
        checks::not_expired(expires_at, now, leeway)?;
        checks::begun(not_before, now, leeway)?;
        issued_at.map_or(Ok(()), |issued_at| checks::recent(issued_at, max_age, now, leeway))
    }

    /// The claims as a JSON object.
    pub(crate) fn payload(&self) -> &[u8] {
        self.json().as_bytes()
    }

    /// The session (`sid`).
    pub(crate) fn session(&self) -> Option<String> {
        let members = json::object(self.payload(), |name| name == "sid").ok()?;
        members.into_iter().find_map(|(_, value)| match value {
            Value::String(session) => Some(session.into_owned()),
            _ => None,
        })
    }

    /// From when its times do not allow it any more, in time since 1970, and why. `None` where nothing limits it.
    pub(crate) fn valid_until(&self) -> Option<(Duration, Reason)> {
        let IssuerContext { leeway, max_age, .. } = *self.0.issuer_context;
        let StoredClaims { expires_at, issued_at, .. } = self.0.claims;
        let expiry = expires_at.map(|time| (time.saturating_add(leeway), Reason::Expired));
        let age = issued_at.zip(max_age).map(|(time, max_age)| {
            // At its greatest age, a token is not too old yet.
            let oldest = time.saturating_add(max_age).saturating_add(leeway);
            (oldest.saturating_add(Duration::from_nanos(1)), Reason::TokenTooOld)
        });
        expiry.into_iter().chain(age).min_by_key(|(time, _)| *time)
    }

    /// How the client of the request has proven that the token is its own. A bearer token has no binding.
    ///
    /// A token that is bound comes to a handler only with proof of everything that it is bound to.
    pub fn binding(&self) -> Binding {
        self.confirmation().map(Confirmation::binding).unwrap_or_default()
    }

    /// What the token is bound to.
    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        self.0.claims.confirmation.as_deref()
    }

    /// Before when the token is not valid (`nbf`).
    pub fn not_before(&self) -> Option<SystemTime> {
        self.0.claims.not_before.map(time)
    }

    /// When the token was issued (`iat`).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.0.claims.issued_at.map(time)
    }

    /// The token's identifier (`jti`), for audit. A bearer token may be presented any number of times, so an identifier
    /// that was seen before says nothing against it.
    pub fn token_id(&self) -> Option<&str> {
        // AT-9: for audit alone.
        self.0.claims.token_id.map(|text| self.text(text))
    }

    /// When the user authenticated (`auth_time`, RFC 9068 §2.2.1).
    pub fn authentication_time(&self) -> Option<SystemTime> {
        self.0.claims.authentication_time.map(time)
    }

    /// The authentication context class (`acr`, RFC 9068 §2.2.1).
    pub fn authentication_context(&self) -> Option<&str> {
        self.0.claims.authentication_context.map(|text| self.text(text))
    }

    /// The authentication methods (`amr`, RFC 9068 §2.2.1).
    pub fn authentication_methods(&self) -> impl Iterator<Item = &str> {
        self.0.claims.authentication_methods.iter().map(|text| self.text(text))
    }

    /// The claims as `C`, built once per token and type and shared afterwards.
    ///
    /// # Errors
    ///
    /// [`Reason::ClaimsMismatch`] when the claims cannot be read as `C`.
    pub fn claims_as<C: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<C>, Error> {
        let (mut place, mut built) = (&self.0.typed, None);
        loop {
            while let Some(known) = place.get() {
                if let Ok(claims) = Arc::clone(&known.claims).downcast() {
                    return Ok(claims);
                }
                place = &known.others;
            }
            let claims: Arc<C> = match built.take() {
                Some(claims) => claims,
                None => serde_json::from_str(self.json()).map(Arc::new).map_err(|error| self.mismatch::<C>(&error))?,
            };
            built = Some(Arc::clone(&claims));
            // Others may have put theirs there meanwhile, of this type or of another.
            let bytes = in_memory::<C>(self.json());
            let mine = TypedClaims { claims, bytes, others: OnceBox::new() };
            if place.set(Box::new(mine)).is_ok()
                && let Some(grown) = self.0.growth_hook.0.get()
            {
                grown(self);
            }
        }
    }

    /// What a deserializer says may quote values, so no more of it is kept than the name of a field that is missing, which
    /// is the application's own.
    fn mismatch<C>(&self, error: &serde_json::Error) -> Error {
        let said = error.to_string();
        let found = match said.split(" at line").next() {
            Some(missing) if missing.starts_with("missing field") => Actual::from(missing),
            _ => Actual::Fixed("a claim of another type"),
        };
        Error::from(FailedCheck::new(Reason::ClaimsMismatch, "claims", type_name::<C>(), found))
            .with_issuer(&self.0.issuer_context.issuer)
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // OPS-2, BCP-2: no claim that could be a secret, and never the token.
        f.debug_struct("VerifiedToken")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("client_id", &self.client_id())
            .field("scope", self.scope())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// The user or client that a token is about: an issuer, and a subject of that issuer.
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

fn time(since_1970: NumericDate) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_1970
}

#[cfg(test)]
pub(crate) mod tests;
