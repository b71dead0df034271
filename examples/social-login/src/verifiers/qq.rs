//! Tokens of QQ.
//!
//! `GET /oauth2.0/me` returns the user and the application of a token. It always answers 200, with a script (JSONP) that calls
//! a function with an object: `callback( {"client_id":"…","openid":"…"} );`.

use std::time::Duration;

use reqwest::Client;
use scopegate_axum::token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError};
use serde::{Deserialize, de::Error as _};

use super::{ask, named_provider, text};

/// The real API, and the issuer's name of its users.
pub(crate) const API: &str = "https://graph.qq.com";

/// QQ does not say when a token expires. The verified token expires after this, so that one that a handler keeps does not stay
/// valid.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(crate) struct Qq {
    client: Client,
    base_url: String,
    client_id: String,
}

/// Either the first member is present, or the others are.
#[derive(Debug, Deserialize, PartialEq)]
struct Me {
    error: Option<i64>,
    client_id: Option<String>,
    openid: Option<String>,
}

impl Qq {
    pub(crate) fn new(client: Client, base_url: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self { client, base_url: base_url.into(), client_id: client_id.into() }
    }
}

impl TokenVerifier for Qq {
    fn issuer(&self) -> &str {
        API
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        named_provider(presented) == Some("qq")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let query = [("access_token", presented.token())];
        let request = self.client.get(format!("{}/oauth2.0/me", self.base_url)).query(&query);
        let ours = self.client_id.clone();
        Verification::cached_by_token(async move {
            match callback(&text(ask(request).await?).await?)? {
                // The token is invalid, expired, revoked, or unknown.
                Me { error: Some(code @ 100_013..=100_016), .. } => Err(VerifyError::invalid(format!("error {code}"))),
                Me { error: Some(code), .. } => Err(VerifyError::unavailable(format!("error {code}"))),
                // Every application gets tokens of its users, and could present them here.
                Me { client_id: Some(client_id), .. } if client_id != ours => {
                    Err(VerifyError::for_another_audience(client_id))
                }
                // QQ returns no scope: every user who logs in by QQ may read messages.
                Me { client_id: Some(client_id), openid: Some(openid), .. } => Ok(TokenInfo::for_subject(openid)
                    .client_id(client_id)
                    .scope("message")
                    .expires_in(LIFETIME)
                    .claim("kind", "qq")),
                Me { .. } => Err(VerifyError::unavailable("the answer does not say whose the token is")),
            }
        })
    }
}

/// Extracts the object from the script, which must be exactly this call: nothing of it is executed or searched.
fn callback(script: &str) -> serde_json::Result<Me> {
    let object = script.trim_ascii_end().strip_prefix("callback(").and_then(|rest| rest.strip_suffix(");"));
    serde_json::from_str(object.ok_or_else(|| serde_json::Error::custom("the answer is not `callback(…);`"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_one_object_is_read() {
        let me = Me { error: None, client_id: Some("1".into()), openid: Some("2".into()) };
        for script in [
            r#"callback( {"client_id":"1","openid":"2"} );"#,
            r#"callback({"client_id":"1","openid":"2"});"#,
            "callback( {\"client_id\":\"1\",\"openid\":\"2\"} );\n",
            r#"callback( {"client_id":"1","openid":"2","unionid":"3"} );"#,
        ] {
            assert_eq!(callback(script).unwrap(), me, "{script}");
        }
        let refusal = callback(r#"callback( {"error":100016,"error_description":"access token check failed"} );"#);
        assert_eq!(refusal.unwrap(), Me { error: Some(100_016), client_id: None, openid: None });
    }

    #[test]
    fn anything_else_is_no_answer() {
        for script in [
            "",
            "callback(",
            "callback();",
            "callback(  );",
            r#"{"client_id":"1","openid":"2"}"#,
            // Another function, or more than its name.
            r#"jsonp( {"client_id":"1","openid":"2"} );"#,
            r#"Callback( {"client_id":"1","openid":"2"} );"#,
            r#"callback2( {"client_id":"1","openid":"2"} );"#,
            r#"window.callback( {"client_id":"1","openid":"2"} );"#,
            r#" callback( {"client_id":"1","openid":"2"} );"#,
            // Something before or after the call.
            r#"evil();callback( {"client_id":"1","openid":"2"} );"#,
            r#"callback( {"client_id":"1","openid":"2"} ); evil();"#,
            r#"callback( {"client_id":"1","openid":"2"} ); // );"#,
            r#"callback( {"client_id":"1","openid":"2"} ); callback( {"client_id":"1","openid":"3"} );"#,
            r#"callback( {"client_id":"1","openid":"2"} )"#,
            // More or less than one object of strings.
            r#"callback( {"client_id":"1","openid":"2"}, {"client_id":"1","openid":"3"} );"#,
            r#"callback( {"client_id":"1","openid":"2"}{"client_id":"1","openid":"3"} );"#,
            r#"callback( {"client_id":"1","openid":"2","openid":"3"} );"#,
            r#"callback( {"client_id":1,"openid":"2"} );"#,
            r#"callback( {"error":"100016","client_id":"1","openid":"2"} );"#,
            r#"callback( {client_id:"1",openid:"2"} );"#,
            r#"callback( "{}" );"#,
            "callback( null );",
            "<!DOCTYPE html><html><body>callback( {} );</body></html>",
        ] {
            assert!(callback(script).is_err(), "{script}");
        }
    }
}
