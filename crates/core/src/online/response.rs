//! Validation of the answers about tokens: what they claim is held to the same rules as the claims of a JWT.

use std::{sync::Arc, time::Duration};

use crate::{
    confirmation::{Checkable, Confirmation},
    jose::json::Value,
    refusal::{Error, FailedCheck, Reason, failed_check::near_miss, trace::Trace},
    scope::{Scope, ScopeGrammar},
    token::{
        VerifiedToken,
        checked_claims::CheckedClaims,
        claims::{
            ClaimNames, Texts, UnverifiedClaims,
            checks::{self, AllowedValues, CheckResults},
        },
        verified::IssuerContext,
    },
};

/// The rules for answers about the tokens of one issuer. That a token is active does not say that it is for this service
/// (RFC 7662 §4).
#[derive(Debug)]
pub(crate) struct ResponseValidation {
    /// The issuer, as it is configured.
    pub(crate) issuer: Arc<str>,
    /// Other names of the issuer that `iss` may have.
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) audience: Audience,
    pub(crate) authorized_parties: Option<AllowedValues>,
    /// Whether an answer without `token_type` is refused.
    pub(crate) demands_token_type: bool,
    /// Whether `scope` may be an array of strings.
    pub(crate) scope_may_be_array: bool,
    pub(crate) issuer_context: Arc<IssuerContext>,
    /// The bindings that can be checked.
    pub(crate) confirmations: Checkable,
    /// The claims that are read.
    pub(crate) names: ClaimNames,
}

/// Which audience tokens need.
#[derive(Debug)]
pub(crate) enum Audience {
    /// One of these names. An answer without an audience is refused unless it `may_be_absent`.
    Ours { names: AllowedValues, may_be_absent: bool },
    /// Any: the verifier of the application has checked it.
    CheckedByVerifier,
}

/// A valid token, and its session (`sid`).
#[derive(Debug)]
pub(super) struct VerifiedResponse {
    pub(super) token: VerifiedToken,
    pub(super) session: Option<Box<str>>,
}

impl ResponseValidation {
    /// The rules that every token is held to, and no others.
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
            confirmations: Checkable::default(),
            names,
        }
    }

    /// Checks an answer that calls its token active. Where the token was `verified` locally, the answer may leave out the
    /// audience, the client and the age that the token has, may not contradict it, and narrows its scope.
    ///
    /// Returns `None` where the answer is no JSON object within bounds.
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
        let mut results = CheckResults::new(&Trace::OFF);
        let IssuerContext { leeway, max_age, ref grammar, .. } = *self.issuer_context;

        // INTRO-5: an active token may still not be for this service.
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
                // INTRO-15: no other issuer, subject, client or audience than the token itself names.
                results.record(self.agrees(token, issuer, subject, client_id, audience.unwrap_or_default()))
            }
        };
        let token_id = results.record(claims.string("jti", "jti")).flatten();
        // INTRO-12, MTLS-5: as in a JWT.
        let confirmation = results.record(Confirmation::read(claims.get("cnf"), self.confirmations)).flatten();
        let bound_to = confirmation.as_deref().or_else(|| verified?.confirmation());
        results.record(self.is_bound_as_its_type_says(claims, bound_to));
        // The claims of the application's own verifier are what it says they are.
        if !matches!(self.audience, Audience::CheckedByVerifier) {
            results.record(checks::actor(claims));
            results.record(checks::authorization_details(claims));
        }
        let scope = results.record(self.scope(claims)).flatten();

        if let Some(error) = results.error() {
            return Err(error);
        }
        let scope = match (scope, verified.map(VerifiedToken::scope)) {
            (Some(answered), Some(granted)) => granted.common(&answered, &**grammar),
            (scope, granted) => scope.or(granted.cloned()).unwrap_or_default(),
        };
        let text = |name| claims.string(name, name).ok().flatten();
        let checked = CheckedClaims {
            subject,
            client_id,
            token_id,
            audience: audience.unwrap_or_default(),
            expires_at,
            not_before,
            issued_at,
            authentication_time: claims.date("auth_time").ok().flatten(),
            authentication_context: text("acr"),
            authentication_methods: claims.strings("amr").unwrap_or_default(),
            confirmation,
        };
        let token = VerifiedToken::from_checked(Arc::clone(&self.issuer_context), checked, scope, claims.text());
        Ok(VerifiedResponse { token, session: text("sid").map(Into::into) })
    }

    /// Checks that the token is a bearer access token. RFC 7662 §2.2 takes the type from RFC 6749 §5.1; issuers that answer
    /// about other kinds of tokens as well name them there, or in `token_use` or `typ`.
    fn token_type(&self, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
        let wrong = |expected: &'static str, found: &str| {
            Err(FailedCheck::new(Reason::WrongTokenType, "token_type", expected, found))
        };
        match claims.string("token_type", "token_type")? {
            Some(bearer) if bearer.eq_ignore_ascii_case("Bearer") => {}
            None if !self.demands_token_type => {}
            // Whether it is bound to a key is checked with its `cnf`.
            Some(dpop) if dpop.eq_ignore_ascii_case("DPoP") => {}
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
            let kind = claims.string("typ", "typ")?.unwrap_or_default();
            return wrong("no mark of another kind of token", &format!("typ = {kind}"));
        }
        Ok(())
    }

    /// RFC 9449 §6.2 (INTRO-12): a token of the type DPoP is bound to a key, even if the answer does not name it.
    fn is_bound_as_its_type_says(
        &self,
        claims: &UnverifiedClaims<'_>,
        confirmation: Option<&Confirmation>,
    ) -> Result<(), FailedCheck> {
        match claims.string("token_type", "token_type") {
            Ok(Some(dpop))
                if dpop.eq_ignore_ascii_case("DPoP")
                    && confirmation.is_none_or(|confirmation| confirmation.key.is_none()) =>
            {
                let expected = if self.confirmations.dpop { "Bearer, or the key in cnf" } else { "Bearer" };
                Err(FailedCheck::new(Reason::UnverifiableConfirmation, "token_type", expected, dpop))
            }
            _ => Ok(()),
        }
    }

    /// Checks that an answer with an `iss` names the issuer that was asked.
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
            Audience::CheckedByVerifier => Ok(()),
            Audience::Ours { may_be_absent, .. } if found.is_empty() && (*may_be_absent || is_verified) => Ok(()),
            Audience::Ours { names, .. } => checks::audience(names, found.iter()),
        }
    }

    /// Checks that an answer about a locally verified token names no other issuer, subject, client or audience than the token.
    /// One that does is about another token: a fault of the issuer, and an error in the log.
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

    /// Whether the answer and the token have one of our audiences in common.
    fn is_for_both(&self, token: &VerifiedToken, audience: Texts<'_>) -> bool {
        let is_ours = |found: &str| match &self.audience {
            Audience::CheckedByVerifier => true,
            Audience::Ours { names, .. } => names.iter().any(|ours| **ours == *found),
        };
        token.audience().any(|own| is_ours(own) && audience.iter().any(|found| found == own))
    }

    /// The scope: a string by RFC 7662 §2.2 (INTRO-13), and an array where that is allowed.
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
