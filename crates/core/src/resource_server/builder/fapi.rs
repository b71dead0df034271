//! The FAPI 2.0 Security Profile.

use std::time::Duration;

use super::ResourceServerBuilder;
use crate::{
    confirmation::dpop::Dpop,
    introspection::JwtIntrospection,
    jose::Algorithm,
    redact,
    resource_server::{Issuer, faults::Faults},
};

/// The algorithms of FAPI 2.0 §5.4.1.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ps256, Algorithm::Es256, Algorithm::Ed25519];

/// The longest that a token may be used without asking its issuer whether it was revoked.
const MAX_UNASKED: Duration = Duration::from_secs(15 * 60);

impl ResourceServerBuilder {
    /// Holds to the FAPI 2.0 Security Profile for resource servers (§5.3.4, §5.4). Nothing of it can be left out:
    ///
    /// - a token has to be bound, as by [`require_bound_tokens`](Self::require_bound_tokens), so that [`dpop`](Self::dpop) or
    ///   [`certificate_binding`](Self::certificate_binding) has to be switched on;
    /// - tokens and proofs are signed with PS256, ES256 or Ed25519; another algorithm on a list is a fault;
    /// - whether a token was revoked is checked: each issuer is asked about its JWTs by
    ///   [`JwtIntrospection::NoOlderThan`] 15 minutes or less, or by [`JwtIntrospection::Instead`]; or a
    ///   [`max_token_age`](Self::max_token_age) of at most 15 minutes bounds what a revoked token can do;
    /// - tokens are read from headers alone, and proofs are at most 10 seconds ahead of this service's clock, as everywhere.
    ///
    /// What is **not** done: TLS (§5.2), which is for the listener or the proxy, and message signing. Whether a token of a
    /// [verifier](Self::verifier) of the application was revoked is for that verifier to find out.
    pub fn fapi_2_0(mut self) -> Self {
        self.is_fapi = true;
        // FAPI-2: bound tokens alone.
        self.demands_binding = true;
        self
    }

    /// Narrows the defaults, and finds what contradicts the profile.
    pub(super) fn apply_fapi(&mut self, faults: &mut Faults) {
        if !self.is_fapi {
            return;
        }
        let is_short = self.max_token_age.is_some_and(|age| age <= MAX_UNASKED);
        let named = self.issuers.iter_mut();
        for issuer in named.chain(self.tenants.iter_mut().map(|tenants| &mut tenants.settings)) {
            narrow(&mut issuer.algorithms, Algorithm::DEFAULT);
            let name = redact::url(&issuer.identifier);
            // FAPI-4: PS256, ES256 and Ed25519 alone.
            if let Some(other) = foreign(&issuer.algorithms) {
                faults.add(format!(
                    "issuer {name:?}: FAPI 2.0 allows PS256, ES256 and Ed25519, and {other} is on the list"
                ));
            }
            // FAPI-3: a revoked token is found out, or soon too old.
            if !is_short && !is_asked(issuer) {
                faults.add(format!(
                    "issuer {name:?}: FAPI 2.0 requires that revoked tokens are refused; have its JWTs introspected with \
                     {}, or set a `max_token_age` of at most 15 minutes",
                    issuer.origin.names("Introspection::introspect_jwts", "introspection.introspect_jwts")
                ));
            }
        }
        if let Some(dpop) = &mut self.dpop {
            narrow(&mut dpop.algorithms, Dpop::DEFAULT_ALGORITHMS);
            if let Some(other) = foreign(&dpop.algorithms) {
                faults.add(format!("dpop: FAPI 2.0 allows PS256, ES256 and Ed25519, and {other} is on the list"));
            }
        }
    }
}

/// Whether the issuer is asked about every token, and soon enough again.
fn is_asked(issuer: &Issuer) -> bool {
    issuer.introspection.as_ref().is_some_and(|introspection| match introspection.jwts {
        JwtIntrospection::Instead => true,
        JwtIntrospection::NoOlderThan(age) => age <= MAX_UNASKED,
        JwtIntrospection::WhereRequired => false,
    })
}

/// Leaves of a default list what the profile allows.
fn narrow(algorithms: &mut Vec<Algorithm>, default: &[Algorithm]) {
    if algorithms == default {
        algorithms.retain(|algorithm| ALGORITHMS.contains(algorithm));
    }
}

fn foreign(algorithms: &[Algorithm]) -> Option<Algorithm> {
    algorithms.iter().copied().find(|algorithm| !ALGORITHMS.contains(algorithm))
}
