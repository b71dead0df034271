//! What remedies a refusal, and who does: one remedy, by the values at hand where they are known.

use std::borrow::Cow;

use super::{ExplainedCheck, Explanation, Party, steps::is_of_another_kind};
use crate::refusal::{Reason, reason};

/// What to do, and who does it. The first line is an imperative to that party; the others are for other cases and parties.
#[derive(Clone, Debug)]
pub(super) struct Remedy {
    pub(super) by: Party,
    pub(super) text: Cow<'static, str>,
}

impl Remedy {
    /// The same, or, under a condition that begins with "If", this by a party.
    pub(super) fn or(mut self, condition: &str, party: Party, text: &str) -> Self {
        let who = if party == self.by { String::new() } else { format!(", {party}") };
        self.text.to_mut().push_str(&format!("\n{condition}{who}: {text}"));
        self
    }
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

/// The remedy of a refusal: that of the first hint that explains it, or by the check that decided, or as the docs of its reason
/// say.
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
        let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let imperative = text.strip_prefix(&format!("have the {by} ")).map(str::to_owned);
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
            client(format!("ask for a token for the audience {expected}, {how}")).or(
                &format!("If the issuer has registered this API as {found}"),
                Party::Operator,
                &format!("set `audience` to {found} (ResourceServerBuilder::audience)"),
            )
        }
        Reason::WrongAudience => {
            client(format!("ask for a token for this API: the audience (or `resource`) {expected} in place of {found}")).or(
                &format!("If {found} is this API's name at the issuer"),
                Party::Operator,
                "add it by ResourceServerBuilder::audience",
            )
        }
        Reason::MissingClaim if *field == "aud" => {
            client(format!("ask for a token for this API, by the audience (or `resource`) {expected}")).or(
                "If the token still has none",
                Party::Issuer,
                "write the claim `aud` into access tokens",
            )
        }
        Reason::MissingClaim if *field == "iss" => {
            client("send an access token of a configured issuer; this one names none")
        }
        Reason::MissingClaim => issuer(format!("write the claim that is missing ({expected}) into access tokens")).or(
            "If the issuer's product never does",
            Party::Operator,
            "choose its profile (Issuer::profile), or waive the one claim by Profile::dangerous_waive",
        ),
        Reason::UnknownIssuer if *field != "iss" => return None,
        Reason::UnknownIssuer if differs => operator(format!(
            "set the issuer to {found}, exactly as the token has it (`issuer` in a configuration, or the argument of Issuer)"
        ))
        .or(
            &format!("If the member `issuer` of the issuer's metadata document says {expected}"),
            Party::Issuer,
            "write the same into the tokens' `iss`; the configuration is right",
        ),
        Reason::UnknownIssuer => {
            client(format!("get the token from {expected}, which this API trusts, and not from {found}")).or(
                &format!("If {found} is to be trusted as well"),
                Party::Operator,
                "add it as another issuer",
            )
        }
        Reason::WrongTokenType if is_of_another_kind(check) => {
            client(format!(
                "send the access token in place of {}. It is in `access_token` of the issuer's response; ask for it with the \
                 audience {}",
                if expected == "an access token" { "the ID token" } else { "this one" },
                audiences(explanation)
            ))
        }
        Reason::WrongTokenType => operator(format!(
            "set the profile of the product that the issuer is (`profile` in a configuration, Issuer::profile): the one that \
             is set expects {expected} in `{field}`"
        ))
        .or("If the issuer can issue access tokens by RFC 9068", Party::Issuer, "choose that format for this API"),
        Reason::UnverifiableConfirmation if found.contains("jkt") => operator(
            "switch DPoP on (ResourceServerBuilder::dpop, or the table `dpop` of a configuration); the client then sends the \
             token under the scheme DPoP, with a proof",
        )
        .or("If this API is not to take DPoP", Party::Issuer, "give this client tokens that are bound to nothing"),
        Reason::UnverifiableConfirmation if found.contains("x5t#S256") => operator(
            "accept client certificates (ResourceServerBuilder::certificate_binding); the client then connects with the \
             certificate",
        )
        .or("If this API is not to take certificates", Party::Issuer, "give this client tokens that are bound to nothing"),
        Reason::DpopRequired => {
            client("send `Authorization: DPoP <token>` with a proof by the token's key in the header `DPoP`").or(
                "If the client has no such key",
                Party::Client,
                "ask the issuer for a token that is not bound to a key",
            )
        }
        Reason::Expired => client(
            "get a new token, with the refresh token or by signing in again, and from now on before the old one expires",
        ),
        Reason::NotYetValid => client("send the token once it is valid, or get one that is valid at once"),
        Reason::IssuedInFuture => operator(
            "compare the clocks of the issuer and of this host, and synchronise the one that is wrong (NTP); \
             ResourceServerBuilder::leeway allows for up to 5 minutes",
        ),
        Reason::TokenTooOld => client("get a new token: this API takes none of such an age, whatever its `exp`").or(
            "If the limit is too low",
            Party::Operator,
            "raise it (Issuer::max_age or ResourceServerBuilder::max_token_age)",
        ),
        Reason::InsufficientScope => client(format!(
            "ask the issuer for the scope {expected}; the token has {found}, which is not enough for this route"
        )),
        Reason::AlgorithmNotAllowed if ["RS384", "RS512", "PS384", "PS512"].contains(&found.as_str()) => {
            operator(format!(
                "add {found} to the issuer's algorithms (Issuer::algorithms, `algorithms` in a configuration)"
            ))
            .or("If this API is not to take it", Party::Issuer, &format!("sign with {expected}"))
        }
        Reason::AlgorithmNotAllowed => {
            issuer(format!("sign access tokens with one of the algorithms {expected}, and not with {found}"))
        }
        Reason::InvalidSignature => client("get a new token and send it unchanged")
            .or(
                "If the new one is refused as well",
                Party::Operator,
                "compare the issuer's keys; it may have replaced a key and kept its id (`kid`)",
            )
            .or("If the new one is accepted", Party::Client, "look where this one was altered or cut, or who forged it"),
        Reason::UnknownKey => client(format!(
            "get a new token: none of the issuer's keys ({expected}) is the one that this token names ({found})"
        ))
        .or(
            "If a new one is refused as well",
            Party::Operator,
            "see whether the tokens come from another environment, whose issuer has the same name and other keys",
        ),
        Reason::KeysUnavailable | Reason::IssuerUnavailable => operator(
            "see that this host reaches the address above (name, port, firewall, proxy, certificate) and what it answers. The \
             client has nothing to change: the token may be good",
        ),
        Reason::OpaqueToken => {
            client(format!("ask for a JWT, by naming the audience {} when asking for the token", audiences(explanation))).or(
                "If the issuer issues only opaque tokens",
                Party::Operator,
                "configure introspection, by which the issuer is asked about each token (Issuer::introspection, \
                 `introspection` in a configuration)",
            )
        }
        Reason::EncryptedToken => issuer("switch the encryption of access tokens off for this API, and sign them only"),
        Reason::MalformedToken => {
            client("send the access token as the issuer sent it, whole and unchanged: three parts between two dots")
        }
        Reason::UnauthorizedParty => operator(format!(
            "if the client {found} may call this API, add it to Issuer::authorized_parties (`authorized_parties` in a \
             configuration)"
        ))
        .or("If it may not", Party::Client, &format!("use one that may: {expected}")),
        _ => return None,
    })
}

/// The audiences of this API, of which one is enough.
pub(super) fn audiences(explanation: &Explanation) -> String {
    explanation.server.audiences().take(4).collect::<Vec<_>>().join(" or ")
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
