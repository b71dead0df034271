use std::{sync::Arc, time::Duration};

use crate::{
    confirmation,
    jose::json::Value,
    refusal::{Error, FailedCheck, Reason, error::near_miss},
    scope::{Scope, ScopeGrammar},
    token::{
        VerifiedToken,
        claims::{
            ClaimNames, Texts, UnverifiedClaims,
            checks::{self, AllowedValues, CheckResults},
        },
        verified::{IssuerContext, TokenParts},
    },
};

/// What the answer about a token is held to. An answer is not taken at its word (RFC 7662 §4): that a token is active says
/// nothing about whom it is for.
#[derive(Debug)]
pub(crate) struct ResponseValidation {
    /// Whose tokens these are, whatever the answer calls it.
    pub(crate) issuer: Arc<str>,
    /// What else the answer may call the issuer.
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) audience: Audience,
    pub(crate) authorized_parties: Option<AllowedValues>,
    /// Whether an answer has to say of which type the token is.
    pub(crate) demands_token_type: bool,
    /// Whether the scope may be an array.
    pub(crate) scope_may_be_array: bool,
    pub(crate) issuer_context: Arc<IssuerContext>,
    /// The claims that are looked at.
    pub(crate) names: ClaimNames,
}

/// Whom tokens have to be for.
#[derive(Debug)]
pub(crate) enum Audience {
    /// One of these. Unless waived, an answer has to name it.
    Ours { names: AllowedValues, may_be_absent: bool },
    /// Whoever made the answer has seen to it.
    SeenTo,
}

/// A good token, and the session that it belongs to.
#[derive(Debug)]
pub(super) struct VerifiedResponse {
    pub(super) token: VerifiedToken,
    pub(super) session: Option<Box<str>>,
}

impl ResponseValidation {
    /// ResponseValidation that demand nothing but what every token is held to.
    pub(crate) fn new(
        issuer: Arc<str>,
        audience: Audience,
        grammar: Arc<dyn ScopeGrammar>,
        leeway: Duration,
        max_age: Option<Duration>,
    ) -> Self {
        let mut names = ClaimNames::default();
        names.add(["scope", "sid", "token_type"]);
        let issuer_context =
            Arc::new(IssuerContext { issuer: Arc::clone(&issuer), grammar, leeway, max_age, verified_by: None });
        Self {
            issuer,
            aliases: Vec::new(),
            audience,
            authorized_parties: None,
            demands_token_type: false,
            scope_may_be_array: false,
            issuer_context,
            names,
        }
    }

    /// Judges an answer that says that its token is good. A token that was `verified` already has said whom it is for and how
    /// old it is, so that the answer need not repeat it. It may not contradict it either, and its scope narrows the token's.
    ///
    /// `None` where the answer is no JSON object within bounds, so that it is no answer.
    pub(super) fn verify(
        &self,
        claims: &[u8],
        verified: Option<&VerifiedToken>,
        now: Duration,
    ) -> Option<Result<VerifiedResponse, Error>> {
        let unverified = UnverifiedClaims::parse(claims, &self.names).ok()?.without_nulls();
        Some(self.check(&unverified, verified, now).map_err(|error| error.with_issuer(&self.issuer)))
    }

    fn check(
        &self,
        claims: &UnverifiedClaims<'_>,
        verified: Option<&VerifiedToken>,
        now: Duration,
    ) -> Result<VerifiedResponse, Error> {
        let mut results = CheckResults::default();
        let IssuerContext { leeway, max_age, ref grammar, .. } = *self.issuer_context;

        results.record(self.token_type(claims));
        results.record(self.named_issuer(claims));
        let audience = results.record(claims.audience());
        if let Some(audience) = audience {
            results.record(self.audience(audience, verified.is_some()));
        }
        let expires_at = results.record(checks::expiry(claims, now, leeway)).flatten();
        let not_before = results.record(checks::not_before(claims, now, leeway)).flatten();
        let max_age = max_age.filter(|_| verified.is_none() || claims.get("iat").is_some());
        let issued_at = results.record(checks::issued_at(claims, max_age, now, leeway)).flatten();
        let subject = results.record(claims.string("sub", "sub")).flatten().filter(|text| !text.is_empty());
        let client_id =
            results.record(claims.string("client_id", "client_id")).flatten().filter(|text| !text.is_empty());
        match verified {
            None => results.record(checks::authorized_party(self.authorized_parties.as_ref(), client_id)),
            Some(token) => {
                let issuer = claims.string("iss", "iss").ok().flatten();
                results.record(self.agrees(token, issuer, subject, client_id, audience.unwrap_or_default()))
            }
        };
        let token_id = results.record(claims.string("jti", "jti")).flatten();
        results.record(confirmation::check(claims.get("cnf")));
        let scope = results.record(self.scope(claims)).flatten();

        if let Some(error) = results.error() {
            return Err(error);
        }
        let scope = match (scope, verified.map(VerifiedToken::scope)) {
            (Some(answered), Some(granted)) => granted.common(&answered, &**grammar),
            (scope, granted) => scope.or(granted.cloned()).unwrap_or_default(),
        };
        let text = |name| claims.string(name, name).ok().flatten();
        let token = VerifiedToken::from_checked(TokenParts {
            issuer_context: Arc::clone(&self.issuer_context),
            subject,
            client_id,
            audience: audience.unwrap_or_default(),
            scope,
            expires_at,
            not_before,
            issued_at,
            token_id,
            authentication_time: claims.date("auth_time").ok().flatten(),
            authentication_context: text("acr"),
            authentication_methods: claims.strings("amr").unwrap_or_default(),
            claims: claims.text(),
        });
        Ok(VerifiedResponse { token, session: text("sid").map(Into::into) })
    }

    /// RFC 7662 §2.2: the type is one of RFC 6749 §5.1. Issuers that answer about tokens of other kinds say so there, or in
    /// a word of their own.
    fn token_type(&self, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
        let wrong = |expected: &'static str, found: &str| {
            Err(FailedCheck::new(Reason::WrongTokenType, "token_type", expected, found))
        };
        match claims.string("token_type", "token_type")? {
            Some(bearer) if bearer.eq_ignore_ascii_case("Bearer") => {}
            None if !self.demands_token_type => {}
            // RFC 9449 §6.2: it is bound to a key, whether or not the answer says to which.
            Some(dpop) if dpop.eq_ignore_ascii_case("DPoP") => {
                return Err(FailedCheck::new(Reason::UnverifiableConfirmation, "token_type", "Bearer", dpop));
            }
            found => return wrong("Bearer", found.unwrap_or("none")),
        }
        let is_one_of = |name: &str, words: &[&str]| match claims.get(name) {
            Some(Value::String(text)) => words.iter().any(|word| text.eq_ignore_ascii_case(word)),
            _ => false,
        };
        if claims.get("token_use").is_some() && !is_one_of("token_use", &["access", "access_token"]) {
            return wrong("token_use = access", "another token_use");
        }
        if is_one_of("typ", &["ID", "Refresh", "Offline", "Logout"]) {
            return wrong("no mark of another kind of token", "typ = ID, Refresh, Offline or Logout");
        }
        Ok(())
    }

    /// An answer that names an issuer has to name the one that was asked.
    fn named_issuer(&self, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
        match claims.string("iss", "iss")? {
            Some(named) if !self.is_called(named) => {
                let hint = near_miss(&self.issuer, named);
                Err(FailedCheck::new(Reason::UnknownIssuer, "iss", &self.issuer, named).with_hint(hint))
            }
            _ => Ok(()),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        *name == *self.issuer || self.aliases.iter().any(|alias| **alias == *name)
    }

    fn audience(&self, found: Texts<'_>, is_verified: bool) -> Result<(), FailedCheck> {
        match &self.audience {
            Audience::SeenTo => Ok(()),
            Audience::Ours { may_be_absent, .. } if found.is_empty() && (*may_be_absent || is_verified) => Ok(()),
            Audience::Ours { names, .. } => checks::audience(names, found),
        }
    }

    /// An answer about a token that was verified names whom the token names, where both name somebody. One that names another
    /// is about another token: a mistake of the issuer's that nobody but its operator can mend.
    fn agrees(
        &self,
        token: &VerifiedToken,
        issuer: Option<&str>,
        subject: Option<&str>,
        client_id: Option<&str>,
        audience: Texts<'_>,
    ) -> Result<(), FailedCheck> {
        let is_another =
            |answered: Option<&str>, own: Option<&str>| answered.is_some() && own.is_some() && answered != own;
        let (name, found) = if issuer.is_some_and(|name| !self.is_called(name)) {
            ("iss", issuer.unwrap_or_default().into())
        } else if is_another(subject, token.subject()) {
            ("sub", subject.unwrap_or_default().into())
        } else if is_another(client_id, token.client_id()) {
            ("client_id", client_id.unwrap_or_default().into())
        } else if audience.is_empty() || token.audience().next().is_none() || self.is_for_both(token, audience) {
            return Ok(());
        } else {
            ("aud", audience.joined())
        };
        let failure = FailedCheck::new(Reason::InactiveToken, name, "what the token itself says", found);
        tracing::error!(issuer = &*self.issuer, %failure, "the answer about a token is about another token, which is refused");
        Err(failure)
    }

    /// Whether an answer names one of our audiences that the token names as well.
    fn is_for_both(&self, token: &VerifiedToken, audience: Texts<'_>) -> bool {
        let is_ours = |found: &str| match &self.audience {
            Audience::SeenTo => true,
            Audience::Ours { names, .. } => names.iter().any(|ours| **ours == *found),
        };
        token.audience().any(|own| is_ours(own) && audience.iter().any(|found| found == own))
    }

    /// RFC 7662 §2.2: a string.
    fn scope(&self, claims: &UnverifiedClaims<'_>) -> Result<Option<Scope>, FailedCheck> {
        if self.scope_may_be_array && matches!(claims.get("scope"), Some(Value::Array(_))) {
            return Scope::from_elements(claims.strings("scope")?.iter()).map(Some).map_err(|_| {
                FailedCheck::new(
                    Reason::MalformedClaim,
                    "scope",
                    "one scope in each element",
                    "an element with a space",
                )
            });
        }
        Ok(claims.string("scope", "scope")?.map(Scope::parse))
    }
}

#[cfg(test)]
mod tests;
