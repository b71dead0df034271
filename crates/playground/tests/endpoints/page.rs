use crate::rig::Rig;

#[tokio::test]
async fn the_page_may_load_and_call_nothing_but_this_server() {
    let rig = Rig::for_jwts().await;
    let page = rig.get("/").await;
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let mut directives = policy.split("; ");
    assert_eq!(directives.next(), Some("default-src 'none'"));
    for (directive, expected) in directives.by_ref().take(2).zip(["script-src", "style-src"]) {
        let (name, source) = directive.split_once(' ').unwrap();
        assert!(name == expected && source.starts_with("'sha256-") && !source.contains(' '), "{policy}");
    }
    let others: Vec<_> = directives.collect();
    assert_eq!(
        others,
        ["connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    );
}
