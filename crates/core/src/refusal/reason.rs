//! Why a request was refused: the stable, machine-readable reasons.
//!
//! A [`Reason`] is in the response extensions of every refusal, in its tracing event, and in the `type` of the problem
//! document, which links to the heading below of the same name. Reasons may be added; a name never changes its meaning. The
//! status and the OAuth error code follow from the reason's [`ErrorKind`].
//!
//! Each section says what the reason means, what the log shows, the usual causes, and the remedy.
//!
#![doc = include_str!("reason.md")]

use std::fmt;

use crate::refusal::kind::ErrorKind;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident, $description:literal;)*) => {
        /// Why a request was refused. See the [module docs](self) for the list with explanations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, for logs, metric labels and comparisons.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The class of the refusal, from which status and error code follow.
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// The text of `error_description`. Fixed: it never contains anything from the request.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
            }

            /// The problem document (RFC 9457) of this reason.
            pub const fn problem(self) -> &'static str {
                match self { $(Self::$variant => problem!($name, $description, $kind),)* }
            }
        }
    };
}

/// The documentation of the reasons, to which the `type` of every problem document points.
macro_rules! docs {
    () => {
        "https://docs.rs/scopegate-core/latest/scopegate_core/reason/#"
    };
}

macro_rules! problem {
    ($name:literal, $title:literal, InvalidRequest) => { problem!(@ $name, $title, "400") };
    ($name:literal, $title:literal, InvalidToken) => { problem!(@ $name, $title, "401") };
    ($name:literal, $title:literal, InvalidDpopProof) => { problem!(@ $name, $title, "401") };
    ($name:literal, $title:literal, UseDpopNonce) => { problem!(@ $name, $title, "401") };
    ($name:literal, $title:literal, MissingCredentials) => { problem!(@ $name, $title, "401") };
    ($name:literal, $title:literal, InsufficientScope) => { problem!(@ $name, $title, "403") };
    ($name:literal, $title:literal, Misconfigured) => { problem!(@ $name, $title, "500") };
    ($name:literal, $title:literal, Unavailable) => { problem!(@ $name, $title, "503") };
    (@ $name:literal, $title:literal, $status:literal) => {
        concat!("{\"type\":\"", docs!(), $name, "\",\"title\":\"", $title, "\",\"status\":", $status, "}")
    };
}

reasons! {
    /// [`algorithm_not_allowed`](self#algorithm_not_allowed)
    AlgorithmNotAllowed = "algorithm_not_allowed", InvalidToken, "the token is signed with an algorithm that is not accepted";
    /// [`ambiguous_token`](self#ambiguous_token)
    AmbiguousToken = "ambiguous_token", Misconfigured, "the service is misconfigured";
    /// [`binding_mismatch`](self#binding_mismatch)
    BindingMismatch = "binding_mismatch", InvalidToken, "the token is bound to another key or certificate";
    /// [`claims_mismatch`](self#claims_mismatch)
    ClaimsMismatch = "claims_mismatch", InvalidToken, "the token lacks claims that this resource needs";
    /// [`critical_header`](self#critical_header)
    CriticalHeader = "critical_header", InvalidToken, "the token demands an extension that is not supported";
    /// [`dpop_required`](self#dpop_required)
    DpopRequired = "dpop_required", InvalidToken, "the token is bound to a key and has to be sent with a DPoP proof";
    /// [`duplicate_credentials`](self#duplicate_credentials)
    DuplicateCredentials = "duplicate_credentials", InvalidRequest, "the request has more than one Authorization header";
    /// [`encrypted_token`](self#encrypted_token)
    EncryptedToken = "encrypted_token", InvalidToken, "encrypted tokens are not supported";
    /// [`expired`](self#expired)
    Expired = "expired", InvalidToken, "the token has expired";
    /// [`inactive_token`](self#inactive_token)
    InactiveToken = "inactive_token", InvalidToken, "the token is not active";
    /// [`insufficient_scope`](self#insufficient_scope)
    InsufficientScope = "insufficient_scope", InsufficientScope, "the token's scope does not cover this resource";
    /// [`invalid_dpop_proof`](self#invalid_dpop_proof)
    InvalidDpopProof = "invalid_dpop_proof", InvalidDpopProof, "the DPoP proof is not valid";
    /// [`invalid_signature`](self#invalid_signature)
    InvalidSignature = "invalid_signature", InvalidToken, "the token's signature is not valid";
    /// [`issued_in_future`](self#issued_in_future)
    IssuedInFuture = "issued_in_future", InvalidToken, "the token was issued in the future";
    /// [`issuer_unavailable`](self#issuer_unavailable)
    IssuerUnavailable = "issuer_unavailable", Unavailable, "the token cannot be checked at the moment";
    /// [`keys_unavailable`](self#keys_unavailable)
    KeysUnavailable = "keys_unavailable", Unavailable, "the token cannot be checked at the moment";
    /// [`malformed_claim`](self#malformed_claim)
    MalformedClaim = "malformed_claim", InvalidToken, "a claim of the token is malformed";
    /// [`malformed_credentials`](self#malformed_credentials)
    MalformedCredentials = "malformed_credentials", InvalidRequest, "the Authorization header is malformed";
    /// [`malformed_token`](self#malformed_token)
    MalformedToken = "malformed_token", InvalidToken, "the token is malformed";
    /// [`missing_authenticate_layer`](self#missing_authenticate_layer)
    MissingAuthenticateLayer = "missing_authenticate_layer", Misconfigured, "the service is misconfigured";
    /// [`missing_claim`](self#missing_claim)
    MissingClaim = "missing_claim", InvalidToken, "the token lacks a required claim";
    /// [`missing_client_certificate`](self#missing_client_certificate)
    MissingClientCertificate = "missing_client_certificate", InvalidToken, "the token is bound to a client certificate that the request lacks";
    /// [`missing_credentials`](self#missing_credentials)
    MissingCredentials = "missing_credentials", MissingCredentials, "this resource needs an access token";
    /// [`missing_dpop_proof`](self#missing_dpop_proof)
    MissingDpopProof = "missing_dpop_proof", InvalidDpopProof, "the request has no DPoP proof";
    /// [`missing_input`](self#missing_input)
    MissingInput = "missing_input", InvalidRequest, "the request lacks an input that the token requires";
    /// [`multiple_transports`](self#multiple_transports)
    MultipleTransports = "multiple_transports", InvalidRequest, "the request carries more than one token";
    /// [`no_binding`](self#no_binding)
    NoBinding = "no_binding", Misconfigured, "the service is misconfigured";
    /// [`no_introspection`](self#no_introspection)
    NoIntrospection = "no_introspection", Misconfigured, "the service is misconfigured";
    /// [`not_yet_valid`](self#not_yet_valid)
    NotYetValid = "not_yet_valid", InvalidToken, "the token is not valid yet";
    /// [`opaque_token`](self#opaque_token)
    OpaqueToken = "opaque_token", InvalidToken, "opaque tokens are not accepted here";
    /// [`policy_not_met`](self#policy_not_met)
    PolicyNotMet = "policy_not_met", InsufficientScope, "the token does not meet a policy of this resource";
    /// [`repeated_dpop_proof`](self#repeated_dpop_proof)
    RepeatedDpopProof = "repeated_dpop_proof", InvalidDpopProof, "the DPoP proof was used before";
    /// [`replay_check_unavailable`](self#replay_check_unavailable)
    ReplayCheckUnavailable = "replay_check_unavailable", Unavailable, "the DPoP proof cannot be checked at the moment";
    /// [`token_too_long`](self#token_too_long)
    TokenTooLong = "token_too_long", InvalidToken, "the token is too long";
    /// [`token_too_old`](self#token_too_old)
    TokenTooOld = "token_too_old", InvalidToken, "the token was issued too long ago";
    /// [`unauthorized_party`](self#unauthorized_party)
    UnauthorizedParty = "unauthorized_party", InvalidToken, "the token was issued to a client that is not accepted";
    /// [`unbound_token`](self#unbound_token)
    UnboundToken = "unbound_token", InvalidToken, "the token is not bound to a key as it has to be";
    /// [`unknown_issuer`](self#unknown_issuer)
    UnknownIssuer = "unknown_issuer", InvalidToken, "the token is from an issuer that is not accepted";
    /// [`unknown_key`](self#unknown_key)
    UnknownKey = "unknown_key", InvalidToken, "the token's signature is not valid";
    /// [`unverifiable_confirmation`](self#unverifiable_confirmation)
    UnverifiableConfirmation = "unverifiable_confirmation", InvalidToken, "the token is bound to a key that cannot be checked";
    /// [`use_dpop_nonce`](self#use_dpop_nonce)
    UseDpopNonce = "use_dpop_nonce", UseDpopNonce, "the DPoP proof needs a nonce of this service";
    /// [`verifier_panicked`](self#verifier_panicked)
    VerifierPanicked = "verifier_panicked", Misconfigured, "the service failed to check the token";
    /// [`wrong_audience`](self#wrong_audience)
    WrongAudience = "wrong_audience", InvalidToken, "the token is meant for another audience";
    /// [`wrong_token_type`](self#wrong_token_type)
    WrongTokenType = "wrong_token_type", InvalidToken, "the token is not an access token";
}

impl Reason {
    /// The reason that the client reads.
    ///
    /// Differs from `self` only where the difference would say which key ids exist: [`UnknownKey`](Self::UnknownKey) is
    /// disclosed as [`InvalidSignature`](Self::InvalidSignature).
    pub const fn disclosed(self) -> Self {
        match self {
            Self::UnknownKey => Self::InvalidSignature,
            reason => reason,
        }
    }
}

/// The remedy of a refusal, from its section in the docs, as one paragraph of Markdown.
pub(crate) fn remedy(reason: Reason) -> &'static str {
    let source = include_str!("reason.md");
    let section = source.split("\n### ").find(|section| section.lines().next() == Some(reason.as_str()));
    let remedy = section.and_then(|section| section.split_once("- **Remedy:** ")).map_or("", |(_, remedy)| remedy);
    remedy.split("\n\n").next().unwrap_or_default().split("\n- ").next().unwrap_or_default().trim_end()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The problem document of a class, for services that omit descriptions.
pub(crate) const fn class_problem(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InsufficientScope => problem!("insufficient_scope", "Forbidden", InsufficientScope),
        ErrorKind::InvalidDpopProof => problem!("invalid_dpop_proof", "Unauthorized", InvalidDpopProof),
        ErrorKind::InvalidRequest => problem!("invalid_request", "Bad Request", InvalidRequest),
        ErrorKind::InvalidToken => problem!("invalid_token", "Unauthorized", InvalidToken),
        ErrorKind::Misconfigured => problem!("misconfigured", "Internal Server Error", Misconfigured),
        ErrorKind::MissingCredentials => problem!("missing_credentials", "Unauthorized", MissingCredentials),
        ErrorKind::Unavailable => problem!("unavailable", "Service Unavailable", Unavailable),
        ErrorKind::UseDpopNonce => problem!("use_dpop_nonce", "Unauthorized", UseDpopNonce),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_remedy() {
        for reason in Reason::ALL {
            let remedy = remedy(*reason);
            assert!(remedy.len() > 20 && remedy.ends_with('.') && !remedy.contains("###"), "{reason}: {remedy:?}");
        }
    }

    #[test]
    fn every_reason_has_its_heading_in_the_docs_and_its_kind_in_the_document() {
        let source = include_str!("reason.md");
        for reason in Reason::ALL {
            assert!(source.contains(&format!("\n### {reason}\n")), "no heading for {reason}");
            let problem: serde_json::Value = serde_json::from_str(reason.problem()).unwrap();
            assert_eq!(problem["status"], reason.kind().status().as_u16());
            assert_eq!(problem["title"], reason.description());
            assert_eq!(problem["type"], format!("{}{reason}", docs!()));
            let class: serde_json::Value = serde_json::from_str(class_problem(reason.kind())).unwrap();
            assert_eq!(class["status"], reason.kind().status().as_u16());
            let heading = class["type"].as_str().unwrap().strip_prefix(docs!()).unwrap();
            assert!(source.contains(&format!("\n### {heading}\n")), "no heading for {heading}");
            assert_eq!(heading, reason.kind().as_str());
        }
    }

    #[test]
    fn descriptions_keep_to_the_characters_of_rfc_6750() {
        for reason in Reason::ALL {
            assert!(
                reason.description().bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
                "{reason}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_disclosed_as_an_invalid_signature_and_nothing_else_is_changed() {
        for reason in Reason::ALL {
            let disclosed = if *reason == Reason::UnknownKey { Reason::InvalidSignature } else { *reason };
            assert_eq!(reason.disclosed(), disclosed);
        }
    }
}
