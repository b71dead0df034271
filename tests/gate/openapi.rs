//! OpenAPI documents say what the router enforces, or it is an error.

use aide::axum::{
    ApiRouter,
    routing::{get as api_get, post as api_post},
};
use axum::routing::{any, get, post};
use http::{HeaderValue, Method};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, OpenApiError, OpenApiSecurity, ProtectedResource, ProtectedRouter,
    RequiredScopes, ResourceServer, Scoped, SecurityScheme, Tenants, TokenPolicy, TokenSource, VerifiedToken,
    authenticated, optional, public, scope,
    token_verifier::{PresentedToken, TokenVerifier, Verification, VerifyError},
};
use scopegate_tests::{Ask, ISSUER, LoopbackFetch, issuer, mint, resource_server};
use scopegate_tower::RefusalBody;
use serde_json::{Value, json};

/// The name of the security scheme of [`ISSUER`].
const SCHEME: &str = "as.example";

async fn authenticate(issuer: Issuer) -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer).fetch(LoopbackFetch).build().await.expect("good settings"))
}

async fn discovered() -> Authenticate {
    authenticate(Issuer::discovered(ISSUER)).await
}

struct Adult;

impl TokenPolicy for Adult {
    fn name(&self) -> &str {
        "adult"
    }

    fn is_met_by(&self, _: &VerifiedToken) -> bool {
        false
    }
}

async fn nothing() {}

fn app(authenticate: Authenticate) -> ProtectedRouter {
    let admin = ProtectedRouter::new(authenticate.clone()).route("/users/{id}", scope("admin"), get(nothing));
    ProtectedRouter::new(authenticate)
        .route("/health", public(), get(nothing))
        .route("/hello", optional(), get(nothing))
        .route("/me", authenticated(), get(nothing))
        .route("/age", authenticated().and(Adult), get(nothing))
        .route("/messages", scope("read"), get(nothing))
        .route("/messages", scope("write") & scope("read"), post(nothing))
        .route("/reports", scope("reports") & (scope("read") | scope("admin")), any(nothing))
        .nest("/admin", admin)
        .nest_service("/files", scope("files"), any(nothing))
        .fallback(authenticated(), nothing)
}

/// A document with these operations, each of which answers 200.
fn document(operations: &[&str]) -> Value {
    with_operations(operations.iter().map(|operation| (*operation, json!({ "responses": ok() }))))
}

fn ok() -> Value {
    json!({ "200": { "description": "fine" } })
}

fn with_operations<'o>(operations: impl IntoIterator<Item = (&'o str, Value)>) -> Value {
    let mut paths = json!({});
    for (name, operation) in operations {
        let (method, path) = name.split_once(' ').expect("method and path");
        paths[path][method.to_lowercase()] = operation;
    }
    json!({ "openapi": "3.1.0", "info": { "title": "API", "version": "1" }, "paths": paths })
}

fn with_utoipa(security: &OpenApiSecurity, document: &Value) -> Result<Value, OpenApiError> {
    let mut document: utoipa::openapi::OpenApi = serde_json::from_str(&document.to_string()).expect("a document");
    let before = serde_json::to_value(&document).expect("JSON");
    let result = security.write_to(&mut document);
    let after = serde_json::to_value(&document).expect("JSON");
    assert!(result.is_ok() || before == after, "nothing is written where there is a fault");
    result.map(|()| after)
}

fn with_aide(security: &OpenApiSecurity, document: &Value) -> Result<Value, OpenApiError> {
    let mut document: aide::openapi::OpenApi = serde_json::from_str(&document.to_string()).expect("a document");
    let before = document.clone();
    let result = security.write_to(&mut document);
    assert!(result.is_ok() || before == document, "nothing is written where there is a fault");
    result.map(|()| serde_json::to_value(&document).expect("JSON"))
}

/// The document after the security was written to it, which is the same in both libraries.
#[track_caller]
fn written(security: &OpenApiSecurity, document: &Value) -> Value {
    let (utoipa, aide) = (with_utoipa(security, document).unwrap(), with_aide(security, document).unwrap());
    assert_eq!((&utoipa["paths"], &utoipa["components"]), (&aide["paths"], &aide["components"]));
    utoipa
}

#[track_caller]
fn faults(security: &OpenApiSecurity, document: &Value) -> Vec<String> {
    let (utoipa, aide) = (with_utoipa(security, document).unwrap_err(), with_aide(security, document).unwrap_err());
    let mut faults: Vec<String> = utoipa.faults().map(str::to_owned).collect();
    let mut others: Vec<&str> = aide.faults().collect();
    faults.sort();
    others.sort_unstable();
    assert_eq!(faults, others);
    faults
}

/// The security of an operation, and the refusals that it has.
fn shown(document: &Value, path: &str, method: &str) -> (Value, Vec<String>) {
    let operation = &document["paths"][path][method];
    let responses = operation["responses"].as_object().expect("responses").keys();
    (operation["security"].clone(), responses.filter(|status| *status != "200").cloned().collect())
}

#[tokio::test]
async fn operation_has_the_security_and_the_refusals_of_its_route() {
    let security = app(discovered().await).openapi_security();
    let document = document(&[
        "GET /health",
        "GET /hello",
        "GET /me",
        "HEAD /me",
        "GET /age",
        "GET /messages",
        "POST /messages",
        "PUT /reports",
        "GET /admin/users/{user}",
        "DELETE /files/{folder}/{name}",
    ]);
    let document = written(&security, &document);
    let all = |scopes: Value| json!({ SCHEME: scopes });
    let (token, scoped) = (&["400", "401", "503"][..], &["400", "401", "403", "503"][..]);
    for (path, method, security, refusals) in [
        ("/health", "get", json!([{}]), &[][..]),
        ("/hello", "get", json!([all(json!([])), {}]), token),
        ("/me", "get", json!([all(json!([]))]), token),
        ("/me", "head", json!([all(json!([]))]), token),
        ("/age", "get", json!([all(json!([]))]), scoped),
        ("/messages", "get", json!([all(json!(["read"]))]), scoped),
        ("/messages", "post", json!([all(json!(["read", "write"]))]), scoped),
        ("/reports", "put", json!([all(json!(["read", "reports"])), all(json!(["admin", "reports"]))]), scoped),
        ("/admin/users/{user}", "get", json!([all(json!(["admin"]))]), scoped),
        ("/files/{folder}/{name}", "delete", json!([all(json!(["files"]))]), scoped),
    ] {
        let refusals = refusals.iter().map(|status| (*status).to_owned()).collect();
        assert_eq!(shown(&document, path, method), (security, refusals), "{method} {path}");
    }
    assert_eq!(
        document["components"]["securitySchemes"],
        json!({ SCHEME: {
            "type": "openIdConnect",
            "openIdConnectUrl": format!("{ISSUER}/.well-known/openid-configuration"),
        } })
    );
}

#[tokio::test]
async fn scope_of_a_route_changes_the_document() {
    let security = async |name: &'static str| {
        let router: ProtectedRouter =
            ProtectedRouter::new(discovered().await).route("/messages", scope(name), get(nothing));
        written(&router.openapi_security(), &document(&["GET /messages"]))
    };
    let (read, write) = (security("read").await, security("write").await);
    assert_ne!(read, write);
    assert_eq!(read.to_string().replace("\"read\"", "\"write\""), write.to_string());
}

/// The answers of the API itself are what the document has of them.
#[tokio::test]
async fn refusals_are_as_documented() {
    let router = app(authenticate(issuer()).await);
    let document = written(&router.openapi_security(), &document(&["GET /messages"]));
    let app = router.into_router();
    let good = mint().token().scope("other").issue();
    for (status, ask) in [
        (400, Ask::get("/messages").authorization("Bearer")),
        (401, Ask::get("/messages")),
        (401, Ask::get("/messages").bearer("a.b.c")),
        (403, Ask::get("/messages").bearer(&good)),
    ] {
        let answer = ask.of(&app).await;
        assert_eq!(answer.status.as_u16(), status);
        let reference = &document["paths"]["/messages"]["get"]["responses"][status.to_string()]["$ref"];
        let name =
            reference.as_str().and_then(|name| name.strip_prefix("#/components/responses/")).expect("a component");
        let documented = &document["components"]["responses"][name];
        for header in documented["headers"].as_object().expect("headers").keys() {
            assert!(answer.header(&header.to_lowercase()).is_some(), "{status} has no {header}");
        }
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let schema = &documented["content"]["application/problem+json"]["schema"];
        let problem = answer.problem();
        for member in schema["required"].as_array().expect("members") {
            assert!(problem.get(member.as_str().expect("a name")).is_some(), "{status} has no {member}");
        }
        assert_eq!(schema["properties"]["status"]["enum"], json!([status]));
    }
}

#[tokio::test]
async fn every_contradiction_is_named_at_once() {
    let security = app(discovered().await).openapi_security().deny_undocumented();
    let stating = |security: Value| json!({ "responses": ok(), "security": security });
    let mut document = with_operations([
        ("GET /helth", json!({ "responses": ok() })),
        ("DELETE /messages", json!({ "responses": ok() })),
        ("GET /health", stating(json!([{ "key": [] }]))),
        ("GET /me", stating(json!([{}]))),
        ("GET /messages", stating(json!([{ SCHEME: ["write"] }]))),
        ("POST /messages", stating(json!([{ SCHEME: ["write", "read"] }]))),
        ("GET /hello", json!({ "responses": { "400": { "$ref": "other.json#/400" } } })),
    ]);
    document["components"]["responses"]["InvalidToken"] = json!({ "description": "mine" });
    document["components"]["securitySchemes"][SCHEME] = json!({ "type": "http", "scheme": "basic" });
    let faults = faults(&security.scheme("https://other.example", SecurityScheme::bearer()), &document);
    for expected in [
        "GET /helth is not a route of the router; ",
        "DELETE /messages is not a route of the router; ",
        "GET /health is a public route, and the document has the security [{\"key\":[]}] for it; ",
        "GET /me requires [{\"as.example\":[]}], and the document has the security [{}] for it; ",
        "GET /messages requires [{\"as.example\":[\"read\"]}], and the document has the security \
         [{\"as.example\":[\"write\"]}] for it; ",
        "GET /hello has a response for 400 that is no component of the document; ",
        "GET /age is a route and not in the document; ",
        "GET /admin/users/{id} is a route and not in the document; ",
        "* /reports is a route and not in the document; ",
        "* /files is a route and not in the document; ",
        "the document has another response by the name \"InvalidToken\"; ",
        "the document has another security scheme by the name \"as.example\"; ",
        "a scheme is given for \"https://other.example\", whose tokens no route accepts; ",
    ] {
        let found = faults.iter().filter(|fault| fault.starts_with(expected)).count();
        assert_eq!(found, 1, "{expected}: {faults:#?}");
    }
    assert_eq!(faults.len(), 13, "{faults:#?}");
}

#[tokio::test]
async fn prm_documents_of_the_router_are_public_routes() {
    let resource = ProtectedResource::new("https://api.example/v1");
    let server = ResourceServer::builder().issuer(issuer()).protected_resource(resource).build().await;
    let router = ProtectedRouter::new(server.expect("good settings")).route("/v1/me", authenticated(), get(nothing));
    const PATH: &str = "/.well-known/oauth-protected-resource/v1";
    let document =
        written(&router.openapi_security().deny_undocumented(), &document(&[&format!("GET {PATH}"), "GET /v1/me"]));
    assert_eq!(shown(&document, PATH, "get"), (json!([{}]), Vec::new()));
    assert_eq!(Ask::get(PATH).of(&router.into_router()).await.status, 200);
}

#[tokio::test]
async fn segment_with_a_prefix_is_closer_than_a_parameter_alone() {
    let router = ProtectedRouter::new(discovered().await).route("/{any}/x", public(), get(nothing)).route(
        "/v{version}/x",
        scope("read"),
        get(nothing),
    );
    let document = written(&router.openapi_security(), &document(&["GET /v1/x", "GET /w/x"]));
    assert_eq!(shown(&document, "/v1/x", "get").0, json!([{ SCHEME: ["read"] }]));
    assert_eq!(shown(&document, "/w/x", "get").0, json!([{}]));
    let router = router.into_router();
    assert_eq!(Ask::get("/w/x").of(&router).await.status, 200);
    assert_ne!(Ask::get("/v1/x").of(&router).await.status, 200);
}

#[tokio::test]
async fn security_of_the_document_applies_to_operations_without_their_own() {
    let security = app(discovered().await).openapi_security();
    let mut with_default = document(&["GET /me", "GET /health"]);
    with_default["security"] = json!([{ SCHEME: [] }]);
    let faults = faults(&security, &with_default);
    assert!(faults.len() == 1 && faults[0].starts_with("GET /health is a public route"), "{faults:?}");
    with_default["paths"]["/health"]["get"]["security"] = json!([{}]);
    written(&security, &with_default);
    // An empty list means the same, and aide cannot tell it from none.
    with_default["paths"]["/health"]["get"]["security"] = json!([]);
    with_utoipa(&security, &with_default).unwrap();
}

#[tokio::test]
async fn path_item_that_is_a_reference_is_a_fault() {
    let security = app(discovered().await).openapi_security();
    let mut document = document(&[]);
    document["paths"]["/me"] = json!({ "$ref": "me.json" });
    let faults = faults(&security, &document);
    assert!(faults.len() == 1 && faults[0].starts_with("/me is a reference to a path item"), "{faults:?}");
}

#[tokio::test]
async fn policy_of_too_many_alternatives_is_a_fault() {
    let pair = |number: usize| scope(format!("a{number}").leak()) | scope(format!("b{number}").leak());
    let policy = (1..7).map(pair).fold(pair(0), |all, pair| all & pair);
    let router: ProtectedRouter = ProtectedRouter::new(discovered().await).route("/messages", policy, get(nothing));
    let faults = faults(&router.openapi_security(), &document(&["GET /messages"]));
    assert!(faults.len() == 1 && faults[0].contains("more than 64 alternatives"), "{faults:?}");
}

#[tokio::test]
async fn responses_of_the_application_stay() {
    let security = app(discovered().await).openapi_security();
    let problem = |schema: Value| json!({ "application/problem+json": { "schema": schema } });
    let own = json!({ "type": "object", "required": ["errors"] });
    let mut document = with_operations([(
        "POST /messages",
        json!({ "responses": {
            "400": { "description": "no message", "content": problem(own.clone()) },
            "403": { "$ref": "#/components/responses/Locked" },
            "5XX": { "description": "broken", "content": { "text/plain": { "schema": { "type": "string" } } } },
        } }),
    )]);
    let locked = json!({ "description": "locked", "headers": {
        "www-authenticate": { "style": "simple", "schema": { "type": "string" } },
    } });
    document["components"]["responses"]["Locked"] = locked.clone();
    let document = written(&security, &document);

    let responses = &document["paths"]["/messages"]["post"]["responses"];
    assert_eq!(responses["400"]["description"], "no message");
    assert!(responses["400"]["headers"].get("WWW-Authenticate").is_some());
    let schemas = &responses["400"]["content"]["application/problem+json"]["schema"]["anyOf"];
    assert_eq!(schemas[0], own);
    assert_eq!(schemas[1]["properties"]["status"]["enum"], json!([400]));
    assert_eq!(responses["401"], json!({ "$ref": "#/components/responses/InvalidToken" }));
    assert_eq!(responses["403"]["description"], "locked");
    assert_eq!(responses["403"]["headers"], locked["headers"], "a header is not there twice");
    assert!(responses["403"]["content"].get("application/problem+json").is_some());
    assert_eq!(responses["503"]["content"].as_object().unwrap().len(), 2, "{responses}");
    assert!(responses["503"]["headers"].get("Retry-After").is_some());
    assert_eq!(responses["5XX"]["description"], "broken");
    assert_eq!(document["components"]["responses"]["Locked"], locked);
}

#[tokio::test]
async fn response_by_a_reference_to_a_reference_gets_the_challenge() {
    let security = app(discovered().await).openapi_security();
    let with_401 = |name: &str| {
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        let mut document = with_operations([("GET /me", json!({ "responses": { "401": reference } }))]);
        document["components"]["responses"] = json!({
            "Alias": { "$ref": "#/components/responses/Mine" },
            "Mine": { "description": "mine" },
            "Circle": { "$ref": "#/components/responses/Circle" },
        });
        document
    };
    let document = written(&security, &with_401("Alias"));
    let response = &document["paths"]["/me"]["get"]["responses"]["401"];
    assert!(response["headers"]["WWW-Authenticate"].is_object() && response["description"] == "mine", "{response}");
    let faults = faults(&security, &with_401("Circle"));
    assert!(
        faults[0].starts_with("GET /me has a response for 401 that is no component of the document; "),
        "{faults:?}"
    );
}

#[tokio::test]
async fn bodies_of_the_application_are_not_described() {
    let html = RefusalBody::new(HeaderValue::from_static("text/html"), "no");
    let authenticate = discovered().await.render_refusals(move |_| html.clone());
    let document = written(&app(authenticate).openapi_security(), &document(&["GET /messages"]));
    let responses = document["components"]["responses"].as_object().unwrap();
    assert_eq!(responses.len(), 4);
    for (name, response) in responses {
        assert!(name.ends_with("Rendered") && response.get("content").is_none(), "{name}: {response}");
    }
}

#[derive(Debug)]
struct Legacy;

impl TokenVerifier for Legacy {
    fn issuer(&self) -> &str {
        "legacy"
    }

    fn accepts(&self, token: &PresentedToken<'_>) -> bool {
        token.token().starts_with("legacy-")
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        Verification::ready(Err(VerifyError::invalid("none is valid")))
    }
}

#[tokio::test]
async fn each_issuer_has_a_scheme_and_the_others_share_one() {
    let server: ResourceServer = resource_server()
        .fetch(LoopbackFetch)
        .issuer(Issuer::discovered("https://as.example/t1/"))
        .issuer(Issuer::discovered("https://as.example/t1"))
        .issuer(issuer())
        .verifier(Legacy)
        .build()
        .await
        .unwrap();
    let other = authenticate(Issuer::discovered("https://other.example")).await;
    let router: ProtectedRouter = ProtectedRouter::new(Authenticate::new(server))
        .route("/messages", scope("read"), get(nothing))
        .merge(ProtectedRouter::new(other).route("/other", authenticated(), get(nothing)));
    let security = router.openapi_security();
    let operations = document(&["GET /messages", "GET /other"]);
    let first = written(&security, &operations);
    assert_eq!(
        first["components"]["securitySchemes"],
        json!({
            "as.example_t1": {
                "type": "openIdConnect",
                "openIdConnectUrl": "https://as.example/t1/.well-known/openid-configuration",
            },
            "as.example_t1_2": {
                "type": "openIdConnect",
                "openIdConnectUrl": "https://as.example/t1/.well-known/openid-configuration",
            },
            "bearer": { "type": "http", "scheme": "bearer" },
            "other.example": {
                "type": "openIdConnect",
                "openIdConnectUrl": "https://other.example/.well-known/openid-configuration",
            },
        })
    );
    let scopes = json!([{ "as.example_t1": ["read"] }, { "as.example_t1_2": ["read"] }, { "bearer": ["read"] }]);
    let statuses = |statuses: &[&str]| statuses.iter().map(|status| (*status).to_owned()).collect::<Vec<_>>();
    // The verifier of the application may panic.
    assert_eq!(shown(&first, "/messages", "get"), (scopes, statuses(&["400", "401", "403", "500", "503"])));
    assert_eq!(shown(&first, "/other", "get"), (json!([{ "other.example": [] }]), statuses(&["400", "401", "503"])));

    let security = security
        .scheme("https://as.example/t1", SecurityScheme::open_id_connect("https://as.example/metadata"))
        .scheme("https://as.example/t1/", SecurityScheme::bearer())
        .scheme(ISSUER, SecurityScheme::authorization_code("https://as.example/auth", "https://as.example/token"))
        .scheme("legacy", SecurityScheme::named("legacy_key"));
    let missing = faults(&security, &operations);
    assert!(missing.len() == 1 && missing[0].contains("no security scheme by the name \"legacy_key\""), "{missing:?}");
    let mut operations = operations;
    operations["components"]["securitySchemes"]["legacy_key"] = json!({ "type": "http", "scheme": "bearer" });
    let second = written(&security, &operations);
    let schemes = &second["components"]["securitySchemes"];
    assert_eq!(schemes["as.example_t1"], json!({ "type": "http", "scheme": "bearer" }));
    assert_eq!(schemes["as.example_t1_2"]["openIdConnectUrl"], "https://as.example/metadata");
    assert_eq!(
        schemes["as.example"],
        json!({ "type": "oauth2", "flows": { "authorizationCode": {
            "authorizationUrl": "https://as.example/auth",
            "tokenUrl": "https://as.example/token",
            "refreshUrl": "https://as.example/token",
            "scopes": { "read": "" },
        } } })
    );
    let (security, _) = shown(&second, "/messages", "get");
    let names: Vec<&String> =
        security.as_array().unwrap().iter().flat_map(|all| all.as_object().unwrap().keys()).collect();
    assert_eq!(names, ["as.example_t1", "as.example_t1_2", "as.example", "legacy_key"]);
}

#[tokio::test]
async fn tenants_have_the_scheme_of_bearer_tokens() {
    let tenants = Tenants::template("https://{tenant}.idp.example", |_| true);
    let server = resource_server().fetch(LoopbackFetch).tenants(tenants).build().await.unwrap();
    assert_eq!(server.token_sources().collect::<Vec<_>>(), [TokenSource::Tenants]);
    let document = written(&app(Authenticate::new(server)).openapi_security(), &document(&["GET /messages"]));
    let required = (json!([{ "bearer": ["read"] }]), ["400", "401", "403", "503"].map(str::to_owned).to_vec());
    assert_eq!(shown(&document, "/messages", "get"), required);
    assert_eq!(document["components"]["securitySchemes"], json!({ "bearer": { "type": "http", "scheme": "bearer" } }));
}

struct Write;

impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write"];
}

async fn takes_token(_: AccessToken) {}
async fn takes_option(_: Option<AccessToken>) {}
async fn takes_scope(_: Scoped<Write>) {}

fn api() -> ApiRouter {
    ApiRouter::new()
        .api_route("/me", api_get(takes_token))
        .api_route("/hello", api_get(takes_option))
        .api_route("/messages", api_post(takes_scope))
}

#[tokio::test]
async fn aide_has_the_scopes_of_extractors() {
    let router: ProtectedRouter = ProtectedRouter::new(discovered().await)
        .route("/me", authenticated(), get(takes_token))
        .route("/hello", optional(), get(takes_option))
        .route("/messages", scope("read"), post(takes_scope));
    let mut document = aide::openapi::OpenApi::default();
    let _ = api().finish_api(&mut document);
    router.openapi_security().write_to(&mut document).unwrap();
    let document = serde_json::to_value(&document).unwrap();
    assert!(!document.to_string().contains("x-access-token"), "{document}");
    let statuses = |path, method| shown(&document, path, method).1;
    assert_eq!(statuses("/me", "get"), ["400", "401", "503"]);
    assert_eq!(statuses("/hello", "get"), ["400", "401", "503"]);
    assert_eq!(statuses("/messages", "post"), ["400", "401", "403", "503"]);
    assert_eq!(shown(&document, "/messages", "post").0, json!([{ SCHEME: ["read", "write"] }]));
    assert_eq!(shown(&document, "/hello", "get").0, json!([{ SCHEME: [] }, {}]));
    let unauthorized = &document["paths"]["/me"]["get"]["responses"]["401"];
    assert_eq!(*unauthorized, json!({ "$ref": "#/components/responses/InvalidToken" }), "the inferred one is the same");
}

#[tokio::test]
async fn aide_document_of_a_plain_router_has_the_refusals_of_extractors() {
    let mut document = aide::openapi::OpenApi::default();
    let _ = api().finish_api(&mut document);
    let document = serde_json::to_value(&document).unwrap();
    assert_eq!(shown(&document, "/me", "get").1, ["401"]);
    assert_eq!(shown(&document, "/messages", "post").1, ["401", "403"]);
    assert_eq!(document["paths"]["/messages"]["post"]["x-access-token-scopes"], json!(["write"]));
}

#[tokio::test]
async fn public_route_whose_handler_takes_a_token_is_a_fault_of_aide() {
    let router: ProtectedRouter = ProtectedRouter::new(discovered().await)
        .route("/me", public(), get(takes_token))
        .route("/hello", public(), get(takes_option))
        .route("/messages", public(), post(takes_scope));
    let mut document = aide::openapi::OpenApi::default();
    let _ = api().finish_api(&mut document);
    let error = router.openapi_security().write_to(&mut document).unwrap_err();
    assert_eq!(error.faults().filter(|fault| fault.contains("so that it answers 500")).count(), 3, "{error}");
    // It does.
    assert_eq!(Ask::with_method(Method::GET, "/me").of(&router.into_router()).await.status.as_u16(), 500);
}

/// A document by utoipa's macros.
mod by_macros {
    #[utoipa::path(get, path = "/messages", responses((status = 200, description = "the messages", body = Vec<String>)))]
    pub(super) async fn messages() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(messages))]
    pub(super) struct Document;
}

#[tokio::test]
async fn utoipa_document_of_macros_is_secured() {
    use utoipa::OpenApi as _;

    let router: ProtectedRouter =
        ProtectedRouter::new(discovered().await).route("/messages", scope("read"), get(by_macros::messages));
    let mut document = by_macros::Document::openapi();
    router.openapi_security().write_to(&mut document).unwrap();
    let document = serde_json::to_value(&document).unwrap();
    assert_eq!(shown(&document, "/messages", "get").0, json!([{ SCHEME: ["read"] }]));
}
