//! The checks of claims, each with its source. All of them are made, so that the log can name every one that failed.

use std::time::Duration;

use super::{NumericDate, RequiredClaim, Rules, UnverifiedClaims};
use crate::{
    Reason, Scope, confirmation,
    error::{Error, Failure},
    jws::{Algorithm, Header, json::Value},
};

/// A token whose header and claims pass every check. What is missing is the signature.
pub(crate) struct Acceptable<'c> {
    pub(super) algorithm: Algorithm,
    pub(super) subject: Option<&'c str>,
    pub(super) client_id: Option<&'c str>,
    pub(super) audience: Vec<&'c str>,
    pub(super) scope: Scope,
    pub(super) expires_at: NumericDate,
    pub(super) not_before: Option<NumericDate>,
    pub(super) issued_at: Option<NumericDate>,
    pub(super) token_id: Option<&'c str>,
    pub(super) authentication_time: Option<NumericDate>,
    pub(super) authentication_context: Option<&'c str>,
    pub(super) authentication_methods: Vec<&'c str>,
}

/// The checks that failed so far.
#[derive(Default)]
struct Findings(Vec<Failure>);

impl Findings {
    fn note<T>(&mut self, check: Result<T, Failure>) -> Option<T> {
        check.map_err(|failure| self.0.push(failure)).ok()
    }
}

impl Rules {
    /// Checks a header and claims whose signature has not been looked at. They may refuse the token; they never admit it.
    pub(crate) fn check<'c>(
        &self,
        header: &Header<'_>,
        claims: &'c UnverifiedClaims<'_>,
        now: Duration,
    ) -> Result<Acceptable<'c>, Error> {
        let mut findings = Findings::default();

        findings.note(self.profile.check_type(header.token_type.as_deref()));
        let algorithm = findings.note(self.algorithm(&header.algorithm));
        if !self.profile.is_strict() {
            findings.note(no_mark_of_another_kind(claims));
            findings.note(self.profile.check_evidence(|name| claims.get(name)));
        }

        let audience = findings.note(claims.audience()).unwrap_or_default();
        findings.note(self.audience(&audience));

        let expires_at = findings.note(self.expiry(claims, now));
        let not_before = findings.note(self.not_before(claims, now)).flatten();
        let issued_at = findings.note(self.issued_at(claims, now)).flatten();

        let subject =
            findings.note(self.required(RequiredClaim::Subject, "sub", claims.string("sub", "sub"))).flatten();
        let client_id = findings.note(self.client(claims, &audience)).flatten();
        let token_id =
            findings.note(self.required(RequiredClaim::TokenId, "jti", claims.string("jti", "jti"))).flatten();

        let authentication_time = self.about_the_user(&mut findings, claims.date("auth_time"));
        let authentication_context = self.about_the_user(&mut findings, claims.string("acr", "acr"));
        let authentication_methods =
            self.about_the_user(&mut findings, claims.strings("amr").map(Some)).unwrap_or_default();

        findings.note(confirmation::check(claims.get("cnf")));
        let scope = findings.note(self.profile.scope_from().read(|name| claims.get(name)));

        match (Error::from_failures(findings.0), algorithm, expires_at, scope) {
            (None, Some(algorithm), Some(expires_at), Some(scope)) => Ok(Acceptable {
                algorithm,
                subject,
                client_id,
                audience,
                scope,
                expires_at,
                not_before,
                issued_at,
                token_id,
                authentication_time,
                authentication_context,
                authentication_methods,
            }),
            (error, ..) => Err(error.unwrap_or_else(|| Reason::MalformedToken.into())),
        }
    }

    /// RFC 8725 §3.1: nothing outside the issuer's list is ever run.
    fn algorithm(&self, name: &str) -> Result<Algorithm, Failure> {
        Algorithm::from_name(name).filter(|algorithm| self.algorithms.contains(algorithm)).ok_or_else(|| {
            let names: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
            Failure::new(Reason::AlgorithmNotAllowed, "alg", names.join(" or "), name)
        })
    }

    /// RFC 9068 §4, RFC 7519 §4.1.3: one exact match suffices.
    fn audience(&self, found: &[&str]) -> Result<(), Failure> {
        if found.iter().any(|found| self.audiences.iter().any(|ours| **ours == **found)) {
            return Ok(());
        }
        Err(Failure::new(
            Reason::WrongAudience,
            "aud",
            self.audiences.join(" or "),
            if found.is_empty() { "none".to_owned() } else { found.join(" ") },
        ))
    }

    /// RFC 7519 §4.1.4: now must be before `exp`; equal is expired.
    fn expiry(&self, claims: &UnverifiedClaims<'_>, now: Duration) -> Result<NumericDate, Failure> {
        let expires_at = claims.date("exp")?.ok_or_else(|| missing("exp"))?;
        if now < expires_at + self.leeway {
            return Ok(expires_at);
        }
        Err(Failure::new(
            Reason::Expired,
            "exp",
            format!("later than {}", now.as_secs()),
            expires_at.as_secs().to_string(),
        ))
    }

    /// RFC 7519 §4.1.5.
    fn not_before(&self, claims: &UnverifiedClaims<'_>, now: Duration) -> Result<Option<NumericDate>, Failure> {
        let not_before = claims.date("nbf")?;
        match not_before {
            Some(time) if time > now + self.leeway => Err(Failure::new(
                Reason::NotYetValid,
                "nbf",
                format!("no later than {}", now.as_secs()),
                time.as_secs().to_string(),
            )),
            _ => Ok(not_before),
        }
    }

    /// RFC 7519 §4.1.6, which leaves the use of `iat` to the reader: it is not in the future, and not too long ago where a
    /// greatest age is configured.
    fn issued_at(&self, claims: &UnverifiedClaims<'_>, now: Duration) -> Result<Option<NumericDate>, Failure> {
        let Some(issued_at) = claims.date("iat")? else {
            return if self.profile.requires(RequiredClaim::IssuedAt) || self.max_age.is_some() {
                Err(missing("iat"))
            } else {
                Ok(None)
            };
        };
        let found = || issued_at.as_secs().to_string();
        if issued_at > now + self.leeway {
            return Err(Failure::new(
                Reason::IssuedInFuture,
                "iat",
                format!("no later than {}", now.as_secs()),
                found(),
            ));
        }
        if let Some(max_age) = self.max_age.filter(|&max_age| now > issued_at + max_age + self.leeway) {
            return Err(Failure::new(
                Reason::TokenTooOld,
                "iat",
                format!("at most {} seconds before {}", max_age.as_secs(), now.as_secs()),
                found(),
            ));
        }
        Ok(Some(issued_at))
    }

    /// The client, from the claim that the profile names, and whether it is one that may use this issuer's tokens here.
    fn client<'c>(&self, claims: &'c UnverifiedClaims<'_>, audience: &[&'c str]) -> Result<Option<&'c str>, Failure> {
        let named = claims.string(self.profile.client_from(), "client_id").map(|client| match (client, audience) {
            (None, [sole]) if self.profile.client_is_audience() => Some(*sole),
            _ => client,
        });
        let client = self.required(RequiredClaim::ClientId, "client_id", named)?;
        // Both names are registered, so each has its type even where the profile reads the other.
        claims.string("client_id", "client_id")?;
        claims.string("azp", "azp")?;
        match &self.authorized_parties {
            Some(parties) if !client.is_some_and(|client| parties.iter().any(|party| **party == *client)) => Err(
                Failure::new(Reason::UnauthorizedParty, "client_id", parties.join(" or "), client.unwrap_or("none")),
            ),
            _ => Ok(client),
        }
    }

    /// A claim that names somebody or something: an empty one names nobody, and counts as absent.
    fn required<'c>(
        &self,
        claim: RequiredClaim,
        subject: &'static str,
        found: Result<Option<&'c str>, Failure>,
    ) -> Result<Option<&'c str>, Failure> {
        match found?.filter(|text| !text.is_empty()) {
            None if self.profile.requires(claim) => Err(missing(subject)),
            found => Ok(found),
        }
    }

    /// RFC 9068 §2.2.1 gives these claims their types. Older dialects put other things there, and what is no use is no
    /// harm: it counts as absent.
    fn about_the_user<T>(&self, findings: &mut Findings, claim: Result<Option<T>, Failure>) -> Option<T> {
        if self.profile.is_strict() { findings.note(claim).flatten() } else { claim.ok().flatten() }
    }
}

fn missing(subject: &'static str) -> Failure {
    Failure::new(Reason::MissingClaim, subject, "a value", "none")
}

/// RFC 8725 §3.12: where `typ` does not say what a token is, the claims of every other kind of JWT refuse it.
fn no_mark_of_another_kind(claims: &UnverifiedClaims<'_>) -> Result<(), Failure> {
    const MARKS: [&str; 6] = ["nonce", "at_hash", "c_hash", "events", "token_introspection", "status_list"];
    let is = |name, kinds: &[&str]| matches!(claims.get(name), Some(Value::String(kind)) if kinds.iter().any(|other| kind.eq_ignore_ascii_case(other)));
    let mark = MARKS.into_iter().find(|mark| claims.get(mark).is_some());
    let found = if let Some(mark) = mark {
        mark
    } else if claims.get("htm").is_some() && claims.get("htu").is_some() {
        "htm and htu"
    } else if is("token_use", &["id"]) {
        "token_use = id"
    } else if is("typ", &["ID", "Refresh", "Offline", "Logout"]) {
        "typ = ID, Refresh, Offline or Logout"
    } else {
        return Ok(());
    };
    Err(Failure::new(Reason::WrongTokenType, "claims", "no mark of another kind of token", found))
}
