//! The faults of settings that no single issuer has.

use std::{collections::HashSet, time::Duration};

use super::ResourceServerBuilder;
use crate::{
    config::{origin::Origin, place::variable},
    confirmation::{
        certificate::CertificateBinding,
        dpop::{PublicUrl, PublicUrls},
    },
    redact,
    request::credentials::token_header_fault,
    resource_server::{ProtectedResource, faults::Faults, verifier_factory::audience_faults},
};

/// The greatest leeway (JWT-6). A greater one would accept expired tokens rather than tolerate clocks.
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

impl ResourceServerBuilder {
    /// The faults of the settings that all issuers share.
    pub(super) fn check(&self, faults: &mut Faults) {
        if self.issuers.is_empty() && self.tenants.is_empty() && self.applications.is_empty() {
            faults.add(match &self.origin {
                Origin::Code => {
                    "issuer: none is configured; name at least one, with `.issuer(Issuer::discovered(..))`".to_owned()
                }
                Origin::File => {
                    "issuers: none is configured; add `[[issuers]]` with `issuer = \"https://...\"`, or in JSON \
                                 `\"issuers\": [{ \"issuer\": \"https://...\" }]`"
                        .to_owned()
                }
                Origin::Variables(prefix) => {
                    format!("{}: is missing; set it to the identifier of the issuer", variable(prefix, "issuer"))
                }
            });
        }
        let mut seen_issuers = HashSet::new();
        for issuer in &self.issuers {
            if !seen_issuers.insert(&*issuer.identifier) {
                faults.add(format!(
                    "issuer {:?}: is configured twice; give each issuer once, with all its audiences",
                    redact::url(&issuer.identifier)
                ));
            }
        }
        let mut seen = HashSet::new();
        for tenants in &self.tenants {
            if let Some(fault) = tenants.fault() {
                faults.add(format!("tenants {:?}: {fault}", redact::url(&tenants.name)));
            }
            if !seen.insert(&tenants.name) {
                faults.add(format!("tenants {:?}: are configured twice", redact::url(&tenants.name)));
            }
        }
        for (name, others) in
            self.applications.iter().enumerate().map(|(at, one)| (one.issuer(), &self.applications[..at]))
        {
            let is_taken = others.iter().any(|other| other.issuer() == name)
                || seen_issuers.contains(name)
                || self.tenants.iter().any(|tenants| tenants.trusts(name));
            if is_taken {
                faults.add(format!("verifier {name:?}: another issuer or verifier is called the same; subjects of one could be taken for the other's"));
            }
        }
        self.check_opaque(faults);
        self.check_resources(faults);
        self.check_bindings(faults);
        for (audience, fault) in audience_faults(&self.audiences) {
            faults.add(format!("audience: {audience:?} {fault}"));
        }
        if self.max_token_age == Some(Duration::ZERO) {
            faults.add("max_token_age: is zero, so that every token would be too old; leave it out for no limit");
        }
        if self.leeway > MAX_LEEWAY {
            faults.add("leeway: is over 5 min; synchronize the clocks instead");
        }
        if self.max_token_length == 0 {
            faults.add("max_token_length: is 0, so that every token would be refused; the default is 16384 bytes");
        }
        if let Some(fault) = self.jwt_cache.fault() {
            faults.add(format!("jwt_cache: {fault}"));
        }
        if let Some((name, fault)) = self.token_header.as_ref().and_then(|name| Some((name, token_header_fault(name)?)))
        {
            faults.add(format!("token_header: {name} {fault}"));
        }
        if self.user_agent.as_bytes().trim_ascii().is_empty() {
            faults.add("user_agent: is empty; leave it out for the default, or name this service");
        }
        if self.crypto.is_none() {
            faults.add("crypto: no backend is compiled in; enable the feature `aws-lc-rs` or `rust-crypto`");
        }
    }

    /// The settings of bindings, except for those of DPoP.
    fn check_bindings(&self, faults: &mut Faults) {
        self.certificates.iter().flat_map(CertificateBinding::faults).for_each(|fault| faults.add(fault));
        if self.certificates_are_set_twice {
            faults.add(
                "certificate_binding: is set twice, by code or by a configuration and code, and one would drop the header and the \
                 trusted peers of the other; keep one",
            );
        }
        if self.demands_binding && self.dpop.is_none() && self.certificates.is_none() {
            faults.add(format!(
                "require_bound_tokens: no binding is switched on, so that every token would be refused; switch one on with \
                 {} or {}",
                self.origin.names(".dpop(..)", "dpop.public_url"),
                self.origin.names(".certificate_binding(..)", "certificate_binding.source"),
            ));
        }
    }

    /// The public URLs of a server with DPoP: those that were named, or else the origins of its protected resources.
    pub(super) fn public_urls(&self, faults: &mut Faults) -> PublicUrls {
        let Some(dpop) = &self.dpop else {
            if self.replay_store.is_some() {
                faults.add(
                    "replay_store: DPoP is not switched on, so that there are no proofs to remember; switch it on with `.dpop(..)`",
                );
            }
            return PublicUrls::Named([].into());
        };
        if self.dpop_is_set_twice {
            faults.add(
                "dpop: is set twice, by code or by a configuration and code, and one would drop the public URLs and the nonces of \
                 the other; keep one, and add a store that replicas share with `.replay_store(..)`",
            );
        }
        let name = |setting: &str| match &self.dpop_origin {
            Origin::Variables(prefix) => variable(prefix, setting),
            Origin::Code | Origin::File => "dpop".to_owned(),
        };
        dpop.faults().for_each(|(setting, fault)| faults.add(format!("{}: {fault}", name(setting))));
        let origins: Vec<&str> = self.resources.iter().map(ProtectedResource::origin).collect();
        let named: Vec<&str> = dpop.public_urls.iter().map(String::as_str).collect();
        let of_resources = named.is_empty();
        let urls = if of_resources { origins } else { named };
        if urls.is_empty() {
            let remedy = match &self.dpop_origin {
                Origin::Code => " with `Dpop::public_url`",
                Origin::File => " with `public_url`",
                Origin::Variables(_) => "",
            };
            faults.add(format!(
                "{}: no public URL is named, with which the `htu` of proofs has to begin; name the one that clients call{remedy}",
                name("dpop.public_url")
            ));
        }
        let mut public = Vec::with_capacity(urls.len());
        for named_url in urls {
            match PublicUrl::parse(named_url) {
                Ok(url) if url.is_plain_http() => faults.add(format!(
                    "{}: the public URL {:?} is not https, so that tokens and proofs can be read on the way; http is for \
                     localhost alone",
                    name("dpop.public_url"),
                    redact::url(named_url)
                )),
                Ok(url) => public.push(url),
                Err(fault) => {
                    faults.add(format!("{}: the public URL {:?} {fault}", name("dpop.public_url"), redact::url(named_url)));
                }
            }
        }
        if of_resources { PublicUrls::OfResources(public.into()) } else { PublicUrls::Named(public.into()) }
    }

    /// With several protected resources, each token has to be for one of them.
    fn check_resources(&self, faults: &mut Faults) {
        for (at, resource) in self.resources.iter().enumerate() {
            let identifier = redact::url(resource.identifier());
            let others = &self.resources[..at];
            faults.extend(
                resource.faults().into_iter().map(|fault| format!("protected resource {identifier:?}: {fault}")),
            );
            for (audience, fault) in audience_faults(&resource.audiences) {
                faults.add(format!("protected resource {identifier:?}: the audience {audience:?} {fault}"));
            }
            // PRM-8: each has a document of its own.
            if others.iter().any(|other| other.metadata_url() == resource.metadata_url()) {
                faults.add(format!(
                    "protected resource {identifier:?}: another one has the same metadata document; \
                     give each a path of its own"
                ));
            }
            if let Some(name) =
                resource.names().iter().find(|name| others.iter().any(|other| other.names().contains(name)))
            {
                faults.add(format!(
                    "protected resource {identifier:?}: another one has the audience {name:?}, so that tokens for one would be \
                     accepted by both; give each audiences of its own with `ProtectedResource::audiences`"
                ));
            }
            if !resource.audiences.is_empty() && !self.audiences.is_empty() {
                faults.add(format!(
                    "protected resource {identifier:?}: has audiences, and {} names others; keep one of them",
                    self.origin.names(".audience(..)", "audience")
                ));
            }
        }
        if self.resources.len() < 2 {
            return;
        }
        if !self.audiences.is_empty() {
            faults.add(
                "audience: with several protected resources tokens are told apart by their audiences; name those with \
                 `ProtectedResource::audiences`",
            );
        }
        let named = self.issuers.iter().map(|issuer| (&*issuer.identifier, issuer));
        for (name, settings) in named.chain(self.tenants.iter().map(|tenants| (&*tenants.name, &tenants.settings))) {
            if !settings.audiences.is_empty() {
                faults.add(format!(
                    "issuer {:?}: has audiences of its own, and there are several protected resources; name the audiences \
                     with `ProtectedResource::audiences`",
                    redact::url(name)
                ));
            }
            let is_waived = settings.introspection.as_ref().is_some_and(|introspection| introspection.audience_waived);
            if settings.audience_waived || is_waived {
                faults.add(format!(
                    "issuer {:?}: accepts tokens without an audience, which cannot be told apart where there are several \
                     protected resources; build a resource server for each",
                    redact::url(name)
                ));
            }
        }
    }

    /// Opaque tokens have to be told apart by their prefixes (INTRO-11): one issuer at most has none, and no prefix begins
    /// another.
    fn check_opaque(&self, faults: &mut Faults) {
        let asked =
            || self.issuers.iter().filter_map(|issuer| Some((&issuer.identifier, issuer.introspection.as_ref()?)));
        let general: Vec<String> = asked()
            .filter(|(_, introspection)| introspection.prefixes.is_empty())
            .map(|(issuer, _)| redact::url(issuer))
            .collect();
        if general.len() > 1 {
            faults.add(format!(
                "introspection: {} would be asked about the same opaque tokens; say by which prefixes they are told apart, with \
                 {}, for all but one",
                general.join(" and "),
                match self.origin {
                    Origin::Code => "`Introspection::token_prefix`",
                    Origin::File | Origin::Variables(_) => "`token_prefixes` of `introspection`",
                }
            ));
        }
        let prefixes: Vec<(&str, &str)> = asked()
            .flat_map(|(issuer, introspection)| introspection.prefixes.iter().map(move |prefix| (&**prefix, &**issuer)))
            .collect();
        for (at, (prefix, issuer)) in prefixes.iter().enumerate() {
            for (other, whose) in &prefixes[..at] {
                if prefix.starts_with(other) || other.starts_with(prefix) {
                    faults.add(format!(
                        "introspection: a token may have both the prefix {prefix:?} of {} and {other:?} of {}",
                        redact::url(issuer),
                        redact::url(whose)
                    ));
                }
            }
        }
    }
}
