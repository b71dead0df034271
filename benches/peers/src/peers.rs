//! Each crate in front of the same service, configured as its documentation advises: with discovery where the crate has it,
//! with issuer and audience checks, and with the crate's default claims type if there is one.

use std::{convert::Infallible, sync::Arc};

use axum::handler::Handler as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use scopegate_axum::{Authenticate, Issuer, JwtCacheConfig, ResourceServer, dpop::Dpop};
use serde::Deserialize;
use tower::{Layer as _, Service as _, service_fn};

use crate::{
    dpop::UsedProofs,
    measure::{Contender, Inner},
    requests::Upstream,
    support::AUDIENCE,
    versions::version,
};

type Error = Box<dyn std::error::Error>;
type Body = Full<Bytes>;

/// All peers, in the order of the tables.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    NoAuth,
    NoAuthAxum,
    Scopegate,
    ScopegateForgetful,
    TowerOauth2ResourceServer,
    JwtAuthorizer,
    AxumJwtAuth,
    OauthResourceServer,
    HuskarlResourceServer,
    /// Measured with bound tokens only.
    AuthkestraResource,
}

/// The tokens that a peer is configured for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tokens {
    Bearer,
    /// Bound to a key of the client (DPoP).
    Bound,
}

impl Peer {
    pub(crate) const ALL: [Self; 9] = [
        Self::NoAuth,
        Self::NoAuthAxum,
        Self::Scopegate,
        Self::ScopegateForgetful,
        Self::TowerOauth2ResourceServer,
        Self::JwtAuthorizer,
        Self::AxumJwtAuth,
        Self::OauthResourceServer,
        Self::HuskarlResourceServer,
    ];

    /// Those that check DPoP.
    pub(crate) const BOUND: [Self; 4] =
        [Self::Scopegate, Self::ScopegateForgetful, Self::HuskarlResourceServer, Self::AuthkestraResource];

    pub(crate) async fn contender(self, upstream: &Upstream, tokens: Tokens) -> Result<Contender, Error> {
        match self {
            Self::NoAuth => Ok(no_auth()),
            Self::NoAuthAxum => Ok(no_auth_axum()),
            Self::Scopegate => scopegate(upstream, tokens, true).await,
            Self::ScopegateForgetful => scopegate(upstream, tokens, false).await,
            Self::TowerOauth2ResourceServer => tower_oauth2_resource_server(upstream).await,
            Self::JwtAuthorizer => jwt_authorizer(upstream).await,
            Self::AxumJwtAuth => axum_jwt_auth(upstream).await,
            Self::OauthResourceServer => oauth_resource_server(upstream).await,
            Self::HuskarlResourceServer => huskarl_resource_server(upstream, tokens).await,
            Self::AuthkestraResource => Ok(authkestra_resource(upstream)),
        }
    }
}

fn named(package: &str) -> String {
    format!("{package} {}", version(package))
}

fn no_auth() -> Contender {
    Contender::new::<_, (), Body>("a tower service without auth", "the one behind every gate", Inner::<Body>::new())
        .unguarded()
}

fn no_auth_axum() -> Contender {
    let service = (async || ()).with_state(());
    Contender::new::<_, axum::body::Body, _>("an axum handler without auth", "without a router in process", service)
        .unguarded()
}

async fn scopegate(upstream: &Upstream, tokens: Tokens, remembers: bool) -> Result<Contender, Error> {
    let (name, cache) = if remembers {
        ("Scopegate", JwtCacheConfig::default())
    } else {
        ("Scopegate, JwtCacheConfig::off()", JwtCacheConfig::off())
    };
    let how = match (tokens, remembers) {
        (Tokens::Bearer, true) => "metadata discovered, JWT cache as by default; AWS-LC",
        (Tokens::Bearer, false) => "metadata discovered, no JWT cached; AWS-LC",
        (Tokens::Bound, true) => "`Dpop` with its `public_url`, memory of used proofs and JWT cache as by default",
        (Tokens::Bound, false) => "`Dpop` with its `public_url`, memory of used proofs as by default, no JWT cached",
    };
    let mut builder = ResourceServer::builder()
        .jwt_cache(cache)
        .issuer(Issuer::discovered(&upstream.issuer).dangerous_allow_http_on_loopback())
        .audience(AUDIENCE);
    if tokens == Tokens::Bound {
        builder = builder.dpop(Dpop::new().public_url(AUDIENCE));
    }
    let service = Authenticate::new(builder.build().await?).layer(Inner::<Body>::new());
    Ok(Contender::new::<_, (), _>(name, how, service))
}

async fn tower_oauth2_resource_server(upstream: &Upstream) -> Result<Contender, Error> {
    use tower_oauth2_resource_server::{server::OAuth2ResourceServer, tenant::TenantConfiguration};

    let tenant = TenantConfiguration::builder(&upstream.issuer).audiences(&[AUDIENCE]).build().await?;
    let server = <OAuth2ResourceServer>::builder().add_tenant(tenant).build().await?;
    let service = server.into_layer::<Body>().layer(Inner::<Body>::new());
    let how =
        "`TenantConfiguration::builder`, metadata discovered; `DefaultClaims`; jsonwebtoken 11 with `jwt-aws-lc-rs`";
    Ok(Contender::new::<_, (), _>(named("tower-oauth2-resource-server"), how, service))
}

async fn jwt_authorizer(upstream: &Upstream) -> Result<Contender, Error> {
    use jwt_authorizer::{Authorizer, IntoLayer as _, JwtAuthorizer, Validation};

    let validation = Validation::new().iss(&[&upstream.issuer]).aud(&[AUDIENCE]);
    let authorizer: Authorizer = JwtAuthorizer::from_oidc(&upstream.issuer).validation(validation).build().await?;
    let service = authorizer.into_layer().layer(Inner::<axum07::body::Body>::new());
    let how =
        "`from_oidc`, `Validation` with `iss` and `aud`; `RegisteredClaims`; jsonwebtoken 9, whose backend is ring";
    Ok(Contender::new::<_, (), _>(named("jwt-authorizer"), how, service))
}

async fn axum_jwt_auth(upstream: &Upstream) -> Result<Contender, Error> {
    use axum_jwt_auth::{Claims, Decoder, RemoteJwksDecoder};
    use jsonwebtoken::Validation;

    #[derive(Deserialize)]
    struct Own {
        #[serde(rename = "sub")]
        _sub: String,
        #[serde(rename = "exp")]
        _exp: usize,
    }

    async fn handler(_: Claims<Own>) {}

    let mut validation = Validation::new(upstream.algorithm.parse()?);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[&upstream.issuer]);
    let decoder = RemoteJwksDecoder::builder().jwks_url(upstream.jwks_uri.clone()).validation(validation).build()?;
    decoder.initialize().await?;
    let decoder: Decoder<Own> = Arc::new(decoder);
    let service = handler.with_state(decoder);
    let how = "`RemoteJwksDecoder`, `Validation` with issuer and audience; an axum handler with \
               `Claims<{ sub, exp }>`, without a router; jsonwebtoken 10 with `aws_lc_rs`";
    Ok(Contender::new::<_, axum::body::Body, _>(named("axum-jwt-auth"), how, service))
}

async fn oauth_resource_server(upstream: &Upstream) -> Result<Contender, Error> {
    use oauth_resource_server::{
        KeyNaming, OAuthConfig, OAuthValidator, http_layer::HttpAuthLayer, static_token_policy,
    };

    let resolved = OAuthConfig {
        enabled: true,
        issuer: upstream.issuer.clone(),
        audience: AUDIENCE.to_owned(),
        resource: AUDIENCE.to_owned(),
        require_at_jwt: true,
        ..OAuthConfig::default()
    }
    .resolve(KeyNaming::Dotted("oauth"))?
    .ok_or("OAuth is enabled")?;
    let validator = Arc::new(OAuthValidator::new(&resolved)?);
    validator.spawn_background_refresh();
    validator.refresh_now().await?;
    let decision = static_token_policy(None, Some(&resolved), false)?;
    let layer = HttpAuthLayer::builder().oauth(validator).build_with_decision(decision)?;
    let service = layer.layer(Inner::<Body>::new());
    let how = "`HttpAuthLayer`, metadata discovered, `require_at_jwt`; jsonwebtoken 9, whose backend is ring";
    Ok(Contender::new::<_, (), _>(named("oauth-resource-server"), how, service))
}

async fn huskarl_resource_server(upstream: &Upstream, tokens: Tokens) -> Result<Contender, Error> {
    use huskarl_reqwest::ReqwestClient;
    use huskarl_resource_server::{
        core::server_metadata::AuthorizationServerMetadata, validator::rfc9068::Rfc9068Validator,
    };

    let client = ReqwestClient::builder().build().await?;
    let metadata =
        AuthorizationServerMetadata::oidc_fetch().http_client(&client).issuer(&upstream.issuer).call().await?;
    let validator: Rfc9068Validator = Rfc9068Validator::builder_from_metadata(&metadata)
        .jwks_source(client)
        .audience(AUDIENCE)
        .maybe_dpop_jti_checker((tokens == Tokens::Bound).then(UsedProofs::shared))
        .build()
        .await?;
    let validator = Arc::new(validator);
    let service = service_fn(move |request: Request<()>| {
        let (validator, mut inner) = (validator.clone(), Inner::<Body>::new());
        async move {
            let result = validator.validate_request(request.headers(), request.method(), request.uri(), None).await;
            if result.outcome.as_ref().is_ok_and(Option::is_some) {
                return inner.call(request).await;
            }
            let rejection = result.rejection(&validator.validator_metadata(None), None);
            let answer = match rejection {
                Some(rejection) => rejection.apply(Response::builder()),
                None => Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR),
            };
            Ok::<_, Infallible>(answer.body(Body::default()).expect("its headers are legal"))
        }
    });
    let how = match tokens {
        Tokens::Bearer => {
            "`Rfc9068Validator` from discovered metadata, called by a tower service as its example does; its default \
             verifier platform (RustCrypto)"
        }
        Tokens::Bound => {
            "`Rfc9068Validator`, which checks proofs by default, with a `dpop_jti_checker`, which the application \
             supplies: here a set in memory; its default verifier platform (RustCrypto)"
        }
    };
    Ok(Contender::new(named("huskarl-resource-server"), how, service))
}

fn authkestra_resource(upstream: &Upstream) -> Contender {
    use authkestra_engine::{store::memory::MemoryStore, token::Claims};
    use authkestra_resource::{
        DpopJtiRecord, Guard,
        jwt::{JwtStrategy, ValidationConfig},
    };

    let config = ValidationConfig::builder()
        .jwks_url(&upstream.jwks_uri)
        .issuer(&upstream.issuer)
        .audience(AUDIENCE)
        .require_dpop(true)
        .dpop_resource_origin(AUDIENCE)
        .build();
    let strategy =
        JwtStrategy::<Claims>::new(config).with_dpop_replay_store(Arc::new(MemoryStore::<DpopJtiRecord>::new()));
    let guard = Arc::new(Guard::builder().strategy(strategy).build());
    let service = service_fn(move |request: Request<()>| {
        let (guard, mut inner) = (guard.clone(), Inner::<Body>::new());
        async move {
            let (parts, ()) = request.into_parts();
            let status = match guard.authenticate(&parts).await {
                Ok(Some(_)) => return inner.call(Request::from_parts(parts, ())).await,
                Ok(None) => StatusCode::UNAUTHORIZED,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            let answer = Response::builder().status(status);
            Ok::<_, Infallible>(answer.body(Body::default()).expect("it has no headers"))
        }
    });
    let how = "`JwtStrategy` with `require_dpop`, `dpop_resource_origin` and a `MemoryStore` of used proofs, in a `Guard` \
               that is called by a tower service; `Claims`; jsonwebtoken 11 with `aws_lc_rs`";
    Contender::new(named("authkestra-resource"), how, service)
}
