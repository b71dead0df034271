//! Evidence that a token was judged good.

use std::{
    any::{Any, type_name},
    fmt,
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use once_cell::race::OnceBox;
use serde::de::DeserializeOwned;

use crate::{
    jwt::VerifiedBy,
    per_thread::CachePadded,
    refusal::{Error, FailedCheck, Reason, error::Actual},
    scope::{Scope, ScopeGrammar, ScopePolicy},
    token::claims::{self, checks},
};

/// An access token that was judged good: who issued it, to whom, for what, until when.
///
/// There is no public constructor. A value exists because a [`ResourceServer`](crate::ResourceServer) judged a token and
/// found it good. It does not hold the token's text, and is cheap to clone.
///
/// A user is identified by [`principal`](Self::principal), the pair of issuer and subject. A bare `sub` identifies nobody:
/// another issuer may give the same one to somebody else, and a client that acts for itself may have a `sub` that reads
/// like a user's (RFC 9068 §5).
#[derive(Clone)]
pub struct VerifiedToken(Shared);

/// A token, whose owners are counted where it is or apart from others.
#[derive(Clone)]
enum Shared {
    Plain(Arc<Inner>),
    Padded(Arc<CachePadded<Arc<Inner>>>),
}

/// What is remembered of a token. There may be a great many of these, so what is written in the claims is not kept twice.
#[derive(Clone)]
struct Inner {
    issuer_context: Arc<IssuerContext>,
    /// The claims as a JSON object, and then the texts that are written there with escapes.
    text: Box<str>,
    /// Where the JSON object ends.
    end: u32,
    /// How many audiences are among the lists.
    audiences: u32,
    subject: Option<Text>,
    client_id: Option<Text>,
    token_id: Option<Text>,
    authentication_context: Option<Text>,
    /// The audiences, and then the authentication methods.
    lists: Texts,
    scope: Scope,
    expires_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    authentication_time: Option<Timestamp>,
    typed: Typed,
    growth_hook: GrowthHook,
}

/// Who remembers a token, and has to know what it takes by now. A copy is remembered by nobody.
#[derive(Default)]
struct GrowthHook(OnceLock<Box<Grown>>);

type Grown = dyn Fn(&VerifiedToken) + Send + Sync;

impl Clone for GrowthHook {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Who vouches for a token. The tokens that an issuer's keys verified share one.
pub(crate) struct IssuerContext {
    pub(crate) issuer: Arc<str>,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) leeway: Duration,
    /// How long ago a token may have been issued, if that is limited.
    pub(crate) max_age: Option<Duration>,
    /// What a signature was verified by; `None` where somebody has said that the token is good.
    pub(crate) verified_by: Option<VerifiedBy>,
}

impl fmt::Debug for IssuerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerContext")
            .field("issuer", &self.issuer)
            .field("grammar", &self.grammar)
            .finish_non_exhaustive()
    }
}

/// A text: where it is in the memory of its token.
#[derive(Clone, Copy)]
struct Text {
    /// The claims begin with a brace.
    from: NonZeroU32,
    length: u32,
}

/// Any number of them. Most often there is one.
#[derive(Clone)]
enum Texts {
    One(Option<Text>),
    Several(Box<[Text]>),
}

impl Texts {
    fn iter(&self) -> impl Iterator<Item = Text> {
        let (one, several) = match self {
            Self::One(text) => (*text, &[][..]),
            Self::Several(texts) => (None, &**texts),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

/// Writes the memory of a token.
struct Writer<'c> {
    claims: &'c str,
    text: String,
}

impl<'c> Writer<'c> {
    fn new(claims: &'c str) -> Self {
        Self { claims, text: claims.to_owned() }
    }

    /// `text` may be a part of the claims, the very memory, or lie somewhere else. Then it is written down behind them.
    fn text(&mut self, text: &str) -> Text {
        let from = (text.as_ptr() as usize).checked_sub(self.claims.as_ptr() as usize);
        let is_among = |from: &usize| self.claims.get(*from..from + text.len()).is_some_and(|part| part == text);
        let from = from.filter(is_among).unwrap_or_else(|| {
            self.text.push_str(text);
            self.text.len() - text.len()
        });
        Text { from: NonZeroU32::new(short(from)).unwrap_or(NonZeroU32::MAX), length: short(text.len()) }
    }

    fn texts<'t>(&mut self, mut texts: impl Iterator<Item = &'t str>) -> Texts {
        match (texts.next(), texts.next()) {
            (Some(one), Some(other)) => {
                Texts::Several([one, other].into_iter().chain(texts).map(|text| self.text(text)).collect())
            }
            (one, _) => Texts::One(one.map(|text| self.text(text))),
        }
    }
}

fn short(length: usize) -> u32 {
    u32::try_from(length).expect("a token of 4 GiB is within no limit")
}

/// A point in time, in nanoseconds since 1970 and one more.
#[derive(Clone, Copy)]
struct Timestamp(NonZeroU64);

impl From<Duration> for Timestamp {
    fn from(since_1970: Duration) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanoseconds(since_1970)))
    }
}

impl Timestamp {
    fn nanoseconds(self) -> u64 {
        self.0.get() - 1
    }

    fn since_1970(self) -> Duration {
        Duration::from_nanos(self.nanoseconds())
    }

    fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.since_1970()
    }
}

/// No token is good for longer than 64 bits can count.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The claims in the types that handlers have asked for so far. Nobody waits for anybody.
type Typed = OnceBox<TypedClaims>;

#[derive(Clone)]
struct TypedClaims {
    claims: Arc<dyn Any + Send + Sync>,
    /// How many bytes they take, by estimate.
    bytes: usize,
    others: Typed,
}

/// How many bytes claims take in the type of a handler: as many as their JSON does in values of serde_json, which more frugal
/// types stay below. Punctuation in a text counts as well, so that it is an estimate on the safe side.
fn in_memory<C>(json: &str) -> usize {
    /// What every eleven members of an object share, as a node of a B-tree has it.
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

/// What a verifier vouches for.
pub(crate) struct TokenParts<'a> {
    pub(crate) issuer_context: Arc<IssuerContext>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) audience: claims::Texts<'a>,
    pub(crate) scope: Scope,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) not_before: Option<Duration>,
    pub(crate) issued_at: Option<Duration>,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) authentication_time: Option<Duration>,
    pub(crate) authentication_context: Option<&'a str>,
    pub(crate) authentication_methods: claims::Texts<'a>,
    /// The claims as a JSON object.
    pub(crate) claims: &'a str,
}

impl VerifiedToken {
    /// The one place where a token becomes a verified one. Every caller vouches that the token was judged good.
    pub(crate) fn from_checked(parts: TokenParts<'_>) -> Self {
        let mut writer = Writer::new(parts.claims);
        let inner = Inner {
            issuer_context: parts.issuer_context,
            end: short(parts.claims.len()),
            audiences: short(parts.audience.iter().count()),
            subject: parts.subject.map(|text| writer.text(text)),
            client_id: parts.client_id.map(|text| writer.text(text)),
            token_id: parts.token_id.map(|text| writer.text(text)),
            authentication_context: parts.authentication_context.map(|text| writer.text(text)),
            lists: writer.texts(parts.audience.iter().chain(parts.authentication_methods.iter())),
            scope: parts.scope,
            expires_at: parts.expires_at.map(Timestamp::from),
            not_before: parts.not_before.map(Timestamp::from),
            issued_at: parts.issued_at.map(Timestamp::from),
            authentication_time: parts.authentication_time.map(Timestamp::from),
            typed: OnceBox::new(),
            growth_hook: GrowthHook::default(),
            text: writer.text.into(),
        };
        Self(Shared::Plain(Arc::new(inner)))
    }

    /// The same token, with a scope that an answer about it has narrowed.
    pub(crate) fn with_scope(self, scope: &Scope) -> Self {
        if self.scope() == scope {
            return self;
        }
        Self(Shared::Plain(Arc::new(Inner { scope: scope.clone(), ..Inner::clone(self.get()) })))
    }

    fn inner(&self) -> &Arc<Inner> {
        match &self.0 {
            Shared::Plain(inner) => inner,
            Shared::Padded(inner) => &inner.0,
        }
    }

    fn get(&self) -> &Inner {
        self.inner()
    }

    /// The same token, whose owners are counted apart from those of this one: threads that clone one of them each do not wait
    /// for each other.
    pub(crate) fn padded(&self) -> Self {
        Self(Shared::Padded(Arc::new(CachePadded(Arc::clone(self.inner())))))
    }

    fn text(&self, text: Text) -> &str {
        let from = text.from.get() as usize;
        self.get().text.get(from..from + text.length as usize).unwrap_or_default()
    }

    fn json(&self) -> &str {
        self.get().text.get(..self.get().end as usize).unwrap_or_default()
    }

    /// Who vouches for it.
    pub(crate) fn issuer_context(&self) -> &IssuerContext {
        &self.get().issuer_context
    }

    /// The issuer (`iss`), as it is configured.
    pub fn issuer(&self) -> &str {
        &self.get().issuer_context.issuer
    }

    /// The subject (`sub`), unique only together with the issuer. Tokens of machines may have none.
    pub fn subject(&self) -> Option<&str> {
        self.get().subject.map(|text| self.text(text))
    }

    /// The issuer and subject, to know a user by. `None` where the token has no subject.
    pub fn principal(&self) -> Option<Principal<'_>> {
        Some(Principal { issuer: self.issuer(), subject: self.subject()? })
    }

    /// The client that the token was issued to (`client_id`, or the claim that the issuer's profile names).
    pub fn client_id(&self) -> Option<&str> {
        self.get().client_id.map(|text| self.text(text))
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
        let Inner { lists, audiences, .. } = self.get();
        lists.iter().take(*audiences as usize).map(|text| self.text(text))
    }

    /// The scope that was granted.
    pub fn scope(&self) -> &Scope {
        &self.get().scope
    }

    /// Whether the token's scope meets `policy`, under the grammar of its issuer.
    pub fn satisfies(&self, policy: &ScopePolicy) -> bool {
        policy.is_satisfied_by(&self.get().scope, &*self.get().issuer_context.grammar)
    }

    /// When the token expires (`exp`), the leeway not added. `None` where nobody said: a JWT without `exp` is refused, but
    /// the answer about an opaque token may have none (RFC 7662 §2.2).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.get().expires_at.map(Timestamp::time)
    }

    /// Whether it is valid at this time, by its own times.
    pub(crate) fn is_valid_at(&self, now: Duration) -> bool {
        let Inner { issuer_context, expires_at, not_before, issued_at, .. } = self.get();
        let max_age = issuer_context.max_age;
        let (now, leeway) = (nanoseconds(now), nanoseconds(issuer_context.leeway));
        let later = now.saturating_add(leeway);
        let is_young = |issued_at: u64| {
            let limit = |max_age| issued_at.saturating_add(nanoseconds(max_age)).saturating_add(leeway);
            issued_at <= later && max_age.is_none_or(|max_age| now <= limit(max_age))
        };
        expires_at.is_none_or(|expires_at| now < expires_at.nanoseconds().saturating_add(leeway))
            && not_before.is_none_or(|not_before| not_before.nanoseconds() <= later)
            && issued_at.is_none_or(|issued_at| is_young(issued_at.nanoseconds()))
    }

    /// How many bytes it takes, by estimate, with the claims that were built in the types of handlers so far.
    pub(crate) fn size(&self) -> usize {
        let built = std::iter::successors(self.get().typed.get(), |typed| typed.others.get());
        let built: usize = built.map(|typed| size_of::<TypedClaims>() + typed.bytes).sum();
        size_of::<Inner>() + 256 + self.get().text.len() + self.get().scope.size() + built
    }

    /// Has `grown` called whenever the token takes more than before, for whoever remembers it. The first to remember it is the
    /// one that is told.
    pub(crate) fn on_growth(&self, grown: impl Fn(&VerifiedToken) + Send + Sync + 'static) {
        let _ = self.get().growth_hook.0.set(Box::new(grown));
    }

    /// The same token, with its owners counted where it is.
    pub(crate) fn unpadded(&self) -> Self {
        Self(Shared::Plain(Arc::clone(self.inner())))
    }

    /// Why it is not valid at this time, by its own times, if it is not.
    pub(crate) fn check_times(&self, now: Duration) -> Result<(), FailedCheck> {
        let Inner { issuer_context, expires_at, not_before, issued_at, .. } = self.get();
        checks::not_expired(expires_at.map(Timestamp::since_1970), now, issuer_context.leeway)?;
        checks::begun(not_before.map(Timestamp::since_1970), now, issuer_context.leeway)?;
        let recent =
            |at: Timestamp| checks::recent(at.since_1970(), issuer_context.max_age, now, issuer_context.leeway);
        issued_at.map_or(Ok(()), recent)
    }

    /// The claims as a JSON object.
    pub(crate) fn payload(&self) -> &[u8] {
        self.json().as_bytes()
    }

    /// Before when the token is not valid (`nbf`).
    pub fn not_before(&self) -> Option<SystemTime> {
        self.get().not_before.map(Timestamp::time)
    }

    /// When the token was issued (`iat`).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.get().issued_at.map(Timestamp::time)
    }

    /// The token's identifier (`jti`), for audit. A bearer token may be presented any number of times, so an identifier
    /// that was seen before says nothing against it.
    pub fn token_id(&self) -> Option<&str> {
        self.get().token_id.map(|text| self.text(text))
    }

    /// When the user authenticated (`auth_time`, RFC 9068 §2.2.1).
    pub fn authentication_time(&self) -> Option<SystemTime> {
        self.get().authentication_time.map(Timestamp::time)
    }

    /// The authentication context class (`acr`, RFC 9068 §2.2.1).
    pub fn authentication_context(&self) -> Option<&str> {
        self.get().authentication_context.map(|text| self.text(text))
    }

    /// The authentication methods (`amr`, RFC 9068 §2.2.1).
    pub fn authentication_methods(&self) -> impl Iterator<Item = &str> {
        let Inner { lists, audiences, .. } = self.get();
        lists.iter().skip(*audiences as usize).map(|text| self.text(text))
    }

    /// The claims as `C`, built once per token and type and shared afterwards.
    ///
    /// # Errors
    ///
    /// [`Reason::ClaimsMismatch`] when the claims cannot be read as `C`.
    pub fn claims_as<C: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<C>, Error> {
        let (mut place, mut built) = (&self.get().typed, None);
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
                && let Some(grown) = self.get().growth_hook.0.get()
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
            .with_issuer(&self.get().issuer_context.issuer)
    }
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
pub(crate) mod tests;
