//! The verifiers' results for the providers' responses.

use std::sync::Arc;

use axum::{
    Router,
    http::{Request, StatusCode, header::LOCATION},
    routing::any,
};
use scopegate_axum::{Reason, ResourceServer, VerifiedToken};
use tokio::net::TcpListener;

use super::{MAX_RESPONSE, client, github::GitHub, qq::Qq, wechat::WeChat};
use crate::sessions::Sessions;

/// The result of a token if its provider responds with this to every request.
async fn judge(provider: &str, answer: (u16, &str)) -> Result<VerifiedToken, Reason> {
    let status = StatusCode::from_u16(answer.0).unwrap();
    let (body, elsewhere) = (answer.1.to_owned(), answer.1.to_owned());
    let app = Router::new()
        .route("/elsewhere", any(|| async { elsewhere })) // A client that follows redirects gets this response.
        .fallback(move || async move { (status, [(LOCATION, "/elsewhere")], body) });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = client().unwrap();
    let resource_server = ResourceServer::builder()
        .verifier(GitHub::new(client.clone(), &url, "us", "secret"))
        .verifier(Qq::new(client.clone(), &url, "us"))
        .verifier(WeChat::new(client, &url, Arc::new(Sessions::demo())))
        .audience("https://api.example");
    let request = Request::builder().header("authorization", "Bearer gho_token").header("x-session", Sessions::OF_LI);
    let request = if provider == "github" { request } else { request.header("x-token-provider", provider) };
    let (request, ()) = request.body(()).unwrap().into_parts();
    let authentication = resource_server.build().await.unwrap().authenticate(&request).await;
    authentication.map(|found| found.token().unwrap().clone()).map_err(|error| error.reason())
}

#[tokio::test]
async fn what_github_says_is_understood() {
    let good = r#"{"user":{"id":1},"scopes":["user","read:user","gist"],"expires_at":"2099-12-31T23:59:59Z"}"#;
    let token = judge("github", (200, good)).await.unwrap();
    assert_eq!((token.issuer(), token.subject(), token.client_id()), ("https://github.com", Some("1"), Some("us")));
    assert_eq!(token.scope().to_string(), "message");
    assert_eq!(token.expires_at().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 4_102_444_799);
    let token = judge("github", (200, r#"{"user":{"id":1},"scopes":null,"expires_at":null}"#)).await.unwrap();
    assert!(token.scope().is_empty() && token.expires_at().is_none());

    let expired = r#"{"user":{"id":1},"scopes":["user"],"expires_at":"1999-12-31T23:59:59Z"}"#;
    assert_eq!(judge("github", (200, expired)).await.unwrap_err(), Reason::Expired);
    assert_eq!(judge("github", (404, "{}")).await.unwrap_err(), Reason::InactiveToken);
    for answer in [
        (200, "{}"),
        (200, r#"{"user":null,"scopes":["user"]}"#),
        (200, r#"{"user":{"id":1},"scopes":"user"}"#),
        (200, r#"{"user":{"id":1},"scopes":["user"],"expires_at":"tomorrow"}"#),
        (302, good),
        (401, good),
        (403, good),
    ] {
        assert_eq!(judge("github", answer).await.unwrap_err(), Reason::IssuerUnavailable, "{answer:?}");
    }
}

#[tokio::test]
async fn what_qq_says_is_understood() {
    let good = r#"callback( {"client_id":"us","openid":"o"} );"#;
    let token = judge("qq", (200, good)).await.unwrap();
    assert_eq!((token.issuer(), token.subject(), token.client_id()), ("https://graph.qq.com", Some("o"), Some("us")));
    assert!(token.scope().to_string() == "message" && token.expires_at().is_some());

    for (answer, reason) in [
        (r#"callback( {"client_id":"them","openid":"o"} );"#, Reason::WrongAudience),
        (r#"callback( {"client_id":"them"} );"#, Reason::WrongAudience),
        (r#"callback( {"error":100016,"error_description":""} );"#, Reason::InactiveToken),
        (r#"callback( {"error":100016,"client_id":"us","openid":"o"} );"#, Reason::InactiveToken),
        (r#"callback( {"error":100029,"error_description":""} );"#, Reason::IssuerUnavailable),
        (r#"callback( {"error":0,"client_id":"us","openid":"o"} );"#, Reason::IssuerUnavailable),
        (r#"callback( {"client_id":"us"} );"#, Reason::IssuerUnavailable),
        (r#"callback( {"openid":"o"} );"#, Reason::IssuerUnavailable),
        (r#"{"client_id":"us","openid":"o"}"#, Reason::IssuerUnavailable),
    ] {
        assert_eq!(judge("qq", (200, answer)).await.unwrap_err(), reason, "{answer}");
    }
    for status in [302, 404, 500] {
        assert_eq!(judge("qq", (status, good)).await.unwrap_err(), Reason::IssuerUnavailable, "{status}");
    }
}

#[tokio::test]
async fn what_wechat_says_is_understood() {
    let good = r#"{"errcode":0,"errmsg":"ok"}"#;
    let token = judge("wechat", (200, good)).await.unwrap();
    assert_eq!((token.issuer(), token.subject()), ("https://api.weixin.qq.com", Some("openid-of-li")));
    assert!(token.scope().to_string() == "message" && token.expires_at().is_some());

    for (answer, reason) in [
        (r#"{"errcode":40003,"errmsg":"invalid openid"}"#, Reason::InactiveToken),
        (r#"{"errcode":42001,"errmsg":"access_token expired"}"#, Reason::InactiveToken),
        (r#"{"errcode":-1,"errmsg":"system error"}"#, Reason::IssuerUnavailable),
        (r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#, Reason::IssuerUnavailable),
        (r#"{"errcode":"0"}"#, Reason::IssuerUnavailable),
        (r#"{"errmsg":"ok"}"#, Reason::IssuerUnavailable),
        ("<html>ok</html>", Reason::IssuerUnavailable),
    ] {
        assert_eq!(judge("wechat", (200, answer)).await.unwrap_err(), reason, "{answer}");
    }
    for status in [302, 404, 500] {
        assert_eq!(judge("wechat", (status, good)).await.unwrap_err(), Reason::IssuerUnavailable, "{status}");
    }
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    assert!(judge("wechat", (200, &padded(MAX_RESPONSE))).await.is_ok());
    assert_eq!(judge("wechat", (200, &padded(MAX_RESPONSE + 1))).await.unwrap_err(), Reason::IssuerUnavailable);
}
