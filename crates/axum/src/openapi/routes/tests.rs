use scopegate_core::{Issuer, ResourceServer, public};

use super::*;

async fn authenticate() -> Option<Authenticate> {
    let keys = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    scopegate_core::CryptoBackend::compiled_in()?;
    let builder = ResourceServer::builder().issuer(Issuer::with_jwks("https://as.example", *keys));
    Some(Authenticate::new(builder.audience("https://api.example").build().await.expect("good settings")))
}

#[tokio::test]
async fn operation_is_answered_by_the_route_that_the_router_chooses() {
    let Some(authenticate) = authenticate().await else { return };
    let route = |path: &str, is_prefix, methods: Option<&[Method]>| SecuredRoute {
        path: path.to_owned(),
        is_prefix,
        methods: methods.map(<[Method]>::to_vec),
        access: public(),
        authenticate: authenticate.clone(),
    };
    let get = || Some(&[Method::GET][..]);
    let routes = [
        route("/users/{id}", false, get()),
        route("/users/me", false, get()),
        route("/files", true, None),
        route("/files/{name}", false, get()),
        route("/files/{name}", false, Some(&[Method::PUT])),
        route("/assets/{*path}", false, None),
        route("/items/{id}", false, None),
        route("/items/{id}", false, get()),
        route("/", false, get()),
        route("/v1/{kind}.json", false, get()),
        route("/{{literal}}/x", false, get()),
        route("/api/users/{id}/posts", false, get()),
        route("/api/{kind}/me/posts", false, get()),
    ];
    for (method, path, expected) in [
        ("GET", "/users/{user}", Some(0)),
        ("GET", "/users/someone", Some(0)),
        ("GET", "/users/me", Some(1)),
        ("HEAD", "/users/me", Some(1)),
        ("POST", "/users/me", None),
        ("GET", "/users", None),
        ("GET", "/users/", None),
        ("GET", "/users/{id}/", None),
        ("GET", "/{any}/me", None),
        ("GET", "/files", Some(2)),
        ("GET", "/files/{a}/{b}", Some(2)),
        ("GET", "/files/x", Some(3)),
        ("PUT", "/files/{x}", Some(4)),
        // The path decides before the method: the router answers 405.
        ("DELETE", "/files/{x}", None),
        ("GET", "/filesystem", None),
        ("POST", "/assets/{path}", Some(5)),
        ("POST", "/assets/css/main.css", Some(5)),
        ("POST", "/assets", None),
        ("POST", "/assets/", None),
        ("GET", "/items/{id}", Some(7)),
        ("HEAD", "/items/{id}", Some(7)),
        ("POST", "/items/{id}", Some(6)),
        ("GET", "/", Some(8)),
        ("GET", "/v1/{a}.json", Some(9)),
        ("GET", "/v1/{a}.xml", None),
        ("GET", "/v1/{a}", None),
        ("GET", "/{{literal}}/x", Some(10)),
        ("GET", "/api/users/me/posts", Some(11)),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        assert_eq!(route_of(&routes, path, &method), expected, "{method} {path}");
    }
}
