//! Which step a failure belongs to, and which setting and document decide a check.

use crate::refusal::{Reason, Step};

/// The step of a failure of `field`.
pub(super) fn step(reason: Reason, field: &str, is_jwt: bool) -> Step {
    use Reason as R;
    match reason {
        R::MalformedCredentials
        | R::DuplicateCredentials
        | R::MultipleTransports
        | R::MissingCredentials
        | R::MissingAuthenticateLayer
        | R::TokenTooLong => Step::Credentials,
        R::OpaqueToken | R::AmbiguousToken | R::UnknownIssuer | R::MissingInput => Step::Verifier,
        R::MissingClaim | R::MalformedClaim if field == "iss" => Step::Verifier,
        R::MalformedToken | R::EncryptedToken | R::CriticalHeader => Step::Header,
        R::AlgorithmNotAllowed => Step::Header,
        R::WrongTokenType if field == "typ" && is_jwt => Step::Header,
        R::UnknownKey | R::InvalidSignature | R::KeysUnavailable => Step::Signature,
        R::InactiveToken | R::IssuerUnavailable | R::VerifierPanicked | R::NoIntrospection => Step::Answer,
        R::BindingMismatch
        | R::DpopRequired
        | R::InvalidDpopProof
        | R::MissingClientCertificate
        | R::MissingDpopProof
        | R::RepeatedDpopProof
        | R::ReplayCheckUnavailable
        | R::UnboundToken
        | R::UseDpopNonce => Step::Binding,
        R::InsufficientScope | R::PolicyNotMet | R::ClaimsMismatch | R::NoBinding => Step::Access,
        R::Expired
        | R::IssuedInFuture
        | R::MalformedClaim
        | R::MissingClaim
        | R::NotYetValid
        | R::TokenTooOld
        | R::UnauthorizedParty
        | R::UnverifiableConfirmation
        | R::WrongAudience
        | R::WrongTokenType => Step::Claims,
    }
}

/// What is wrong, of a refusal that names no check.
pub(super) fn field(reason: Reason) -> &'static str {
    match step(reason, "", true) {
        Step::Credentials => "Authorization",
        Step::Signature if reason == Reason::KeysUnavailable => "keys",
        Step::Signature => "signature",
        Step::Binding => "DPoP",
        Step::Header | Step::Claims | Step::Verifier | Step::Answer | Step::Access => "token",
    }
}

/// What would pass, of a refusal that names no check.
pub(super) fn expected(reason: Reason) -> &'static str {
    match reason {
        Reason::MalformedCredentials => "one scheme, a space and one token",
        Reason::DuplicateCredentials => "one Authorization header",
        Reason::MultipleTransports => "one token, in one place",
        Reason::TokenTooLong => "a token within the limit",
        Reason::MalformedToken => "a compact JWS whose header and claims are JSON objects",
        Reason::EncryptedToken => "a signed token that is not encrypted",
        Reason::CriticalHeader => "no critical extension",
        Reason::InvalidSignature => "a signature by the issuer's key",
        Reason::UnknownKey => "a key of the issuer",
        Reason::KeysUnavailable => "the issuer's keys",
        Reason::IssuerUnavailable => "an answer of the issuer",
        Reason::InactiveToken => "an active token",
        Reason::MissingDpopProof => "a DPoP proof in the header DPoP",
        Reason::DpopRequired => "the scheme DPoP, with a proof",
        _ => "a valid token",
    }
}

/// The setting and the document that decide a check.
pub(super) fn of(step: Step, field: &str) -> &'static str {
    match (step, field) {
        (Step::Credentials, _) => "ResourceServerBuilder::token_header; RFC 6750 section 2.1",
        (Step::Verifier, "iss") => "Issuer; RFC 9068 section 4",
        (Step::Verifier, _) => "Introspection, TokenVerifier; RFC 7662",
        (Step::Header, "typ") => "Issuer::profile; RFC 9068 section 4",
        (Step::Header | Step::Signature, "alg") => "Issuer::algorithms; RFC 8725 section 3.1",
        (Step::Header, _) => "RFC 7515 section 4.1",
        (Step::Claims, "aud") => "ResourceServerBuilder::audience; RFC 9068 section 4",
        (Step::Claims, "exp") => "ResourceServerBuilder::leeway; RFC 7519 section 4.1.4",
        (Step::Claims, "nbf") => "ResourceServerBuilder::leeway; RFC 7519 section 4.1.5",
        (Step::Claims, "iat") => "Issuer::max_age; RFC 7519 section 4.1.6",
        (Step::Claims, "client_id" | "azp") => "Issuer::authorized_parties; RFC 9068 section 2.2",
        (Step::Claims, "sub" | "jti") => "Issuer::profile; RFC 9068 section 2.2",
        (Step::Claims, "cnf") => "ResourceServerBuilder::dpop, certificate_binding; RFC 7800 section 3.1",
        (Step::Claims, "scope") => "Profile::scope_claim; RFC 9068 section 2.2.3",
        (Step::Claims, _) => "Issuer::profile; RFC 8725 section 3.12",
        (Step::Signature, _) => "the issuer's keys; RFC 9068 section 4",
        (Step::Answer, _) => "Introspection; RFC 7662 section 2.2",
        (Step::Binding, "x5t#S256") => "ResourceServerBuilder::certificate_binding; RFC 8705 section 3",
        (Step::Binding, _) => "ResourceServerBuilder::dpop; RFC 9449 section 4.3",
        (Step::Access, _) => "the route; RFC 6750 section 3.1",
    }
}
