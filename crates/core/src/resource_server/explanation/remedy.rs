//! What remedies a refusal, and who does: one remedy, by the values at hand where they are known.

use std::borrow::Cow;

use super::{ExplainedCheck, Explanation, Party, steps::is_of_another_kind};
use crate::refusal::{Reason, reason};

/// What to do, and who does it. The text begins with an imperative to that party.
#[derive(Clone, Debug)]
pub(super) struct Remedy {
    pub(super) by: Party,
    pub(super) text: Cow<'static, str>,
}

impl Party {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Issuer => "issuer",
            Self::Operator => "operator",
        }
    }
}

pub(super) fn client(text: impl Into<Cow<'static, str>>) -> Remedy {
    Remedy { by: Party::Client, text: text.into() }
}

pub(super) fn issuer(text: impl Into<Cow<'static, str>>) -> Remedy {
    Remedy { by: Party::Issuer, text: text.into() }
}

pub(super) fn operator(text: impl Into<Cow<'static, str>>) -> Remedy {
    Remedy { by: Party::Operator, text: text.into() }
}

/// The remedy of a refusal: that of the first hint that explains it, or by the check that decided, or as the docs of its reason say.
pub(super) fn of(explanation: &Explanation) -> Option<Remedy> {
    let Some(reason) = explanation.reason() else {
        // Credentials that are not read refuse nothing by themselves.
        return explanation.hints.first()?.remedy.clone();
    };
    let hint =
        explanation.hints.iter().filter(|hint| hint.about.contains(&reason)).find_map(|hint| hint.remedy.clone());
    let decisive = || explanation.failures().into_iter().find(|check| check.reason == Some(reason));
    hint.or_else(|| decisive().and_then(|check| by_check(explanation, reason, check))).or_else(|| {
        let (by, text) = (party(reason), reason::remedy(reason));
        let imperative = text.strip_prefix(&format!("have the {by} "));
        Some(Remedy { by, text: imperative.unwrap_or(text).into() })
    })
}

/// By the check that decided.
fn by_check(explanation: &Explanation, reason: Reason, check: &ExplainedCheck) -> Option<Remedy> {
    let ExplainedCheck { field, expected, found, hint, .. } = check;
    let differs = hint.is_some_and(|hint| hint.starts_with("they differ"));
    Some(match reason {
        Reason::WrongAudience if differs => {
            let how = match (expected.ends_with('/'), found.ends_with('/')) {
                (false, true) => "without the slash at the end",
                (true, false) => "with the slash at the end",
                _ => "in exactly this spelling",
            };
            client(format!(
                "ask for a token for the audience {expected}, {how}. Or, if that is how the issuer names this API, operator: \
                 set `audience` to {found} (ResourceServerBuilder::audience)"
            ))
        }
        Reason::WrongAudience => client(format!(
            "ask for a token for this API: the audience (or `resource`) {expected} in place of {found}. If the issuer knows \
             this API by the other name, operator: add it by ResourceServerBuilder::audience"
        )),
        Reason::MissingClaim if *field == "aud" => client(format!(
            "ask for a token for this API, by the audience (or `resource`) {expected}. If the issuer still writes none, \
             issuer: add the claim `aud`"
        )),
        Reason::MissingClaim if *field == "iss" => {
            client("send an access token of a configured issuer; this one names none")
        }
        Reason::MissingClaim => issuer(format!(
            "write the claim that is missing ({expected}) into access tokens. If the issuer never does, operator: choose its \
             profile (Issuer::profile), or waive the one claim by Profile::dangerous_waive"
        )),
        Reason::UnknownIssuer if *field != "iss" => return None,
        Reason::UnknownIssuer if differs => operator(format!(
            "set the issuer to {found}, exactly as the token has it (`issuer` in a configuration, or the argument of Issuer), \
             if the member `issuer` of its metadata document says the same"
        )),
        Reason::UnknownIssuer => client(format!(
            "get the token from {expected}, which this API trusts, and not from {found}. If that one is to be trusted as well, \
             operator: add it as another issuer"
        )),
        Reason::WrongTokenType if is_of_another_kind(check) => {
            let audiences: Vec<&str> = explanation.server.audiences().take(4).collect();
            client(format!(
                "send the access token in place of {}. It is in `access_token` of the issuer's response; ask for it with the \
                 audience {}",
                if expected == "an access token" { "the ID token" } else { "this one" },
                audiences.join(" or ")
            ))
        }
        Reason::WrongTokenType => operator(format!(
            "set the profile of the product that the issuer is (`profile` in a configuration, Issuer::profile): the one that \
             is set expects {expected} in `{field}`. Or issuer: issue access tokens by RFC 9068"
        )),
        Reason::UnverifiableConfirmation if found.contains("jkt") => operator(
            "switch DPoP on (ResourceServerBuilder::dpop, or the table `dpop` of a configuration), and client: send the token \
             under the scheme DPoP, with a proof. Or issuer: give this client tokens that are bound to nothing",
        ),
        Reason::UnverifiableConfirmation if found.contains("x5t#S256") => operator(
            "accept client certificates (ResourceServerBuilder::certificate_binding), and client: connect with the \
             certificate. Or issuer: give this client tokens that are bound to nothing",
        ),
        Reason::DpopRequired => client(
            "send `Authorization: DPoP <token>` with a proof by the token's key in the header `DPoP`. A client that has no \
             such key has to ask for a token that is not bound",
        ),
        Reason::Expired => client(
            "get a new token, by the refresh token or by signing in again, before the old one expires and whenever the answer \
             is 401",
        ),
        Reason::NotYetValid => client("send the token once it is valid, or get one that is valid at once"),
        Reason::IssuedInFuture => operator(
            "compare the clocks of the issuer and of this host, and synchronise the one that is wrong (NTP); \
             ResourceServerBuilder::leeway allows for up to 5 minutes",
        ),
        Reason::TokenTooOld => client(
            "get a new token: this API takes none of such an age, whatever its `exp`. Operator: the limit is Issuer::max_age \
             or ResourceServerBuilder::max_token_age",
        ),
        Reason::InsufficientScope => client(format!(
            "ask the issuer for the scope {expected}; the token has {found}, which is not enough for this route"
        )),
        Reason::AlgorithmNotAllowed if ["RS384", "RS512", "PS384", "PS512"].contains(&found.as_str()) => {
            operator(format!(
                "add {found} to the issuer's algorithms (Issuer::algorithms, `algorithms` in a configuration), or issuer: \
                 sign with {expected}"
            ))
        }
        Reason::AlgorithmNotAllowed => {
            issuer(format!("sign access tokens with one of the algorithms {expected}, and not with {found}"))
        }
        Reason::InvalidSignature => client(
            "get a new token and send it unchanged. If it is refused as well, operator: compare the issuer's keys; it may \
             have replaced a key and kept its id (`kid`). If it is accepted, this one was altered or cut on its way, or forged",
        ),
        Reason::UnknownKey => client(format!(
            "get a new token: none of the issuer's keys ({expected}) is the one that this token names ({found}). If a new one \
             is refused as well, operator: see whether the tokens come from another environment of the issuer with other keys"
        )),
        Reason::KeysUnavailable | Reason::IssuerUnavailable => operator(
            "see that this host reaches the address above (name, port, firewall, proxy, certificate) and what it answers. The \
             token may be good: nothing is wrong at the client",
        ),
        Reason::OpaqueToken => client(
            "ask for a JWT, by naming this API's audience when asking for the token. Or, if the issuer issues opaque tokens \
             alone, operator: have it asked about them by Issuer::introspection (`introspection` in a configuration)",
        ),
        Reason::EncryptedToken => {
            issuer("switch the encryption of access tokens off for this API: they have to be signed alone")
        }
        Reason::MalformedToken => {
            client("send the access token as the issuer sent it, whole and unchanged: three parts between two dots")
        }
        Reason::UnauthorizedParty => operator(format!(
            "add {found} to Issuer::authorized_parties (`authorized_parties` in a configuration) if that client may call this \
             API; those that may are {expected}"
        )),
        _ => return None,
    })
}

/// Who does what the docs of a reason say.
fn party(reason: Reason) -> Party {
    use Reason as R;
    match reason {
        R::BindingMismatch
        | R::DpopRequired
        | R::DuplicateCredentials
        | R::EncryptedToken
        | R::Expired
        | R::InactiveToken
        | R::InsufficientScope
        | R::InvalidDpopProof
        | R::InvalidSignature
        | R::MalformedCredentials
        | R::MalformedToken
        | R::MissingClientCertificate
        | R::MissingCredentials
        | R::MissingDpopProof
        | R::MissingInput
        | R::MultipleTransports
        | R::NotYetValid
        | R::OpaqueToken
        | R::PolicyNotMet
        | R::RepeatedDpopProof
        | R::TokenTooOld
        | R::UnboundToken
        | R::UnknownKey
        | R::UseDpopNonce
        | R::WrongAudience
        | R::WrongTokenType => Party::Client,
        R::AlgorithmNotAllowed
        | R::ClaimsMismatch
        | R::CriticalHeader
        | R::MalformedClaim
        | R::MissingClaim
        | R::TokenTooLong => Party::Issuer,
        R::AmbiguousToken
        | R::IssuedInFuture
        | R::IssuerUnavailable
        | R::KeysUnavailable
        | R::MissingAuthenticateLayer
        | R::NoBinding
        | R::NoIntrospection
        | R::ReplayCheckUnavailable
        | R::UnauthorizedParty
        | R::UnknownIssuer
        | R::UnverifiableConfirmation
        | R::VerifierPanicked => Party::Operator,
    }
}
