//! The lines to try, and their expected results.

use std::time::Duration;

use scopegate_testing::TestIssuer;

use crate::{
    AUDIENCE,
    sessions::Sessions,
    stand_ins::{StandIns, github, qq, wechat},
    verifiers,
};

pub(crate) fn print(api: &str, issuer: &TestIssuer, stand_ins: &StandIns) {
    println!("The API is at {api}, and its issuer at {}.", issuer.issuer());
    for (provider, url) in [
        (verifiers::github::API, &stand_ins.github),
        (verifiers::qq::API, &stand_ins.qq),
        (verifiers::wechat::API, &stand_ins.wechat),
    ] {
        println!("{url} stands in for {provider}.");
    }

    let jwt = |scope: &str| {
        issuer.token().audience(AUDIENCE).scope(scope).claim("kind", "jwt").expires_in(Duration::from_secs(60 * 60))
    };
    let opaque = issuer.opaque_token().audience(AUDIENCE).scope("message").claim("kind", "opaque").issue();
    let with =
        |token: &str, headers: &str| format!("curl -i -H 'Authorization: Bearer {token}'{headers} '{api}/message'");
    let bearer = |token: &str| with(token, "");
    let from_qq = |token: &str| with(token, " -H 'X-Token-Provider: qq'");
    let from_wechat =
        |token: &str, session: &str| with(token, &format!(" -H 'X-Token-Provider: wechat' -H 'X-Session: {session}'"));
    let switch = |stand_in: &str, switch: &str| format!("curl -i -X POST '{stand_in}/{switch}'");

    let lines = [
        ("200: a JWT of the issuer", bearer(&jwt("message").issue())),
        ("200: an opaque token of the issuer, verified by introspection", bearer(&opaque)),
        ("200: a token of GitHub", bearer(github::TOKEN)),
        ("200: a token of QQ", from_qq(qq::TOKEN)),
        ("200: a token of WeChat, in the session of its user", from_wechat(wechat::TOKEN, Sessions::OF_LI)),
        ("401: there is no token, and the challenge has no error", format!("curl -i '{api}/message'")),
        (
            "401 invalid_token: the JWT is signed with an unknown key",
            bearer(&jwt("message").signed_by_wrong_key().issue()),
        ),
        ("401 invalid_token: GitHub does not know the token", bearer("gho_unknown")),
        ("401 invalid_token: the token was issued to another app at GitHub", bearer(github::TOKEN_OF_ANOTHER)),
        ("401 invalid_token: QQ does not know the token", from_qq("0000000000000000")),
        ("401 invalid_token: the token was issued to another client of QQ", from_qq(qq::TOKEN_OF_ANOTHER)),
        ("401 invalid_token: WeChat does not know the token", from_wechat("OezXunknown", Sessions::OF_LI)),
        (
            "401 invalid_token: the session belongs to another user than the token",
            from_wechat(wechat::TOKEN, Sessions::OF_WANG),
        ),
        (
            "400 invalid_request: a token of WeChat needs a session",
            with(wechat::TOKEN, " -H 'X-Token-Provider: wechat'"),
        ),
        ("401 invalid_token: it is not a token of QQ, whatever its prefix", from_qq(github::TOKEN)),
        ("403 insufficient_scope: the JWT lacks `message`", bearer(&jwt("profile").issue())),
        (
            "403 insufficient_scope: the scope `gist` at GitHub does not grant `message`",
            bearer(github::TOKEN_FOR_GISTS),
        ),
        ("200: GitHub goes down", switch(&stand_ins.github, "outage")),
        ("503: a token that is not cached cannot be verified", bearer(github::SECOND_TOKEN)),
        ("200: a JWT is still verified", bearer(&jwt("message").issue())),
        ("200: so is a token of QQ", from_qq(qq::TOKEN)),
        ("200: GitHub comes back", switch(&stand_ins.github, "recover")),
        ("200: its tokens are verified again", bearer(github::SECOND_TOKEN)),
    ];
    println!("The JWTs below are valid for an hour; restart for new ones.");
    println!("The result for a token of a provider is cached for half a minute.");
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
