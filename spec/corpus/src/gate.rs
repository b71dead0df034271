//! A case before the gate: its real layers, with a network and a clock that the case sets.

use std::{convert::Infallible, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use http_body_util::Empty;
use scopegate_core::{
    Authentication, ImpliedScopes, Issuer, ResourceServer, ScopePolicy,
    dpop::{Dpop, DpopNonces},
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::{Evidence, Profile, RequiredClaim, ScopeClaim},
    mtls::{CertificateBinding, ClientCertificate},
    online::CacheConfig,
};
use scopegate_spec_compare::{
    challenge,
    clock::Clock,
    outcome::{Caller, Outcome},
};
use scopegate_tower::{Authenticate, RequireScope};
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneService};

use crate::{
    format::{self, Case, Configuration, JsonType, Jwts},
    network::Network,
};

type Incoming = http::Request<Empty<Bytes>>;
type Response = http::Response<Empty<Bytes>>;

/// What the gate decides.
///
/// # Panics
///
/// When the configuration is refused: a case is about a request.
pub fn decision(configuration: &Configuration, time: i64, case: &Case) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    let clock = Clock::default();
    clock.set(time);
    runtime.block_on(async {
        let service = service(configuration, clock, Network::new(configuration, &case.introspection)).await;
        for before in &case.preceding {
            let Ok(_) = service.clone().oneshot(incoming(before)).await;
        }
        let Ok(response) = service.oneshot(incoming(&case.request)).await;
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut challenges: Vec<_> = challenges.flat_map(|value| challenge::parse(value.as_bytes())).collect();
        challenges.sort();
        let caller = response.extensions().get::<Option<Caller>>().cloned().flatten();
        Outcome { status: response.status().as_u16(), challenges, caller }
    })
}

async fn service(
    configuration: &Configuration,
    clock: Clock,
    network: Network,
) -> BoxCloneService<Incoming, http::Response<()>, Infallible> {
    let mut authenticate = Authenticate::new(resource_server(configuration, clock, network).await);
    if configuration.anonymous {
        authenticate = authenticate.optional();
    }
    match configuration.required_scope.as_ref().map(policy) {
        Some(policy) => {
            let authenticate = authenticate.scope_hint(policy.clone());
            let service = (authenticate, RequireScope::new(policy)).layer(service_fn(handler));
            BoxCloneService::new(service.map_response(|response| response.map(drop)))
        }
        None => {
            let service = authenticate.layer(service_fn(handler));
            BoxCloneService::new(service.map_response(|response| response.map(drop)))
        }
    }
}

async fn handler(request: Incoming) -> Result<Response, Infallible> {
    let authentication = request.extensions().get::<Authentication>();
    let caller = authentication.and_then(Authentication::token).map(Caller::from);
    let mut response = Response::default();
    response.extensions_mut().insert(caller);
    Ok(response)
}

fn incoming(request: &format::Request) -> Incoming {
    let mut incoming = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.target)
        .body(Empty::new())
        .expect("a method and a target that can be sent");
    for field in &request.fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).expect("a name that can be sent");
        let value = HeaderValue::from_bytes(&field.octets()).expect("a value that can be sent");
        incoming.headers_mut().append(name, value);
    }
    if let Some(certificate) = &request.certificate {
        let der = STANDARD.decode(certificate).expect("base64");
        incoming.extensions_mut().insert(ClientCertificate::from_der(der));
    }
    incoming
}

async fn resource_server(configuration: &Configuration, clock: Clock, network: Network) -> ResourceServer {
    let mut builder = ResourceServer::builder()
        .leeway(Duration::from_secs(configuration.leeway_seconds.into()))
        .max_token_length(configuration.max_token_bytes)
        .clock(clock)
        .fetch(network);
    for audience in &configuration.audiences {
        builder = builder.audience(audience);
    }
    for settings in &configuration.issuers {
        builder = builder.issuer(issuer(settings));
    }
    if let Some(age) = configuration.max_token_age_seconds {
        builder = builder.max_token_age(Duration::from_secs(age.into()));
    }
    if let Some(name) = &configuration.token_field {
        builder = builder.token_header(HeaderName::from_bytes(name.as_bytes()).expect("a name of a field"));
    }
    if let Some(settings) = &configuration.dpop {
        builder = builder.dpop(dpop(settings));
    }
    if configuration.certificate_bound_tokens {
        builder = builder.certificate_binding(CertificateBinding::new());
    }
    if configuration.require_bound_tokens {
        builder = builder.require_bound_tokens();
    }
    builder.build().await.unwrap_or_else(|error| panic!("{error}\n{configuration:#?}"))
}

fn algorithms(names: &[String]) -> impl Iterator<Item = Algorithm> {
    // Both names of Ed25519 are one algorithm here.
    let names = names.iter().filter(|name| *name != "EdDSA");
    names.map(|name| Algorithm::from_name(name).expect("an algorithm that is offered"))
}

fn dpop(settings: &format::Dpop) -> Dpop {
    assert_eq!(settings.max_proof_ahead_seconds, 10, "the gate has no such setting");
    let mut dpop = settings.public_urls.iter().fold(Dpop::new(), Dpop::public_url);
    dpop = dpop
        .algorithms(algorithms(&settings.algorithms))
        .max_proof_age(Duration::from_secs(settings.max_proof_age_seconds.into()));
    if settings.nonce_required { dpop.nonces(DpopNonces::of_this_process()) } else { dpop }
}

fn issuer(settings: &format::Issuer) -> Issuer {
    let name = settings.identifier.as_str();
    let introspection = settings.introspection.as_ref().map(|settings| introspection(settings, name));
    let mut issuer = match (&settings.keys, introspection) {
        (format::Keys::None, Some(introspection)) => Issuer::introspected(name, introspection),
        (_, introspection) => {
            let issuer = Issuer::with_jwks_uri(name, Network::jwks_uri(name));
            match introspection {
                Some(introspection) => issuer.introspection(introspection),
                None => issuer,
            }
        }
    };
    issuer = issuer.algorithms(algorithms(&settings.algorithms)).profile(profile(&settings.token_profile));
    if !settings.one_algorithm_per_key {
        issuer = issuer.dangerous_allow_several_algorithms_per_key();
    }
    if let Some(audiences) = &settings.audiences {
        issuer = issuer.audiences(audiences);
    }
    if !settings.audience_required {
        issuer = issuer.dangerous_waive_audience();
    }
    if let Some(parties) = &settings.authorized_parties {
        issuer = issuer.authorized_parties(parties);
    }
    if !settings.implied_scopes.is_empty() {
        let scopes = settings.implied_scopes.iter().fold(ImpliedScopes::new(), |scopes, (name, implied)| {
            scopes.imply(name, implied.iter().map(String::as_str)).expect("legal scope tokens")
        });
        issuer = issuer.scope_grammar(scopes);
    }
    issuer
}

fn introspection(settings: &format::Introspection, issuer: &str) -> Introspection {
    let client = settings.signed_for.as_deref().unwrap_or("api");
    let client = ClientAuthentication::client_secret_basic(client, "a secret for this test alone");
    let mut introspection = Introspection::at(Network::introspection_endpoint(issuer), client)
        .introspect_jwts(match settings.jwts {
            Jwts::Verified => JwtIntrospection::WhereRequired,
            Jwts::VerifiedAndIntrospected => JwtIntrospection::NoOlderThan(Duration::ZERO),
            Jwts::Introspected => JwtIntrospection::Instead,
        })
        .cache(CacheConfig::off());
    if let Some(prefix) = &settings.token_prefix {
        introspection = introspection.token_prefix(prefix);
    }
    if !settings.audience_required {
        introspection = introspection.dangerous_accept_responses_without_audience();
    }
    if settings.token_type_required {
        introspection = introspection.require_token_type();
    }
    if settings.scope_array {
        introspection = introspection.scope_may_be_array();
    }
    if settings.signed_for.is_some() { introspection.signed_responses() } else { introspection }
}

fn profile(settings: &format::TokenProfile) -> Profile {
    let mut profile = if settings.is_rfc9068() { Profile::rfc9068() } else { compat(settings) };
    let client = settings.client_claim.as_str();
    if client != "client_id" {
        profile = profile.client_claim(client.to_owned());
    }
    for (name, claim) in [
        ("sub", RequiredClaim::Subject),
        (client, RequiredClaim::ClientId),
        ("iat", RequiredClaim::IssuedAt),
        ("jti", RequiredClaim::TokenId),
    ] {
        if !settings.required_claims.iter().any(|required| required == name) {
            profile = profile.dangerous_waive(claim);
        }
    }
    let scopes = settings.scope_claims.iter().map(|scope| {
        let name = scope.claim.clone();
        match scope.types[..] {
            [JsonType::String] => ScopeClaim::string(name),
            [JsonType::Array] => ScopeClaim::array(name),
            _ => ScopeClaim::string_or_array(name),
        }
    });
    let mut scopes: Vec<ScopeClaim> = scopes.collect();
    profile.scope_claim(if scopes.len() == 1 { scopes.remove(0) } else { ScopeClaim::first_of(scopes) })
}

fn compat(settings: &format::TokenProfile) -> Profile {
    let profile = settings.types.iter().fold(Profile::compat("of a case"), |profile, typ| match typ {
        Some(typ) => profile.accept_type(typ.clone()),
        None => profile.accept_absent_type(),
    });
    let evidence = settings.evidence.iter().map(|evidence| match &evidence.values {
        Some(values) => Evidence::claim_one_of(evidence.claim.clone(), values.clone()),
        None if settings.scope_claims.iter().any(|scope| scope.claim == evidence.claim) => Evidence::scope_claim(),
        None => Evidence::claim_present(evidence.claim.clone()),
    });
    profile.evidence(Evidence::any_of(evidence))
}

fn policy(scope: &format::Scope) -> ScopePolicy {
    match scope {
        format::Scope::Token(token) => ScopePolicy::one(token.clone()).expect("a legal scope token"),
        format::Scope::All { all } => all.iter().map(policy).reduce(|one, other| one & other).expect("not empty"),
        format::Scope::Any { any } => any.iter().map(policy).reduce(|one, other| one | other).expect("not empty"),
    }
}
