use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE},
};

use super::{Membership, VerifierFactory};
use crate::{
    BoxFuture,
    jose::JwkSet,
    keys::{FixedKeys, KeyFetcher, KeySource, Location, RefreshMode, RemoteKeys},
    net::{
        fetch::{Fetch, FetchError, FetchLimits, document::Documents},
        https_url,
    },
    redact,
    resource_server::{Issuer, faults::IssuerFaults, issuer::Keys},
};

impl VerifierFactory {
    /// The key source of an issuer; `None` where it has no keys, or its settings a fault.
    pub(super) fn keys(
        &self,
        issuer: &Issuer,
        tenants: Option<Membership<'_>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Arc<dyn KeySource>> {
        let header = self.header(issuer, faults);
        let remote = |location| self.remote(issuer, location, header, tenants, faults);
        match &issuer.keys {
            Keys::Source(source) => {
                if issuer.several_algorithms_per_key {
                    faults.add(
                        "has a key source of the application, which prepares its keys by itself; call \
                         `dangerous_allow_several_algorithms_per_key` of the `JwkSet` there",
                    );
                }
                Some(Arc::clone(source))
            }
            Keys::Given(json) => {
                let most = issuer.key_refresh.as_ref().unwrap_or(&self.key_refresh).max_keys;
                let mut set =
                    JwkSet::from_json_up_to(json, most).map_err(|error| faults.add(error.to_string())).ok()?;
                if issuer.several_algorithms_per_key {
                    set = set.dangerous_allow_several_algorithms_per_key();
                }
                let set = set.prepare(&issuer.algorithms, self.crypto?);
                if set.is_empty() {
                    let skipped: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
                    faults.add(match skipped.as_slice() {
                        [] => "the given JWK Set has no keys".to_owned(),
                        skipped => format!("none of the given keys can be used: [{}]", skipped.join("; ")),
                    });
                }
                Some(Arc::new(FixedKeys(Arc::new(set))))
            }
            Keys::None => None,
            Keys::Discovered => remote(Location::Discovered),
            Keys::File(path) => remote(Location::File(path.clone())),
            // KEY-2: https alone.
            Keys::Url(url) => match https_url::parse(url, &issuer.plain_http) {
                Ok(url) if !issuer.allows_host(&url) => {
                    faults.add(format!(
                        "the JWKS URL {:?} is not at one of its hosts for keys",
                        redact::url(&url.to_string())
                    ));
                    None
                }
                Ok(url) => remote(Location::At(url)),
                Err(fault) => {
                    faults.add(format!("the JWKS URL {:?} {fault}", redact::url(url)));
                    None
                }
            },
        }
    }

    /// The application's header for requests for the keys.
    fn header(&self, issuer: &Issuer, faults: &mut IssuerFaults<'_>) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = issuer.jwks_header.as_ref()?;
        if !issuer.is_fetched() {
            faults.add("has a header for its JWK Set, which is not fetched from a URL; leave it out");
        }
        if matches!(issuer.keys, Keys::Discovered) && issuer.key_hosts.is_none() {
            faults.add(format!(
                "has a header for its JWK Set, which would go to whatever host the metadata document names; name the hosts \
                 with {}",
                issuer.origin.names(".key_hosts(..)", "key_hosts")
            ));
        }
        let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        match header {
            // The name may be a secret as well, if the two were confused.
            None => faults.add("the header for its JWK Set is no header: a name of letters, digits and dashes, and a value of visible ASCII"),
            Some((ref name, _)) if [ACCEPT, ACCEPT_ENCODING, HOST, IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE].contains(name) => {
                faults.add(format!("the header {name} for its JWK Set is for us to send"));
            }
            Some((name, mut value)) => {
                value.set_sensitive(true);
                return Some((name, value));
            }
        }
        None
    }

    /// The URL of the metadata document, where the settings have one.
    pub(super) fn metadata_url(issuer: &Issuer, faults: &mut IssuerFaults<'_>) -> Option<Uri> {
        let url = issuer.metadata_url.as_deref()?;
        if !issuer.is_discovered() {
            faults.add("has an address of its metadata document, and nothing that is found through it; leave it out");
        }
        https_url::parse(url, &issuer.plain_http)
            .map_err(|fault| faults.add(format!("the metadata URL {:?} {fault}", redact::url(url))))
            .ok()
    }

    /// The source of keys that are fetched, or read from a file, and refreshed.
    fn remote(
        &self,
        issuer: &Issuer,
        location: Location,
        header: Option<(HeaderName, HeaderValue)>,
        tenants: Option<Membership<'_>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Arc<dyn KeySource>> {
        let Some(runtime) = self.runtime.clone() else {
            faults.add("its keys have to be fetched, and there is no tokio runtime; build inside of one");
            return None;
        };
        let metadata_url = Self::metadata_url(issuer, faults);
        let refresh = issuer.key_refresh.clone().unwrap_or_else(|| self.key_refresh.clone());
        let fetch = match &location {
            Location::File(_) => Arc::new(NoFetch),
            _ => Arc::clone(self.fetch.as_ref()?),
        };
        let name: Arc<str> = issuer.identifier.as_str().into();
        let origin = KeyFetcher {
            issuer: Arc::clone(&name),
            location,
            plain_http: issuer.plain_http.clone(),
            header,
            hosts: issuer.key_hosts.clone().map(Arc::new),
            algorithms: issuer.algorithms.as_slice().into(),
            several_algorithms_per_key: issuer.several_algorithms_per_key,
            backend: self.crypto?,
            documents: Documents {
                fetch,
                clock: Arc::clone(&self.clock),
                limits: FetchLimits::new(refresh.max_document, refresh.timeout),
                user_agent: self.user_agent.clone(),
            },
            refresh,
            keys_name_issuer: issuer.profile.keys_name_issuer(),
            reading: Arc::default(),
            first_form: Arc::default(),
            metadata_url,
            told_of_host: Arc::default(),
        };
        let (label, idle, last) = match tenants {
            Some(group) => (Arc::clone(group.name), RefreshMode::OnDemand, group.last_asked),
            None => (name, RefreshMode::Scheduled, None),
        };
        Some(Arc::new(RemoteKeys::new(origin, last, label, self.observer.clone(), runtime, idle)))
    }
}

/// The HTTP client of a source that reads a file.
#[derive(Debug)]
struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        Box::pin(async { Err(FetchError::failed("nothing is fetched for keys in a file")) })
    }
}
