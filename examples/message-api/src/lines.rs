//! The `curl` lines to try.

use std::time::Duration;

use scopegate_testing::TestIssuer;

use crate::AUDIENCE;

/// Prints the lines to try and their expected results.
pub(crate) fn print(issuer: &TestIssuer, url: &str) {
    let lifetime = Duration::from_secs(60 * 60);
    let token =
        |scope: &str| issuer.token().audience(AUDIENCE).scope(scope).claim("display_name", "Ada").expires_in(lifetime);
    let with = |token: String, path: &str| format!("curl -i -H 'Authorization: Bearer {token}' '{url}{path}'");
    // The endpoints of the page. A real API has no such routes.
    let playground = |endpoint: &str, body: &str| {
        format!("curl -i -X POST -H 'content-type: application/json' -d '{body}' '{url}/playground/{endpoint}'")
    };
    let opaque = issuer.opaque_token().audience(AUDIENCE).scope("message").expires_in(lifetime).issue();
    let lines = [
        ("200: no token is needed", format!("curl -i '{url}/public'")),
        ("200: every valid token is accepted", with(token("profile").issue(), "/me")),
        ("200: the token has the scope `message`", with(token("message").issue(), "/messages")),
        ("200: the token has both scopes", with(token("admin message").issue(), "/admin")),
        ("401: there is no token, and the challenge has no error", format!("curl -i '{url}/messages'")),
        ("401 invalid_token: the token has expired", with(token("message").expired().issue(), "/messages")),
        (
            "401 invalid_token: the token is for another API",
            with(token("message").audience("https://other.example").issue(), "/messages"),
        ),
        (
            "401 invalid_token: the token is signed with an unknown key",
            with(token("message").signed_by_wrong_key().issue(), "/messages"),
        ),
        ("403 insufficient_scope: the route requires `message`", with(token("profile").issue(), "/messages")),
        ("400 invalid_request: two tokens at once", with(token("message").issue(), "/messages?access_token=x")),
        ("200: an opaque token, verified by introspection", with(opaque.clone(), "/messages")),
        (
            "200: the issuer revokes the token, and the API drops its cached answer",
            playground("revoke", &format!(r#"{{"token": "{opaque}"}}"#)),
        ),
        ("401 invalid_token: the token is refused from now on", with(opaque, "/messages")),
        ("200: the keys of the issuer, for a readiness probe", format!("curl -i '{url}/health'")),
        ("200: the issuer gets a new key, and keeps the old one published", playground("rotate", "{}")),
        (
            "200: a token signed by the new key, for /messages (within a second of another fetch of keys it is a 401: try again)",
            playground("token", r#"{"kind": "jwt", "scope": "message"}"#),
        ),
        ("200: the issuer goes down", playground("outage", "{}")),
        ("200: its tokens are still verified, with the cached keys", with(token("message").issue(), "/messages")),
        ("200: the issuer comes back", playground("recover", "{}")),
    ];
    println!("\nThe tokens below are valid for an hour; restart for new ones.");
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
