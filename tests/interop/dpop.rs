//! oauth4webapi, unchanged, calls APIs with tokens of node-oidc-provider that are bound to its keys, and reads their challenges.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::{extract::Path, routing::post};
use scopegate_axum::{
    ResourceServerBuilder,
    dpop::{Dpop, DpopNonces},
    introspection::{ClientAuthentication, Introspection},
};
use serde::Deserialize;
use tokio::net::TcpListener;

use super::*;
use crate::provider::{API_SECRET, SECRET, is_installed, run_client};

/// What the client reports. See `dpop_client.mjs`.
#[derive(Deserialize)]
struct Report {
    calls: Vec<Call>,
    races: Vec<Vec<u16>>,
    refusals: HashMap<String, BTreeMap<String, Vec<(u16, Value)>>>,
    made: usize,
    refused: usize,
}

#[derive(Debug, Deserialize)]
struct Call {
    api: String,
    algorithm: String,
    token: String,
    what: String,
    /// The status of each response, and whether it brought a nonce.
    responses: Vec<(u16, bool)>,
}

/// The algorithms of proofs, as challenges name them: `EdDSA` and `Ed25519` are one.
const PROOF_ALGORITHMS: &str = "ES256 ES384 Ed25519 PS256 RS256";

/// The APIs at which every good and every bad call is made.
const APIS: [&str; 3] = ["bound", "nonces", "plain"];

/// What each bad call has to be refused for, and the scheme that it uses.
const REFUSALS: [(&str, Reason, Used); 17] = [
    ("as_bearer", Reason::DpopRequired, Used::Bearer),
    ("as_bearer_with_proof", Reason::DpopRequired, Used::Bearer),
    ("both_schemes", Reason::DuplicateCredentials, Used::Both),
    ("both_schemes_in_one_line", Reason::MalformedCredentials, Used::Bearer),
    ("forged", Reason::InvalidDpopProof, Used::Dpop),
    ("no_token", Reason::MissingCredentials, Used::None),
    ("other_key", Reason::BindingMismatch, Used::Dpop),
    ("other_method", Reason::InvalidDpopProof, Used::Dpop),
    ("other_path", Reason::InvalidDpopProof, Used::Dpop),
    ("other_port", Reason::InvalidDpopProof, Used::Dpop),
    ("other_token", Reason::InvalidDpopProof, Used::Dpop),
    ("private_key_disclosed", Reason::InvalidDpopProof, Used::Dpop),
    ("replayed", Reason::RepeatedDpopProof, Used::Dpop),
    ("scope", Reason::InsufficientScope, Used::Dpop),
    ("two_proofs", Reason::InvalidDpopProof, Used::Dpop),
    ("unbound", Reason::UnboundToken, Used::Dpop),
    ("without_proof", Reason::MissingDpopProof, Used::Dpop),
];

/// Those of one API alone.
const MORE_REFUSALS: [(&str, &str, Reason, Used); 5] = [
    ("bound", "unbound_as_bearer", Reason::UnboundToken, Used::Bearer),
    ("nonces", "foreign_nonce", Reason::UseDpopNonce, Used::Dpop),
    ("nonces", "without_nonce", Reason::UseDpopNonce, Used::Dpop),
    ("plain", "ahead", Reason::InvalidDpopProof, Used::Dpop),
    ("plain", "stale", Reason::InvalidDpopProof, Used::Dpop),
];

/// The schemes that a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Used {
    None,
    Bearer,
    Dpop,
    Both,
}

/// The refusal that the library has to read: the status and each challenge, the error being in those of the schemes that were
/// used (RFC 9449 §7.2).
fn expected(api: &str, reason: Reason, used: Used) -> (u16, Value) {
    let challenge = |scheme: &str, is_used: bool, algorithms: Option<&str>| {
        let mut parameters = json!({ "realm": AUDIENCE });
        if let Some(code) = reason.kind().code().filter(|_| is_used) {
            parameters["error"] = code.into();
            parameters["error_description"] = reason.description().into();
        }
        if reason == Reason::InsufficientScope {
            parameters["scope"] = "admin messages:read".into();
        }
        if let Some(algorithms) = algorithms {
            parameters["algs"] = algorithms.into();
        }
        json!({ "scheme": scheme, "parameters": parameters })
    };
    let by_bearer = matches!(used, Used::Bearer | Used::Both);
    // Where every token has to be bound, Bearer is no way in.
    let bearer = (api != "bound" || by_bearer).then(|| challenge("bearer", by_bearer, None));
    let dpop = challenge("dpop", matches!(used, Used::Dpop | Used::Both), Some(PROOF_ALGORITHMS));
    let status = reason.kind().status().as_u16();
    (status, bearer.into_iter().chain([dpop]).collect())
}

/// An API on a socket, with more routes that are open. Returns its URL.
async fn run_api(
    provider: &Provider,
    more: Router,
    settings: impl FnOnce(ResourceServerBuilder, Dpop) -> ResourceServerBuilder,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let introspection =
        Introspection::discovered(ClientAuthentication::client_secret_basic("api:client_secret_basic", API_SECRET));
    let issuer = Issuer::discovered(provider.issuer()).introspection(introspection).dangerous_allow_http_on_loopback();
    let builder = ResourceServer::builder().audience(AUDIENCE).issuer(issuer).fetch(fetch());
    let server = settings(builder, Dpop::new().public_url(&url)).build().await.expect("good settings");
    let router = Api::behind(server).router.merge(more);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Sets the clock forward: `/clock/SECONDS`.
fn clock_route(clock: &TestClock) -> Router {
    let clock = clock.clone();
    let forward = async move |Path(seconds): Path<u64>| clock.advance(Duration::from_secs(seconds));
    Router::new().route("/clock/{seconds}", post(forward))
}

#[tokio::test(flavor = "multi_thread")]
async fn dpop_1_oauth4webapi_calls_with_every_algorithm_and_reads_every_refusal() {
    let Some(provider) = Provider::start().await else { return };
    if !is_installed("oauth4webapi").await {
        return;
    }
    let clock = clock();
    let nonces = DpopNonces::from_secret([7; 32]).lifetime(Duration::from_secs(60));
    let input = json!({
        "issuer": provider.issuer(),
        "resource": AUDIENCE,
        "secret": SECRET,
        "apis": {
            "plain": run_api(&provider, Router::new(), |builder, dpop| builder.dpop(dpop)).await,
            "nonces": run_api(&provider, clock_route(&clock), |builder, dpop| {
                builder.dpop(dpop.nonces(nonces)).clock(clock.clone())
            })
            .await,
            "bound": run_api(&provider, Router::new(), |builder, dpop| builder.dpop(dpop).require_bound_tokens()).await,
        },
    });
    let report: Report = run_client("dpop_client.mjs", &[&input.to_string()]).await;
    println!("DPoP client: {} calls, {} refused as they have to be", report.made, report.refused);
    check_calls(&report.calls);
    let one_of_16 = [vec![200], vec![401; 15]].concat();
    assert_eq!(report.races, vec![one_of_16; 6 * APIS.len() * 2], "a proof passes once");
    for api in APIS {
        let more = MORE_REFUSALS.into_iter().filter(|refusal| refusal.0 == api);
        let all: BTreeMap<_, _> = REFUSALS
            .into_iter()
            .chain(more.map(|(_, name, reason, used)| (name, reason, used)))
            .map(|(name, reason, used)| (name.to_owned(), vec![expected(api, reason, used)]))
            .collect();
        assert_eq!(report.refusals[api], all, "{api}");
    }
}

/// The client of the guide, which is shown without what a test needs.
#[tokio::test(flavor = "multi_thread")]
async fn dpop_17_the_guides_client_gets_a_nonce_and_passes() {
    let Some(provider) = Provider::start().await else { return };
    if !is_installed("oauth4webapi").await {
        return;
    }
    let with_nonces =
        |builder: ResourceServerBuilder, dpop: Dpop| builder.dpop(dpop.nonces(DpopNonces::of_this_process()));
    let url = run_api(&provider, Router::new(), with_nonces).await;
    let guide = include_str!("../../docs/guide/sender-constrained.md");
    let (_, code) = guide.split_once("```js\n").expect("a client");
    let (code, _) = code.split_once("```").expect("its end");
    let insecure = "[oauth.allowInsecureRequests]: true";
    let code = [
        ("'https://tenant.example'", format!("'{}'", provider.issuer())),
        ("'https://api.example/messages'", format!("'{url}/messages'")),
        ("'https://api.example'", format!("'{AUDIENCE}'")),
        ("'my-app'", "'dpop:jwt'".to_owned()),
        ("process.env.CLIENT_SECRET", format!("'{SECRET}'")),
        ("discoveryRequest(issuer)", format!("discoveryRequest(issuer, {{ {insecure} }})")),
        ("{ DPoP }", format!("{{ DPoP, {insecure} }}")),
    ]
    .into_iter()
    .fold(code.to_owned(), |code, (shown, run)| {
        assert!(code.contains(shown), "{shown}");
        code.replace(shown, &run)
    });
    let code = format!("{code}\nconsole.log(JSON.stringify([response.status, await response.text()]));");
    let report: (u16, String) = run_client("--input-type=module", &["--eval", &code]).await;
    assert_eq!(report, (200, "dpop:jwt".to_owned()));
}

/// Good calls pass; those that need a nonce, at the second attempt if the client has none that is good.
fn check_calls(calls: &[Call]) {
    for call in calls {
        let expected: &[(u16, bool)] = match (&*call.api, &*call.what) {
            ("nonces", "expired" | "a clock that is 5 minutes slow") => &[(401, true), (200, false)],
            ("nonces", "renewed" | "the renewed nonce") => &[(200, true)],
            // The first of a handle.
            ("nonces", "GET") if call.token == "jwt" => &[(401, true), (200, false)],
            _ => &[(200, false)],
        };
        assert_eq!(call.responses, expected, "{call:?}");
    }
    let algorithms: HashSet<_> = calls.iter().map(|call| &*call.algorithm).collect();
    assert_eq!(algorithms.len(), 6 + 1, "{algorithms:?}");
    let places: HashSet<_> = calls.iter().map(|call| (&call.api, &call.algorithm, &call.token, &call.what)).collect();
    // Three calls of each kind of token at each API; six more that are about nonces; and a bearer token.
    assert_eq!(places.len(), 6 * (3 * 4 * 3 + 6) + 1);
}
