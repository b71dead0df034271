//! Whether a proof's `htu` is the URI of the request, beside an independent implementation of RFC 3986.
//!
//! Input: the `htu`, the path of the request and the path of the public URL, each in a line of its own. The public URL is at the
//! host of the `htu`. The proof is signed by the key that the token is bound to, and everything else in it is right.
//!
//! Invariants:
//!
//! - the request passes exactly where the `htu` and the request's URI are the same after normalisation;
//! - the same `htu` in its normalised form, and with a query and a fragment, gives the same result;
//! - a refusal is `InvalidDpopProof`.

#![no_main]

mod support;
#[path = "support/uri.rs"]
mod uri;

use std::sync::LazyLock;

use http::{
    Request,
    header::{AUTHORIZATION, HeaderName},
    request::Parts,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use scopegate_core::{ErrorKind, Issuer, ResourceServer, dpop::Dpop};
use scopegate_testing::{DpopClient, Mint, SigningAlgorithm, SigningKey};

use support::{StoppedClock, at_once};
use uri::normalized;

const ISSUER: &str = "https://idp.example/tenant-a";
const AUDIENCE: &str = "https://api.example";

struct Rig {
    jwks: String,
    client: DpopClient,
    token: String,
}

static RIG: LazyLock<Rig> = LazyLock::new(|| {
    let key = SigningKey::generate(SigningAlgorithm::EdDsa);
    let mint = Mint::new(ISSUER, key.into()).with_clock(StoppedClock);
    let client = DpopClient::generate(SigningAlgorithm::EdDsa).with_clock(StoppedClock);
    let token = mint.token().audience(AUDIENCE).bound_to(&client).issue();
    Rig { jwks: mint.jwks_json(), client, token }
});

fuzz_target!(|input: &str| -> Corpus {
    let mut lines = input.split('\n');
    let [htu, path, prefix] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let normalized_htu = normalized(htu);
    let origin = normalized_htu.as_deref().map_or("https://api.example", origin);
    let public_url = format!("{origin}{prefix}");
    // A host that is no name, for one, is refused here and not in a request.
    let Some(server) = server(&public_url) else { return Corpus::Reject };
    let Some(request) = request(htu, path) else { return Corpus::Reject };

    let path = request.uri.path().to_owned();
    let base = normalized(&public_url).expect("the public URL was accepted");
    // Not as one text with the path, whose dot segments do not lead out of the base.
    let target = normalized(&format!("https://x{path}")).map(|uri| uri.replacen("https://x", without_slash(&base), 1));
    let expected = normalized_htu.is_some() && normalized_htu == target;

    assert_eq!(passes(&server, &request), expected, "{htu} for {path} at {public_url}: {normalized_htu:?}, {target:?}");
    if let Some(normalized_htu) = normalized_htu {
        assert_eq!(normalized(&normalized_htu).as_deref(), Some(&*normalized_htu), "the oracle is at odds with itself");
        for same in [&*normalized_htu, &format!("{normalized_htu}?a=/../b#?"), &format!("{normalized_htu}#")] {
            let request = self::request(same, &path).expect("the path was good");
            assert_eq!(passes(&server, &request), expected, "{same} for {path} at {public_url}");
        }
    }
    Corpus::Keep
});

/// Scheme, host and port of a normalised URI.
fn origin(uri: &str) -> &str {
    let path = uri.match_indices('/').nth(2).map_or(uri.len(), |(at, _)| at);
    &uri[..path]
}

fn without_slash(uri: &str) -> &str {
    uri.strip_suffix('/').unwrap_or(uri)
}

fn server(public_url: &str) -> Option<ResourceServer> {
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_jwks(ISSUER, &*RIG.jwks))
        .audience(AUDIENCE)
        .clock(StoppedClock)
        .dpop(Dpop::new().public_url(public_url).dangerous_accept_repeated_proofs());
    at_once(builder.build()).ok()
}

fn request(htu: &str, path: &str) -> Option<Parts> {
    let proof = RIG.client.proof("GET", "").for_token(&RIG.token).url(htu).issue();
    let request = Request::builder()
        .uri(path)
        .header(AUTHORIZATION, format!("DPoP {}", RIG.token))
        .header(HeaderName::from_static("dpop"), proof)
        .body(())
        .ok()?
        .into_parts()
        .0;
    // In the form of a request to an origin server (RFC 9112 §3.2.1).
    (path.starts_with('/') && request.uri.host().is_none()).then_some(request)
}

fn passes(server: &ResourceServer, request: &Parts) -> bool {
    match at_once(server.authenticate(request)) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidDpopProof, "{error}");
            false
        }
    }
}
