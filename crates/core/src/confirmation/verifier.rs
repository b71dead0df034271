//! The step of the trip that confirms a token: whether its client has proven whatever the token is bound to.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    Confirmation, ConfirmationMethod, Evidence,
    binding::Thumbprint,
    certificate::CertificateBinding,
    dpop::{BoundTo, DpopVerifier},
    evidence::ProofField,
};
use crate::{
    BoxFuture,
    crypto::CryptoBackend,
    refusal::{
        Error, FailedCheck, OfferedSchemes, Reason, Step,
        failed_check::{Actual, Expected},
        trace::Trace,
    },
    request::{RequestHead, Scheme},
    token::VerifiedToken,
};

/// Evidence that a token was confirmed: it is bound to nothing, or its client has proven everything that it is bound to. The
/// functions of [`ConfirmationVerifier`] alone make one.
#[derive(Clone, Debug)]
pub(crate) struct Confirmed(Option<Arc<Proven>>);

#[derive(Debug)]
struct Proven {
    /// The key of which there was a proof.
    key: Option<Thumbprint>,
    /// The nonce to offer with the response.
    next_nonce: Option<HeaderValue>,
}

impl Confirmed {
    /// Of no token.
    pub(crate) const ANONYMOUS: Self = Self(None);

    const UNBOUND: Self = Self(None);

    fn proven(key: Option<Thumbprint>, next_nonce: Option<HeaderValue>) -> Self {
        Self(Some(Arc::new(Proven { key, next_nonce })))
    }

    /// Whether there was a proof of this key.
    fn is_of_key(&self, key: &Thumbprint) -> bool {
        self.0.as_ref().is_some_and(|proven| proven.key.as_ref() == Some(key))
    }

    pub(crate) fn next_nonce(&self) -> Option<&HeaderValue> {
        self.0.as_ref()?.next_nonce.as_ref()
    }
}

/// The outcome of a confirmation.
pub(crate) enum Verdict {
    Ready(Result<Confirmed, Error>),
    /// The store of used proofs is asked.
    Pending(BoxFuture<'static, Result<Confirmed, Error>>),
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::Ready(Err(error))
    }
}

/// Confirms tokens for a resource server.
#[derive(Debug, Default)]
pub(crate) struct ConfirmationVerifier {
    pub(crate) dpop: Option<DpopVerifier>,
    pub(crate) certificates: Option<CertificateBinding>,
    /// Whether a token that is bound to nothing is refused.
    pub(crate) demands_binding: bool,
    pub(crate) crypto: Option<CryptoBackend>,
}

impl ConfirmationVerifier {
    /// Whether tokens may be bound: whether any method is switched on.
    pub(crate) fn is_on(&self) -> bool {
        self.dpop.is_some() || self.certificates.is_some()
    }

    fn has(&self, method: ConfirmationMethod) -> bool {
        match method {
            ConfirmationMethod::ClientCertificate => self.certificates.is_some(),
            ConfirmationMethod::Dpop => self.dpop.is_some(),
        }
    }

    /// What is wrong with requiring a binding by one of these methods, and the remedy; `None` where nothing is.
    pub(crate) fn binding_fault(&self, required: &[ConfirmationMethod]) -> Option<&'static str> {
        if required.is_empty() || required.iter().any(|method| self.has(*method)) {
            return None;
        }
        Some(match required {
            [ConfirmationMethod::ClientCertificate] => {
                "requires a token that is bound to a certificate, and the resource server accepts none: switch the binding on with \
                 `.certificate_binding(..)`"
            }
            [ConfirmationMethod::Dpop] => {
                "requires a token that is bound to a key, and the resource server accepts none: switch DPoP on with `.dpop(..)`"
            }
            _ => {
                "requires a bound token, and the resource server accepts none: switch a binding on with `.dpop(..)` or \
                 `.certificate_binding(..)`"
            }
        })
    }

    /// The schemes by which clients may present tokens that are bound by one of the `required` methods, if there are any. Those that
    /// are bound to a certificate alone are presented as bearer tokens.
    pub(crate) fn schemes(&self, required: &[ConfirmationMethod]) -> OfferedSchemes {
        let names = |dpop: &DpopVerifier| {
            dpop.algorithms().iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(" ").into()
        };
        OfferedSchemes { bearer: !self.demands_dpop(required), dpop: self.dpop.as_ref().map(names) }
    }

    /// Whether every token that is bound by one of the `required` methods has to be bound to a key. Without any, whether every token
    /// has to be.
    pub(crate) fn demands_dpop(&self, required: &[ConfirmationMethod]) -> bool {
        let any: &[ConfirmationMethod] = if self.demands_binding { &ConfirmationMethod::ALL } else { &[] };
        let required = if required.is_empty() { any } else { required };
        let mut possible = required.iter().filter(|method| self.has(**method));
        possible.next() == Some(&ConfirmationMethod::Dpop) && possible.next().is_none()
    }

    /// The scheme whose challenge has the error of a refusal that names none.
    pub(crate) fn default_scheme(&self) -> Scheme {
        if self.demands_dpop(&[]) { Scheme::Dpop } else { Scheme::Bearer }
    }

    /// A nonce for a client's next proof, where proofs need one.
    pub(crate) fn fresh_nonce(&self) -> Option<HeaderValue> {
        self.dpop.as_ref()?.fresh_nonce(self.crypto?)
    }

    /// Confirms a token that is bound to nothing, where that is allowed. `None` where there is something to check.
    pub(crate) fn unbound(&self, scheme: Scheme, token: &VerifiedToken) -> Option<Confirmed> {
        // DPOP-16, MTLS-6, FAPI-2: a token that is bound to nothing, where that is allowed.
        let is_bearer = scheme == Scheme::Bearer && token.confirmation().is_none() && !self.demands_binding;
        is_bearer.then_some(Confirmed::UNBOUND)
    }

    /// Whether what a client has proven for one protected resource is proven for the other one.
    pub(crate) fn is_the_same_for(&self, one: usize, other: usize) -> bool {
        self.dpop.as_ref().is_none_or(|dpop| dpop.is_the_same_for(one, other))
    }

    /// What a request for a protected resource shows; `None` where no method is switched on, so that no bound token gets here.
    pub(crate) fn evidence(
        &self,
        scheme: Scheme,
        token: &str,
        request: RequestHead<'_>,
        resource: usize,
        earlier: Option<Confirmed>,
    ) -> Option<Box<Evidence>> {
        let crypto = self.crypto.filter(|_| self.is_on())?;
        let is_dpop = scheme == Scheme::Dpop;
        Some(Box::new(Evidence {
            scheme,
            method: request.method().clone(),
            resource,
            target: request.original_uri().clone(),
            proof: if is_dpop { ProofField::of(request) } else { ProofField::None },
            token: is_dpop.then(|| token.into()),
            certificate: self.certificates.as_ref().map_or(Ok(None), |binding| binding.certificate(request, crypto)),
            earlier,
        }))
    }

    /// Confirms a token: its client has to prove everything that the token is bound to.
    ///
    /// The proof is checked last, and is used up only by a request that everything else permits. An explanation does not use it
    /// up, nor say whether it was used: what it confirms is good for no request.
    pub(crate) fn confirm(&self, token: &VerifiedToken, evidence: Option<&Evidence>, trace: &Trace) -> Verdict {
        let scheme = evidence.map_or(Scheme::Bearer, |evidence| evidence.scheme);
        if let Some(unbound) = self.unbound(scheme, token) {
            trace.not_applicable(Step::Binding, "cnf", "the token is bound to nothing, and need not be");
            return Verdict::Ready(Ok(unbound));
        }
        let (Some(confirmation), Some(evidence)) = (token.confirmation(), evidence) else {
            // DPOP-14, MTLS-6: a bound token is demanded, by the scheme or by the configuration.
            return unbound_token(scheme).into();
        };
        if let Err(failure) =
            check_scheme(confirmation, scheme).and_then(|()| check_certificate(confirmation, evidence))
        {
            return Error::from(failure).into();
        }
        if confirmation.certificate.is_some() {
            trace.passed(Step::Binding, "x5t#S256", || {
                (
                    Expected::Fixed("the client certificate that the token is bound to"),
                    Actual::Fixed("that certificate"),
                )
            });
        }
        match (confirmation.key, &self.dpop, self.crypto) {
            (None, ..) => Verdict::Ready(Ok(Confirmed::proven(None, None))),
            // DPOP-1: a token that is bound to a key needs a proof.
            (Some(key), Some(dpop), Some(crypto)) => match (&evidence.earlier, &evidence.token) {
                // An outer layer has used up the proof of this request.
                (Some(earlier), _) if earlier.is_of_key(&key) => Verdict::Ready(Ok(earlier.clone())),
                (_, Some(token)) => {
                    let bound_to = BoundTo { key: &key, token_digest: confirmation.token_digest(token, crypto) };
                    confirm_by_proof(dpop, bound_to, evidence, crypto, trace)
                }
                (_, None) => Error::from(Reason::DpopRequired).into(),
            },
            // A server without DPoP refuses such a token with its other claims.
            (Some(_), ..) => Error::from(Reason::UnverifiableConfirmation).into(),
        }
    }
}

fn confirm_by_proof(
    dpop: &DpopVerifier,
    bound_to: BoundTo<'_>,
    evidence: &Evidence,
    crypto: CryptoBackend,
    trace: &Trace,
) -> Verdict {
    let checked = match dpop.check(evidence, bound_to, crypto, trace) {
        Ok(checked) => checked,
        Err(error) => return error.into(),
    };
    let confirmed = Confirmed::proven(Some(*bound_to.key), checked.next_nonce);
    if trace.is_on() {
        trace.passed(Step::Binding, "jkt", || {
            (Expected::Fixed("the key that the token is bound to"), Actual::Fixed("a proof by that key"))
        });
        trace.not_applicable(
            Step::Binding,
            "jti",
            "whether the proof was used before is not looked up, which would use it up",
        );
        return Verdict::Ready(Ok(confirmed));
    }
    match dpop.use_up(checked.used) {
        Ok(None) => Verdict::Ready(Ok(confirmed)),
        Ok(Some(asking)) => Verdict::Pending(Box::pin(async move { asking.await.map(|()| confirmed) })),
        Err(error) => error.into(),
    }
}

fn unbound_token(scheme: Scheme) -> Error {
    let expected = match scheme {
        Scheme::Bearer => "a token that is bound to a key or a certificate",
        Scheme::Dpop => "a token that is bound to a key, as the DPoP scheme says",
    };
    FailedCheck::new(Reason::UnboundToken, "cnf", expected, Actual::NONE).into()
}

/// RFC 9449 §7.1 and §7.2 (DPOP-14, DPOP-15): a token that is bound to a key is sent under the scheme DPoP, and no other is.
fn check_scheme(confirmation: &Confirmation, scheme: Scheme) -> Result<(), FailedCheck> {
    match (scheme, confirmation.key) {
        (Scheme::Bearer, Some(_)) => Err(FailedCheck::new(
            Reason::DpopRequired,
            "Authorization",
            "the scheme DPoP, with a proof: the token is bound to a key (RFC 9449 section 7.1)",
            Actual::Fixed("a bearer token"),
        )),
        (Scheme::Dpop, None) => Err(FailedCheck::new(
            Reason::UnboundToken,
            "cnf",
            "a key in jkt, as the DPoP scheme says",
            Actual::Fixed("a certificate alone"),
        )),
        (Scheme::Bearer, None) | (Scheme::Dpop, Some(_)) => Ok(()),
    }
}

/// RFC 8705 §3 (MTLS-1).
fn check_certificate(confirmation: &Confirmation, evidence: &Evidence) -> Result<(), FailedCheck> {
    let Some(bound_to) = confirmation.certificate else { return Ok(()) };
    let expected = "the client certificate that the token is bound to";
    match evidence.certificate {
        Ok(Some(certificate)) if certificate == bound_to => Ok(()),
        Ok(Some(_)) => {
            Err(FailedCheck::new(Reason::BindingMismatch, "x5t#S256", expected, Actual::Fixed("another certificate")))
        }
        Ok(None) => Err(FailedCheck::new(Reason::MissingClientCertificate, "x5t#S256", expected, Actual::NONE)),
        Err(fault) => {
            Err(FailedCheck::new(Reason::MissingClientCertificate, "x5t#S256", expected, Actual::Fixed(fault)))
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_request_is_not_looked_at_where_no_method_is_switched_on() {
        let request = Request::new(());
        let shown = |certificates| {
            let verifier =
                ConfirmationVerifier { certificates, crypto: CryptoBackend::compiled_in(), ..Default::default() };
            verifier.evidence(Scheme::Bearer, "token", RequestHead::from(&request), 0, None).is_some()
        };
        assert!(!shown(None) && shown(Some(CertificateBinding::new())));
    }
}
