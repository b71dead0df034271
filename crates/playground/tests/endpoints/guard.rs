use axum::http::StatusCode;

use crate::rig::{HOST, JSON, Rig};

const GET: [&str; 3] = ["/", "/playground/state", "/playground/log/1"];
const POST: [&str; 7] = ["token", "proof", "explain", "rotate", "outage", "recover", "revoke"];

async fn status(rig: &Rig, method: &str, path: &str, headers: &[(&str, &str)]) -> StatusCode {
    rig.send(method, path, headers, "{}").await.status
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_everywhere() {
    let rig = Rig::for_jwts().await;
    for host in ["attacker.example", "127.0.0.1.attacker.example:3000", "127.0.0.2", "0.0.0.0:3000", "a@localhost", ""]
    {
        for path in GET {
            assert_eq!(status(&rig, "GET", path, &[("host", host)]).await, 403, "{path} {host}");
        }
        for endpoint in POST {
            let path = format!("/playground/{endpoint}");
            assert_eq!(status(&rig, "POST", &path, &[("host", host), JSON]).await, 403, "{path} {host}");
        }
    }
    assert!(rig.issuer.is_up());
}

#[tokio::test]
async fn the_host_is_one_and_is_that_of_the_target() {
    let rig = Rig::for_jwts().await;
    let state = "/playground/state";
    for (target, hosts, expected) in [
        (state, &["localhost"][..], 200),
        (state, &["LOCALHOST:8080"], 200),
        (state, &["[::1]:3000"], 200),
        (state, &[], 403),
        (state, &[HOST, HOST], 403),
        (state, &[HOST, "attacker.example"], 403),
        ("http://127.0.0.1:3000/playground/state", &[HOST], 200),
        ("http://127.0.0.1:3000/playground/state", &[], 200),
        ("http://attacker.example/playground/state", &[HOST], 403),
        ("http://127.0.0.1:3000/playground/state", &["attacker.example"], 403),
    ] {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        assert_eq!(status(&rig, "GET", target, &headers).await.as_u16(), expected, "{target} {hosts:?}");
    }
}

#[tokio::test]
async fn a_request_of_another_page_is_refused_everywhere() {
    let rig = Rig::for_jwts().await;
    for origin in ["https://attacker.example", "http://127.0.0.1:4000", "http://localhost:3000", "null", ""] {
        for path in GET {
            assert_eq!(status(&rig, "GET", path, &[("host", HOST), ("origin", origin)]).await, 403, "{path} {origin}");
        }
        for endpoint in POST {
            let headers = [("host", HOST), ("origin", origin), JSON];
            let path = format!("/playground/{endpoint}");
            assert_eq!(status(&rig, "POST", &path, &headers).await, 403, "{path} {origin}");
        }
    }
    let own = [("host", HOST), ("origin", "http://127.0.0.1:3000"), JSON];
    assert_eq!(status(&rig, "POST", "/playground/outage", &own).await, 200);
    assert!(!rig.issuer.is_up());
}

#[tokio::test]
async fn a_form_is_no_request_of_the_page() {
    let rig = Rig::for_jwts().await;
    for endpoint in POST {
        let path = format!("/playground/{endpoint}");
        assert_eq!(status(&rig, "POST", &path, &[("host", HOST)]).await, 415, "{path}");
        for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"] {
            let headers = [("host", HOST), ("content-type", form)];
            assert_eq!(status(&rig, "POST", &path, &headers).await, 415, "{path} {form}");
        }
    }
    let with_charset = [("host", HOST), ("content-type", "application/json; charset=utf-8")];
    assert_eq!(status(&rig, "POST", "/playground/outage", &with_charset).await, 200);
}

#[tokio::test]
async fn refusals_have_a_remedy_and_nothing_of_the_request() {
    let rig = Rig::for_jwts().await;
    for (headers, remedy) in [
        (vec![("host", "marker-5f0e.example")], "127.0.0.1, [::1] and localhost"),
        (vec![("host", HOST), ("origin", "https://marker-5f0e.example")], "by another page"),
        (vec![("host", HOST), ("content-type", "text/marker-5f0e")], "content-type: application/json"),
    ] {
        let answer = rig.send("POST", "/playground/rotate", &headers, "marker-5f0e").await;
        assert!(answer.json()["error"].as_str().unwrap().contains(remedy), "{}", answer.text);
        assert!(!answer.text.contains("marker-5f0e"), "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn the_api_is_not_behind_the_guard() {
    let rig = Rig::for_jwts().await;
    let headers = [("host", "api.example"), ("origin", "https://app.example")];
    assert_eq!(status(&rig, "GET", "/public", &headers).await, 200);
}
