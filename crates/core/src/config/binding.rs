//! The settings of tokens that are bound to a key or a certificate.

use std::path::PathBuf;

use http::HeaderName;
use serde::Deserialize;

use super::{
    place::{Place, table},
    value::{List, Quantity, Secret, algorithm},
};
use crate::confirmation::{
    certificate::{CertificateBinding, TrustedPeers},
    dpop::{Dpop, DpopNonces},
};

table! {
    pub(super) struct DpopTable {
        public_url: Option<List>,
        algorithms: Option<List>,
        max_proof_age: Option<Quantity>,
        nonces: Option<bool>,
        nonce_secret: Option<Secret>,
        nonce_secret_file: Option<PathBuf>,
        previous_nonce_secret: Option<Secret>,
        previous_nonce_secret_file: Option<PathBuf>,
        nonce_lifetime: Option<Quantity>,
        replay_memory: Option<Quantity>,
    }
}

impl DpopTable {
    pub(super) fn read(mut self, place: &mut Place<'_>) -> Dpop {
        place.unknown("dpop.", std::mem::take(&mut self.unknown), Self::NAMES);
        let mut dpop = Dpop::new();
        for url in place.list("dpop.public_url", self.public_url.take()).unwrap_or_default() {
            dpop = dpop.public_url(url);
        }
        if let Some(names) = place.list("dpop.algorithms", self.algorithms.take()) {
            let read = names.iter().map(|name| algorithm(name)).collect();
            if let Some(algorithms) = place.ok::<Vec<_>>("dpop.algorithms", read) {
                dpop = dpop.algorithms(algorithms);
            }
        }
        if let Some(age) = place.read("dpop.max_proof_age", self.max_proof_age.take(), Quantity::duration) {
            dpop = dpop.max_proof_age(age);
        }
        if let Some(bytes) = place.read("dpop.replay_memory", self.replay_memory.take(), Quantity::size) {
            dpop = dpop.replay_memory(bytes);
        }
        match self.nonces(place) {
            Some(nonces) => dpop.nonces(nonces),
            None => dpop,
        }
    }

    fn nonces(self, place: &mut Place<'_>) -> Option<DpopNonces> {
        let lifetime = place.read("dpop.nonce_lifetime", self.nonce_lifetime, Quantity::duration);
        let has = |value: &Option<Secret>, file: &Option<PathBuf>| value.is_some() || file.is_some();
        let (has_secret, has_previous) = (
            has(&self.nonce_secret, &self.nonce_secret_file),
            has(&self.previous_nonce_secret, &self.previous_nonce_secret_file),
        );
        let nonces = match (self.nonces, has_secret) {
            (Some(false), true) => {
                place.fault("dpop.nonces", "is false, and there is a secret for them; keep one of the two");
                None
            }
            (_, true) => place
                .secret("dpop.nonce_secret", self.nonce_secret, self.nonce_secret_file)
                .map(DpopNonces::from_secret),
            (Some(true), false) => Some(DpopNonces::of_this_process()),
            (Some(false) | None, false) => None,
        };
        let Some(mut nonces) = nonces else {
            if !has_secret && (has_previous || lifetime.is_some()) {
                place.fault("dpop.nonce_secret", "is missing, and there are other settings of nonces; name the secret");
            }
            return None;
        };
        if has_previous {
            let previous =
                place.secret("dpop.previous_nonce_secret", self.previous_nonce_secret, self.previous_nonce_secret_file);
            nonces = nonces.previous_secret(previous?);
        }
        Some(match lifetime {
            Some(lifetime) => nonces.lifetime(lifetime),
            None => nonces,
        })
    }
}

table! {
    pub(super) struct CertificateTable {
        source: Option<String>,
        header: Option<String>,
        trusted_peers: Option<List>,
    }
}

impl CertificateTable {
    pub(super) fn read(self, place: &mut Place<'_>) -> CertificateBinding {
        place.unknown("certificate_binding.", self.unknown, Self::NAMES);
        let source = self.source.as_deref().unwrap_or("connection");
        let named = self.trusted_peers.is_some();
        let peers = place.list("certificate_binding.trusted_peers", self.trusted_peers).unwrap_or_default();
        let addresses = TrustedPeers::addresses(peers.iter().filter(|peer| *peer != "unix"));
        let trusted = if peers.iter().any(|peer| peer == "unix") { addresses.unix_sockets() } else { addresses };
        if self.header.is_some() && source != "nginx" {
            place.fault(
                "certificate_binding.header",
                "is for the source \"nginx\"; the others have a header of their own",
            );
        }
        let binding = CertificateBinding::new();
        match source {
            "connection" => {
                if named {
                    let fault = "are named, and no header is read from them; set the source, or remove them";
                    place.fault("certificate_binding.trusted_peers", fault);
                }
                binding
            }
            "client-cert" => binding.client_cert_header(trusted),
            "envoy" => binding.envoy_xfcc(trusted),
            "nginx" => match self.header.as_deref().map(str::parse::<HeaderName>) {
                Some(Ok(name)) => binding.nginx_header(name, trusted),
                Some(Err(_)) | None => {
                    let fault = "is not the name of a header; write the one that nginx sets, such as \"x-client-cert\"";
                    place.fault("certificate_binding.header", fault);
                    binding
                }
            },
            other => {
                let fault = format!("{other:?} is none of \"connection\", \"client-cert\", \"nginx\" and \"envoy\"");
                place.fault("certificate_binding.source", fault);
                binding
            }
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ResourceServer, ResourceServerBuilder,
        config::{Config, tests::shown},
        jose::Algorithm,
    };

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn read(config: Value) -> Config {
        serde_json::from_value(config).unwrap()
    }

    async fn faults(config: Config) -> Vec<String> {
        let error = config.into_builder().audience("api").build().await.unwrap_err();
        error
            .faults()
            .filter(|fault| !["issuers: none", "X_ISSUER: is missing"].iter().any(|none| fault.starts_with(none)))
            .map(str::to_owned)
            .collect()
    }

    /// A configuration as a file and as variables have it, and the same in code.
    fn assert_same(table: &str, settings: Value, variables: &[(&str, &str)], in_code: &ResourceServerBuilder) {
        assert_eq!(shown(&read(json!({ table: settings })).into_builder()), shown(in_code), "{table}");
        assert_eq!(shown(&Config::from_vars("X", variables.iter().copied()).into_builder()), shown(in_code), "{table}");
    }

    #[test]
    fn dpop_is_what_the_table_says() {
        let nonces = DpopNonces::from_secret(SECRET).previous_secret(SECRET.repeat(2));
        let in_code = Dpop::new()
            .public_url("https://a.example")
            .public_url("https://b.example/api")
            .algorithms([Algorithm::Es256, Algorithm::Ed25519])
            .max_proof_age(std::time::Duration::from_secs(30))
            .replay_memory(1_048_576)
            .nonces(nonces.lifetime(std::time::Duration::from_secs(60)));
        assert_same(
            "dpop",
            json!({
                "public_url": ["https://a.example", "https://b.example/api"],
                "algorithms": ["ES256", "EdDSA"],
                "max_proof_age": "30s",
                "replay_memory": 1_048_576,
                "nonce_secret": SECRET,
                "previous_nonce_secret": SECRET.repeat(2),
                "nonce_lifetime": "1min",
            }),
            &[
                ("X_DPOP_PUBLIC_URL", "https://a.example,https://b.example/api"),
                ("X_DPOP_ALGORITHMS", "ES256,EdDSA"),
                ("X_DPOP_MAX_PROOF_AGE", "30s"),
                ("X_DPOP_REPLAY_MEMORY", "1048576"),
                ("X_DPOP_NONCE_SECRET", SECRET),
                ("X_DPOP_PREVIOUS_NONCE_SECRET", &SECRET.repeat(2)),
                ("X_DPOP_NONCE_LIFETIME", "1min"),
            ],
            &ResourceServer::builder().dpop(in_code),
        );
        let of_this_process = Dpop::new().public_url("https://a.example").nonces(DpopNonces::of_this_process());
        assert_same(
            "dpop",
            json!({ "public_url": "https://a.example", "nonces": true }),
            &[("X_DPOP_PUBLIC_URL", "https://a.example"), ("X_DPOP_NONCES", "true")],
            &ResourceServer::builder().dpop(of_this_process),
        );
        assert_same("fapi_2_0", json!(true), &[("X_FAPI_2_0", "true")], &ResourceServer::builder().fapi_2_0());
        assert_same(
            "require_bound_tokens",
            json!(true),
            &[("X_REQUIRE_BOUND_TOKENS", "true")],
            &ResourceServer::builder().require_bound_tokens(),
        );
    }

    #[test]
    fn certificate_binding_is_what_the_table_says() {
        let peers = || TrustedPeers::addresses(["10.0.0.0/8", "::1"]).unix_sockets();
        let header = HeaderName::from_static("x-client-cert");
        for (source, in_code) in [
            ("client-cert", CertificateBinding::new().client_cert_header(peers())),
            ("envoy", CertificateBinding::new().envoy_xfcc(peers())),
            ("nginx", CertificateBinding::new().nginx_header(header, peers())),
        ] {
            let named = (source == "nginx").then_some("x-client-cert");
            let mut settings = json!({ "source": source, "trusted_peers": ["10.0.0.0/8", "::1", "unix"] });
            let mut variables = vec![
                ("X_CERTIFICATE_BINDING_SOURCE", source),
                ("X_CERTIFICATE_BINDING_TRUSTED_PEERS", "10.0.0.0/8,::1,unix"),
            ];
            if let Some(name) = named {
                settings["header"] = json!(name);
                variables.push(("X_CERTIFICATE_BINDING_HEADER", name));
            }
            assert_same(
                "certificate_binding",
                settings,
                &variables,
                &ResourceServer::builder().certificate_binding(in_code),
            );
        }
        assert_same(
            "certificate_binding",
            json!({ "source": "connection" }),
            &[("X_CERTIFICATE_BINDING_SOURCE", "connection")],
            &ResourceServer::builder().certificate_binding(CertificateBinding::new()),
        );
    }

    #[tokio::test]
    async fn faults_of_variables_name_the_variable() {
        let (url, short) = (("X_DPOP_PUBLIC_URL", "https://a.example"), "0123456789abcdef");
        for (variables, fault) in [
            ([("X_DPOP_NONCES", "true"); 2], "X_DPOP_PUBLIC_URL: no public URL is named"),
            (
                [("X_DPOP_PUBLIC_URL", "http://a.example"); 2],
                "X_DPOP_PUBLIC_URL: the public URL \"http://a.example\" is not",
            ),
            ([("X_DPOP_PUBLIC_URL", "a.example"); 2], "X_DPOP_PUBLIC_URL: the public URL \"a.example\" must"),
            ([url, ("X_DPOP_NONCE_LIFETIME", "1min")], "X_DPOP_NONCE_SECRET: is missing"),
            ([url, ("X_DPOP_NONCE_SECRET", short)], "X_DPOP_NONCE_SECRET: a secret of nonces has less than 32 bytes"),
            ([url, ("X_DPOP_MAX_PROOF_AGE", "6min")], "X_DPOP_MAX_PROOF_AGE: the greatest age of a proof"),
            ([url, ("X_DPOP_MAX_PROOF_AGE", "soon")], "X_DPOP_MAX_PROOF_AGE: \"soon\" is not a duration"),
            ([url, ("X_DPOP_REPLAY_MEMORY", "1024")], "X_DPOP_REPLAY_MEMORY: the memory for used proofs"),
            ([url, ("X_LEEWAY", "soon")], "X_LEEWAY: \"soon\" is not a duration"),
            ([url, ("X_CERTIFICATE_BINDING_SOURCE", "apache")], "X_CERTIFICATE_BINDING_SOURCE: \"apache\" is none"),
            ([url, ("X_CERTIFICATE_BINDING_HEADER", "x")], "X_CERTIFICATE_BINDING_HEADER: is for the source"),
        ] {
            let found = faults(Config::from_vars("X", variables)).await;
            assert!(found.len() == 1 && found[0].starts_with(fault), "{variables:?}: {found:?}");
            assert!(!found[0].contains("Dpop::"), "{found:?}");
        }
        // What code has set is named as in code.
        let in_code = Config::from_vars("X", [("X_AUDIENCE", "api")]).into_builder().dpop(Dpop::new());
        let error = in_code.build().await.unwrap_err();
        assert!(error.faults().any(|fault| fault.starts_with("dpop: no public URL is named")), "{error}");
    }

    #[tokio::test]
    async fn faults_of_bindings_are_named() {
        let url = "https://a.example";
        for (config, fault) in [
            (json!({ "dpop": {} }), "dpop: no public URL is named"),
            (
                json!({ "dpop": { "public_url": "http://a.example" } }),
                "dpop: the public URL \"http://a.example\" is not https",
            ),
            (
                json!({ "dpop": { "public_url": "a.example" } }),
                "dpop: the public URL \"a.example\" must begin with https://",
            ),
            (json!({ "dpop": { "public_url": url, "url": 1 } }), "dpop.url: is not a setting"),
            (
                json!({ "dpop": { "public_url": url, "algorithms": ["HS256"] } }),
                "dpop.algorithms: \"HS256\" is not supported",
            ),
            (json!({ "dpop": { "public_url": url, "max_proof_age": "6min" } }), "dpop: the greatest age of a proof"),
            (json!({ "dpop": { "public_url": url, "max_proof_age": 0 } }), "dpop: the greatest age of a proof"),
            (json!({ "dpop": { "public_url": url, "replay_memory": 1024 } }), "dpop: the memory for used proofs"),
            (json!({ "dpop": { "public_url": url, "nonce_lifetime": "1min" } }), "dpop.nonce_secret: is missing"),
            (
                json!({ "dpop": { "public_url": url, "previous_nonce_secret": SECRET } }),
                "dpop.nonce_secret: is missing",
            ),
            (
                json!({ "dpop": { "public_url": url, "nonces": false, "nonce_secret": SECRET } }),
                "dpop.nonces: is false",
            ),
            (
                json!({ "certificate_binding": { "trusted_peers": "::1" } }),
                "certificate_binding.trusted_peers: are named",
            ),
            (
                json!({ "certificate_binding": { "source": "apache" } }),
                "certificate_binding.source: \"apache\" is none",
            ),
            (
                json!({ "certificate_binding": { "source": "nginx", "trusted_peers": "::1" } }),
                "certificate_binding.header: is not the name",
            ),
            (
                json!({ "certificate_binding": { "source": "envoy", "trusted_peers": "::1", "header": "x" } }),
                "certificate_binding.header: is for the source",
            ),
            (json!({ "certificate_binding": { "peers": "::1" } }), "certificate_binding.peers: is not a setting"),
            (json!({ "require_bound_tokens": true }), "require_bound_tokens: no binding is switched on"),
        ] {
            let found = faults(read(config.clone())).await;
            assert!(found.len() == 1 && found[0].starts_with(fault), "{config}: {found:?}");
        }
    }
}
