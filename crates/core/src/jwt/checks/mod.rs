//! The checks of claims, each with its source. All of them are made, so that the log can name every one that failed.

use std::{sync::Arc, time::Duration};

use super::{
    Profile, RequiredClaim,
    profile::{self, Granted, is_other_kind},
};
use crate::{
    confirmation::{Checkable, Confirmation},
    jose::{Algorithm, Header, json::Value},
    refusal::{
        Error, FailedCheck, Reason, Step,
        failed_check::{Actual, Expected, Side},
        trace::Trace,
    },
    scope::ScopeGrammar,
    token::{
        checked_claims::CheckedClaims,
        claims::{
            ClaimNames, NumericDate, Texts, UnverifiedClaims,
            checks::{self, AllowedValues, CheckResults},
        },
    },
};

/// The checks that an issuer's tokens have to pass.
#[derive(Clone, Debug)]
pub(crate) struct JwtValidation {
    pub(crate) issuer: Arc<str>,
    /// Never empty.
    pub(crate) audiences: AllowedValues,
    /// Whether a token may name no audience. Then there is a list of authorized parties.
    pub(crate) audience_waived: bool,
    pub(crate) authorized_parties: Option<AllowedValues>,
    pub(crate) algorithms: Arc<[Algorithm]>,
    pub(crate) profile: Profile,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) leeway: Duration,
    pub(crate) max_age: Option<Duration>,
    /// The bindings that can be checked.
    pub(crate) confirmations: Checkable,
}

/// A JWT whose header and claims pass every check. Its signature has not been checked.
pub(crate) struct CheckedJwt<'c> {
    pub(super) algorithm: Algorithm,
    pub(super) scope: Granted<'c>,
    pub(super) claims: CheckedClaims<'c>,
}

impl JwtValidation {
    /// Checks a header and claims before the signature, which alone can admit the token: they can only refuse it (JOSE-16).
    pub(crate) fn check<'c>(
        &self,
        header: &Header<'_>,
        claims: &'c UnverifiedClaims<'_>,
        now: Duration,
        trace: &Trace,
    ) -> Result<CheckedJwt<'c>, Error> {
        let mut results = CheckResults::new(trace);

        let token_type = header.token_type.as_deref();
        results.explained((Step::Header, "typ"), self.profile.check_type(token_type), |()| {
            (self.profile.accepted_types().into(), token_type.map_or(Actual::NONE, Actual::from))
        });
        let algorithm = results.explained((Step::Header, "alg"), self.algorithm(&header.algorithm), |algorithm| {
            (Expected::Algorithms(Arc::clone(&self.algorithms)), Actual::Fixed(algorithm.as_str()))
        });
        if !self.profile.is_strict() {
            results.record(no_mark_of_another_kind(&self.profile, claims));
        }
        results.record(no_foreign_claim(&self.profile, claims));
        let kind =
            self.profile.check_evidence(|name| claims.get(name)).and_then(|()| self.profile.check_peculiarity(claims));
        if self.profile.is_strict() {
            results.record(kind);
        } else {
            results.explained((Step::Claims, "kind of token"), kind, |()| self.signs_of_its_kind());
        }

        // AT-4, BCP-1, RES-1: the token names this resource server. JWT-2: one string, or an array of strings.
        let audience = results.record(claims.audience());
        if let Some(audience) = audience {
            results.explained((Step::Claims, "aud"), self.audience(audience), |()| {
                (Expected::from(&self.audiences), Actual::from(audience.joined()))
            });
        }
        let audience = audience.unwrap_or_default();

        let at = |side, time: &NumericDate| (checks::bound(side, now, self.leeway), Actual::from(*time));
        // JWT-4, JWT-7, JWT-8: the times.
        let expires_at =
            results.explained((Step::Claims, "exp"), self.expiry(claims, now), |time| at(Side::LaterThanNow, time));
        let not_before = results.explained_claim("nbf", checks::not_before(claims, now, self.leeway), |time| {
            at(Side::NoLaterThanNow, time)
        });
        let side = self.max_age.map_or(Side::NoLaterThanNow, Side::AtMostBefore);
        let issued_at = results.explained_claim("iat", self.issued_at(claims, now), |time| at(side, time));

        let present = |found: &&str| (Expected::Fixed("a text"), Actual::from(*found));
        let subject = self.required(RequiredClaim::Subject, "sub", "sub", claims.string("sub", "sub"));
        let subject = results.explained_claim("sub", subject, present);
        let client_id = results.explained_claim("client_id", self.client(claims, audience), |client| {
            (self.authorized_parties.as_ref().map_or(Expected::Fixed("a text"), Expected::from), Actual::from(*client))
        });
        let token_id = self.required(RequiredClaim::TokenId, "jti", "jti", claims.string("jti", "jti"));
        let token_id = results.explained_claim("jti", token_id, present);

        let authentication_time = self.about_the_user(&mut results, claims.date("auth_time"));
        let authentication_context = self.about_the_user(&mut results, claims.string("acr", "acr"));
        let authentication_methods =
            self.about_the_user(&mut results, claims.strings("amr").map(Some)).unwrap_or_default();

        // MTLS-5: a binding that cannot be checked here refuses the token.
        let confirmation =
            results.explained_claim("cnf", Confirmation::read(claims.get("cnf"), self.confirmations), |bound| {
                (Expected::Fixed("a method that can be checked here"), Actual::Fixed(bound.described()))
            });
        results.record(checks::actor(claims));
        results.record(checks::authorization_details(claims));
        let scope = self.profile.scope_from().read(|name| claims.get(name));
        let scope = results.explained((Step::Claims, "scope"), scope, |scope| {
            (Expected::Fixed("scopes, or none"), Actual::from(&scope.read()))
        });

        if let Some(failure) = results.wrong_kind().filter(|_| is_id_token(claims)) {
            let found = described_id_token(token_type, claims);
            *failure = FailedCheck::new(Reason::WrongTokenType, failure.field(), "an access token", found).with_hint(
                Some(
                    "it tells the client who has signed in, and is not for APIs: have the client send the access token that \
                     came with it",
                ),
            );
        }
        match (results.error(), algorithm, expires_at, scope) {
            (None, Some(algorithm), Some(expires_at), Some(scope)) => {
                let claims = CheckedClaims {
                    subject,
                    client_id,
                    token_id,
                    audience,
                    expires_at: Some(expires_at),
                    not_before,
                    issued_at,
                    authentication_time,
                    authentication_context,
                    authentication_methods,
                    confirmation,
                };
                Ok(CheckedJwt { algorithm, scope, claims })
            }
            (error, ..) => Err(error.unwrap_or_else(|| Reason::MalformedToken.into())),
        }
    }

    /// Checks a token whose issuer is asked about it in place of a check of its signature (INTRO-15). A claim that is present
    /// refuses the token as in [`check`](Self::check); one that is absent does not, since the answer has to have it. Returns what
    /// the token says that it is bound to, which the answer has to say as well.
    pub(crate) fn check_before_asking(
        &self,
        header: &Header<'_>,
        claims: &UnverifiedClaims<'_>,
        now: Duration,
        trace: &Trace,
    ) -> Result<Option<Box<Confirmation>>, Error> {
        let mut results = CheckResults::new(trace);
        let is_access_token = results.record(self.profile.check_type_before_asking(header.token_type.as_deref()));
        if is_access_token != Some(true) {
            results.record(no_mark_of_another_kind(&self.profile, claims));
        }
        results.record(no_foreign_claim(&self.profile, claims));
        if let Some(audience) = results.record(claims.audience()).filter(|audience| !audience.is_empty()) {
            results.record(self.audience(audience));
        }
        results.record(checks::expiry(claims, now, self.leeway));
        results.record(checks::not_before(claims, now, self.leeway));
        let max_age = self.max_age.filter(|_| claims.get("iat").is_some());
        results.record(checks::issued_at(claims, max_age, now, self.leeway));
        let confirmation = results.record(Confirmation::read(claims.get("cnf"), self.confirmations)).flatten();
        results.error().map_or(Ok(confirmation), |error| Err(error.with_issuer(&self.issuer)))
    }

    /// Whether a token with this header and these claims, JSON objects, would be an access token with all claims that it needs under
    /// another profile, whoever it is for and whether or not its times are over. For an explanation: it decides nothing.
    pub(crate) fn would_fit(&self, profile: Profile, header: &str, claims: &str, now: Duration) -> bool {
        let mut names = ClaimNames::default();
        names.add(profile.claim_names());
        let other = Self { profile, ..self.clone() };
        let (Ok(header), Ok(claims)) =
            (Header::parse(header.as_bytes()), UnverifiedClaims::parse(claims.as_bytes(), &names))
        else {
            return false;
        };
        let is_of_form = |failure: &FailedCheck| match failure.reason() {
            Reason::MissingClaim => failure.field() != "aud",
            Reason::MalformedClaim | Reason::WrongTokenType | Reason::UnknownIssuer => true,
            _ => false,
        };
        other
            .check(&header, &claims, now, &Trace::OFF)
            .err()
            .is_none_or(|error| !error.failed_checks().iter().any(is_of_form))
    }

    /// By what a token is known as an access token, and how this one was.
    fn signs_of_its_kind(&self) -> (Expected, Actual) {
        let found = format!("an access token of the profile {}: {}", self.profile.name(), self.profile.signs());
        (Expected::Fixed("an access token"), Actual::from(found))
    }

    /// RFC 8725 §3.1: nothing outside the issuer's list is ever run (ALG-1, JOSE-6).
    fn algorithm(&self, name: &str) -> Result<Algorithm, FailedCheck> {
        let known = Algorithm::from_name(name).filter(|algorithm| self.algorithms.contains(algorithm));
        known.ok_or_else(|| {
            let expected = Expected::Algorithms(Arc::clone(&self.algorithms));
            FailedCheck::new(Reason::AlgorithmNotAllowed, "alg", expected, name)
        })
    }

    /// RFC 9068 §4. Where the audience was waived, a token may have none, and its client is checked in its place; one that has
    /// some still has to name this resource server.
    fn audience(&self, found: Texts<'_>) -> Result<(), FailedCheck> {
        if self.audience_waived && found.is_empty() { Ok(()) } else { checks::audience(&self.audiences, found.iter()) }
    }

    fn expiry(&self, claims: &UnverifiedClaims<'_>, now: Duration) -> Result<NumericDate, FailedCheck> {
        // JWT-4, AT-3: a token without it is refused.
        checks::expiry(claims, now, self.leeway)?.ok_or_else(|| checks::missing("exp"))
    }

    fn issued_at(&self, claims: &UnverifiedClaims<'_>, now: Duration) -> Result<Option<NumericDate>, FailedCheck> {
        match checks::issued_at(claims, self.max_age, now, self.leeway)? {
            None if self.profile.requires(RequiredClaim::IssuedAt) => Err(checks::missing("iat")),
            issued_at => Ok(issued_at),
        }
    }

    /// The client, from the claim that the profile names, and whether it is one that may use this issuer's tokens here.
    fn client<'c>(
        &self,
        claims: &'c UnverifiedClaims<'_>,
        audience: Texts<'c>,
    ) -> Result<Option<&'c str>, FailedCheck> {
        let name = self.profile.client_from();
        let named = name.map_or(Ok(None), |name| claims.string(name, "client_id"));
        let named = named.map(|client| match client {
            None if self.profile.client_is_audience() => audience.sole(),
            _ => client,
        });
        let client = self.required(RequiredClaim::ClientId, "client_id", name.unwrap_or_default(), named)?;
        // Both names are registered, so each has its type even where the profile reads the other.
        claims.string("client_id", "client_id")?;
        claims.string("azp", "azp")?;
        checks::authorized_party(self.authorized_parties.as_ref(), client)?;
        Ok(client)
    }

    /// A claim that identifies a user, a client or a token (AT-3). An empty one counts as absent.
    fn required<'c>(
        &self,
        claim: RequiredClaim,
        subject: &'static str,
        name: &str,
        found: Result<Option<&'c str>, FailedCheck>,
    ) -> Result<Option<&'c str>, FailedCheck> {
        match found?.filter(|text| !text.is_empty()) {
            None if self.profile.requires(claim) => {
                Err(FailedCheck::new(Reason::MissingClaim, subject, format!("a value in `{name}`"), Actual::NONE))
            }
            found => Ok(found),
        }
    }

    /// RFC 9068 §2.2.1 gives these claims their types (AT-7). Outside of RFC 9068, a claim of another type counts as absent.
    fn about_the_user<T>(&self, results: &mut CheckResults, claim: Result<Option<T>, FailedCheck>) -> Option<T> {
        if self.profile.is_strict() { results.record(claim).flatten() } else { claim.ok().flatten() }
    }
}

/// Whether the claims are those of an ID token (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11). It only words the log entry.
fn is_id_token(claims: &UnverifiedClaims<'_>) -> bool {
    let says =
        |name, kind: &str| matches!(claims.get(name), Some(Value::String(found)) if found.eq_ignore_ascii_case(kind));
    let is_said = says("typ", "ID") || says("token_use", "id");
    let says_other = ["typ", "token_use"].into_iter().any(|name| claims.get(name).is_some());
    is_said || !says_other && ["at_hash", "c_hash", "nonce"].into_iter().any(|mark| claims.get(mark).is_some())
}

/// An ID token by what it was known as one.
fn described_id_token(token_type: Option<&str>, claims: &UnverifiedClaims<'_>) -> String {
    let kind = |name| match claims.get(name) {
        Some(Value::String(kind)) => Some(format!("{name} = {kind}")),
        _ => None,
    };
    let marks = ["nonce", "at_hash", "c_hash"].into_iter().filter(|mark| claims.get(mark).is_some()).map(str::to_owned);
    let marks: Vec<String> = ["typ", "token_use"].into_iter().filter_map(kind).chain(marks).collect();
    let token_type = token_type.map_or("no typ".to_owned(), |found| format!("typ = {found}"));
    format!("an ID token (header: {token_type}; claims: {})", marks.join(", "))
}

/// Refuses a claim that, by the profile, only other tokens of the issuer have.
fn no_foreign_claim(profile: &Profile, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
    match profile.foreign_claims().find(|name| claims.get(name).is_some()) {
        Some(name) => Err(FailedCheck::new(Reason::WrongTokenType, "claims", "no mark of another kind of token", name)),
        None => Ok(()),
    }
}

/// RFC 8725 §3.12: where `typ` does not say what a token is, the claims of every other kind of JWT refuse it (JWT-11).
fn no_mark_of_another_kind(profile: &Profile, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
    let kind = |name| match claims.get(name) {
        Some(Value::String(value)) if is_other_kind(name, value) => Some(format!("{name} = {value}")),
        _ => None,
    };
    let mut marks = profile::marks(profile.names_the_kind_of(|name| claims.get(name)));
    let mark = marks.find(|mark| claims.get(mark).is_some());
    let found = if let Some(mark) = mark {
        Actual::Fixed(mark)
    } else if claims.get("htm").is_some() && claims.get("htu").is_some() {
        Actual::Fixed("htm and htu")
    } else if let Some(kind) = kind("token_use").or_else(|| kind("typ")) {
        Actual::from(kind)
    } else {
        return Ok(());
    };
    Err(FailedCheck::new(Reason::WrongTokenType, "claims", "no mark of another kind of token", found))
}

#[cfg(test)]
mod tests;
