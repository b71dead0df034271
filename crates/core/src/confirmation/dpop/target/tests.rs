use super::*;

fn url(text: &str) -> PublicUrl {
    PublicUrl::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn is_match(htu: &str, base: &str, path: &str) -> bool {
    matched(htu, &[url(base)], path).is_some()
}

/// Each of these is what it is normalised to, and stays that.
const NORMALIZED: &[(&str, &str)] = &[
    // Scheme and host.
    ("https://api.example/r", "https://api.example/r"),
    ("HTTPS://api.example/r", "https://api.example/r"),
    ("hTtP://api.example/r", "http://api.example/r"),
    ("https://API.Example/r", "https://api.example/r"),
    ("https://api.ex%61mple/r", "https://api.example/r"),
    ("https://api.ex%41mple/r", "https://api.example/r"),
    ("https://api%2eexample/r", "https://api.example/r"),
    ("https://api.example./r", "https://api.example./r"),
    ("https://a%c3%a9.example/r", "https://a%C3%A9.example/r"),
    ("https://a%2fb.example/r", "https://a%2Fb.example/r"),
    ("https://xn--Bcher-KVA.example/r", "https://xn--bcher-kva.example/r"),
    ("https://x_y.example/r", "https://x_y.example/r"),
    ("https://a!$&'()*+,;=~.example/r", "https://a!$&'()*+,;=~.example/r"),
    ("https://127.0.0.1/r", "https://127.0.0.1/r"),
    ("https://127.1/r", "https://127.1/r"),
    ("https://0x7f.0.0.1/r", "https://0x7f.0.0.1/r"),
    ("https://[2001:DB8::1]/r", "https://[2001:db8::1]/r"),
    ("https://[2001:0db8:0:0:0:0:0:1]/r", "https://[2001:db8::1]/r"),
    ("https://[::ffff:7f00:1]/r", "https://[::ffff:127.0.0.1]/r"),
    ("https://[::ffff:ffff:ffff]/r", "https://[::ffff:255.255.255.255]/r"),
    ("https://[::1]:443/r", "https://[::1]/r"),
    ("https://[::1]:/r", "https://[::1]/r"),
    ("https://[::1]:8443", "https://[::1]:8443/"),
    // Ports.
    ("https://api.example:443/r", "https://api.example/r"),
    ("http://api.example:80/r", "http://api.example/r"),
    ("https://api.example:80/r", "https://api.example:80/r"),
    ("http://api.example:443/r", "http://api.example:443/r"),
    ("https://api.example:/r", "https://api.example/r"),
    ("https://api.example:0443/r", "https://api.example/r"),
    ("https://api.example:08443/r", "https://api.example:8443/r"),
    ("https://api.example:65535/r", "https://api.example:65535/r"),
    ("https://api.example:8443", "https://api.example:8443/"),
    // The empty path, query and fragment.
    ("https://api.example", "https://api.example/"),
    ("https://api.example/", "https://api.example/"),
    ("https://api.example?x=1", "https://api.example/"),
    ("https://api.example#f", "https://api.example/"),
    ("https://api.example/r?x=/../#y?z", "https://api.example/r"),
    ("https://api.example/r#y?z", "https://api.example/r"),
    ("https://api.example/r?", "https://api.example/r"),
    ("https://api.example/r#", "https://api.example/r"),
    ("https://api.example?@evil.example/r", "https://api.example/"),
    ("https://api.example#@evil.example/r", "https://api.example/"),
    ("https://api.example/r?caf\u{e9} %zz\\", "https://api.example/r"),
    // Case, slashes and percent-encoding of the path.
    ("https://api.example/R", "https://api.example/R"),
    ("https://api.example/r/", "https://api.example/r/"),
    ("https://api.example//r", "https://api.example//r"),
    ("https://api.example/r//", "https://api.example/r//"),
    ("https://api.example/%7er", "https://api.example/~r"),
    ("https://api.example/%7Er", "https://api.example/~r"),
    ("https://api.example/%6d%4D%31%2d%5f", "https://api.example/mM1-_"),
    ("https://api.example/a%2fb", "https://api.example/a%2Fb"),
    ("https://api.example/a%2Fb", "https://api.example/a%2Fb"),
    ("https://api.example/%c3%A9", "https://api.example/%C3%A9"),
    ("https://api.example/%00%0a%20%5c", "https://api.example/%00%0A%20%5C"),
    ("https://api.example/%3fx%23y", "https://api.example/%3Fx%23y"),
    ("https://api.example/%2541", "https://api.example/%2541"),
    ("https://api.example/%25%34%31", "https://api.example/%2541"),
    ("https://api.example/%21", "https://api.example/%21"),
    ("https://api.example/a:b@c;d=e,f!$&'()*+", "https://api.example/a:b@c;d=e,f!$&'()*+"),
    ("https://api.example/http://x", "https://api.example/http://x"),
    // What RFC 3986 does not allow in a path and the URL Standard does not encode there.
    ("https://api.example/a|b", "https://api.example/a%7Cb"),
    ("https://api.example/a%7cb", "https://api.example/a%7Cb"),
    ("https://api.example/[r]", "https://api.example/%5Br%5D"),
    ("https://api.example/r^2/", "https://api.example/r%5E2/"),
    ("https://[::1]/[::1]", "https://[::1]/%5B::1%5D"),
    ("https://api.example/|/../[/./^", "https://api.example/%5B/%5E"),
    ("https://api.example/%257C", "https://api.example/%257C"),
    // Dot segments.
    ("https://api.example/.", "https://api.example/"),
    ("https://api.example/..", "https://api.example/"),
    ("https://api.example/./r", "https://api.example/r"),
    ("https://api.example/../r", "https://api.example/r"),
    ("https://api.example/../../r", "https://api.example/r"),
    ("https://api.example/a/./b", "https://api.example/a/b"),
    ("https://api.example/a/../b", "https://api.example/b"),
    ("https://api.example/a/b/../../c", "https://api.example/c"),
    ("https://api.example/a/b/../..", "https://api.example/"),
    ("https://api.example/a/.", "https://api.example/a/"),
    ("https://api.example/a/..", "https://api.example/"),
    ("https://api.example/a/b/..", "https://api.example/a/"),
    ("https://api.example/a//../b", "https://api.example/a/b"),
    ("https://api.example//../b", "https://api.example/b"),
    ("https://api.example///../b", "https://api.example//b"),
    ("https://api.example/a/%2e%2E/b", "https://api.example/b"),
    ("https://api.example/a/.%2e/b", "https://api.example/b"),
    ("https://api.example/a/%2e", "https://api.example/a/"),
    ("https://api.example/a/.../b", "https://api.example/a/.../b"),
    ("https://api.example/a/.b/..b/b..", "https://api.example/a/.b/..b/b.."),
    ("https://api.example/a/..%2fb", "https://api.example/a/..%2Fb"),
    ("https://api.example/a/..;x/b", "https://api.example/a/..;x/b"),
    // RFC 3986 §5.2.4 and §6.2.2.
    ("https://api.example/a/b/c/./../../g", "https://api.example/a/g"),
    ("https://api.example/mid/content=5/../6", "https://api.example/mid/6"),
];

#[test]
fn dpop_8_htu_is_normalized_and_no_more_than_that() {
    for (htu, expected) in NORMALIZED {
        assert_eq!(normalize(htu).as_deref(), Some(*expected), "{htu}");
        assert_eq!(normalize(expected).as_deref(), Some(*expected), "again: {htu}");
        assert!(matches!(normalize(expected), Some(Cow::Borrowed(_))), "{expected} is copied");
    }
}

#[test]
fn dpop_8_what_is_no_http_uri_is_refused() {
    for bad in [
        "",
        "/r",
        "r",
        "//api.example/r",
        "api.example/r",
        "https:",
        "https:/api.example/r",
        "https:api.example/r",
        "https://",
        "https:///r",
        "https://:443/r",
        "https://?x",
        "https://#x",
        "http//api.example",
        "httpss://api.example/r",
        "ftp://api.example/r",
        "wss://api.example/r",
        "urn:ietf:params",
        " https://api.example/r",
        "https://api.example/r ",
        "https://api.example/r\n",
        "https://api.example/a b",
        "https://api.example/\0",
        "https://api.example/\u{7f}",
        "https://api.example/caf\u{e9}",
        "https://\u{e9}.example/r",
        "\u{212a}ttps://api.example/r",
        "https\u{ff1a}//api.example/r",
        "https://api.example\\r",
        "https://api.example/a\\..\\r",
        "https://api.example/\"",
        "https://api.example/<r>",
        "https://api.example/{r}",
        "https://api.example/`",
        "https://api|example/r",
        "https://api^example/r",
        "https://api.example]/r",
        "https://api.example/%",
        "https://api.example/%4",
        "https://api.example/%4g",
        "https://api.example/%+1",
        "https://api.example/%%31",
        "https://api.example/%\u{661}1",
        "https://api.ex%6/r",
        "https://user@api.example/r",
        "https://user:pw@api.example/r",
        "https://@api.example/r",
        "https://api.example@evil.example/r",
        "https://api.example:443@evil.example/r",
        "https://api.example:65536/r",
        "https://api.example:4294967739/r",
        "https://api.example:+443/r",
        "https://api.example:-1/r",
        "https://api.example:x/r",
        "https://api.example:443:443/r",
        "https://api.example:%34/r",
        "https://api example/r",
        "https://[::1/r",
        "https://::1/r",
        "https://[::1]x/r",
        "https://[::1]443/r",
        "https://x[::1]/r",
        "https://[]/r",
        "https://[127.0.0.1]/r",
        "https://[v1.x]/r",
        "https://[fe80::1%25eth0]/r",
        "https://[::%31]/r",
        "https://[[::1]]/r",
    ] {
        assert_eq!(normalize(bad), None, "{bad:?}");
    }
}

/// Compares with uri-js, which implements RFC 3986 and RFC 3987; `tests/vectors/htu.cjs` wrote its answers.
#[test]
fn dpop_8_normalization_is_that_of_an_independent_library() {
    let rows: Vec<(String, String)> =
        serde_json::from_str(include_str!("../../../../../../tests/vectors/htu.json")).unwrap();
    assert_eq!(rows.len(), 300);
    for (htu, expected) in rows {
        // It decodes sub-delimiters in a host, which RFC 3986 §2.2 keeps apart from their encoded form.
        let expected = expected.replace("//a+b.", "//a%2Bb.");
        assert_eq!(normalize(&htu).as_deref(), Some(&*expected), "{htu}");
        assert_eq!(normalize(&expected).as_deref(), Some(&*expected), "{htu}");
    }
}

/// All texts of a few characters that mean something in a URI.
#[test]
fn dpop_8_normalization_is_idempotent() {
    const PIECES: [&str; 13] = ["/", ".", "%2e", "%2E", "%25", "2e", "a", "A", "%41", ":", "?", "%c3", "|"];
    let mut accepted = 0;
    for number in 0..PIECES.len().pow(5) {
        let pieces: String = (0..5).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]).collect();
        let once = normalize_path(&pieces).map(Cow::into_owned);
        let htu = normalize(&format!("https://h{pieces}")).map(Cow::into_owned);
        for (once, twice) in
            [(&once, once.as_deref().and_then(normalize_path)), (&htu, htu.as_deref().and_then(normalize))]
        {
            assert_eq!(once.as_deref(), twice.as_deref(), "{pieces}");
            accepted += usize::from(once.is_some());
        }
        if let (Some(path), Some(htu)) = (once, htu) {
            assert_eq!(format!("https://h{path}"), htu, "{pieces}");
        }
    }
    assert!(accepted > 10_000, "{accepted}");
}

#[test]
fn d_06_another_target_does_not_match() {
    for good in [
        "https://api.example/~r",
        "HTTPS://API.example:443/%7Er?x#y",
        "https://api.example:/./%7er",
        "https://api.example/x/../~r",
    ] {
        assert!(is_match(good, "https://api.example", "/~r"), "{good}");
        assert!(is_match(good, "https://api.example", "/%7Er"), "{good}");
    }
    for bad in [
        "https://api.example.evil.example/~r",
        "https://evil.example/~r",
        "https://api.example:8443/~r",
        "https://api.example:80/~r",
        "https://api.example./~r",
        "https://api.example",
        "http://api.example/~r",
        "https://api.example/~R",
        "https://api.example/~r/",
        "https://api.example//~r",
        "https://api.example/x/~r",
        "https://api.example/~r/..",
        "https://api.example/~r%2f",
        "https://api.example/~r%3Fx",
        "https://user@api.example/~r",
        "/~r",
    ] {
        assert!(!is_match(bad, "https://api.example", "/~r"), "{bad}");
    }
}

#[test]
fn d_06_what_is_compared_is_borrowed_where_it_is_normal() {
    let urls = [url("https://other.example"), url("https://api.example/v1")];
    let htu = "https://api.example/v1/r?x";
    let Some(Cow::Borrowed(target)) = matched(htu, &urls, "/r") else { panic!("{htu}") };
    assert_eq!(target, "https://api.example/v1/r");
    assert_eq!(urls[1].target("/r").as_deref(), Some(target));
    assert_eq!(matched("HTTPS://API.example/v1/%72", &urls, "/r").as_deref(), Some(target));
    assert_eq!(matched(htu, &[], "/r"), None);
}

#[test]
fn d_06_a_path_that_is_plain_at_a_glance_is_normal() {
    let ascii = || (0..=0x7f_u8).map(char::from);
    let paths =
        ascii().flat_map(|a| ascii().flat_map(move |b| ["/", "", "/a/"].map(|before| format!("{before}{a}{b}"))));
    let plain: Vec<String> = paths.filter(|path| is_plain(path)).collect();
    // 26 letters twice, ten digits, `-`, `_`, `~` and the slash.
    assert_eq!(plain.len(), 2 * 66 * 66 + 66);
    for path in plain {
        assert_eq!(normalize_path(&path).as_deref(), Some(&*path));
        assert!(is_match(&format!("https://api.example{path}"), "https://api.example", &path), "{path}");
    }
}

#[test]
fn dpop_9_a_target_lies_below_a_public_url() {
    for (base, path, target) in [
        ("https://api.example", "/", Some("https://api.example/")),
        ("https://api.example/", "/r", Some("https://api.example/r")),
        ("HTTPS://API.example:443", "/%7er", Some("https://api.example/~r")),
        ("https://api.example/api", "/", Some("https://api.example/api/")),
        ("https://api.example/api/", "/r", Some("https://api.example/api/r")),
        ("https://api.example/%61pi/v1", "//r/", Some("https://api.example/api/v1//r/")),
        ("https://api.example/x/../api", "/r", Some("https://api.example/api/r")),
        ("https://api.example/api", "/../r", Some("https://api.example/api/r")),
        ("https://api.example/api", "/%2e%2e/%2e%2e/r", Some("https://api.example/api/r")),
        ("http://[::1]:8080/", "/r", Some("http://[::1]:8080/r")),
        ("https://api.example", "", None),
        ("https://api.example", "*", None),
        ("https://api.example", "r", None),
        ("https://api.example", "/r?x", None),
        ("https://api.example", "/r#x", None),
        ("https://api.example", "/caf\u{e9}", None),
        ("https://api.example", "/%zz", None),
        ("https://api.example", "/a|b", Some("https://api.example/a%7Cb")),
        ("https://api.example", "/\"", None),
        ("https://api.example", "/{r}", None),
        ("https://api.example", "/a\\b", None),
    ] {
        assert_eq!(url(base).target(path).as_deref(), target, "{base} {path}");
        if let Some(target) = target {
            assert!(is_match(target, base, path), "{base} {path}");
        } else {
            assert!(!is_match(&format!("{base}{path}"), base, path), "{base} {path}");
        }
    }
    // A proof for what lies beside the URL is none for what lies below it.
    for htu in ["https://api.example/r", "https://api.example/apis/r", "https://api.example/apir"] {
        assert!(!is_match(htu, "https://api.example/api", "/r"), "{htu}");
        assert!(!is_match(htu, "https://api.example/api", "/../r"), "{htu}");
    }
}

#[test]
fn dpop_9_a_public_url_is_an_absolute_http_url() {
    assert_eq!(url("https://Example.com/api/"), url("HTTPS://example.com:443/api"));
    assert_ne!(url("https://example.com/api"), url("https://example.com/API"));
    for (text, fault) in [
        ("", "must begin with https:// or http://"),
        ("api.example", "must begin with https:// or http://"),
        ("/api", "must begin with https:// or http://"),
        ("ftp://api.example", "must begin with https:// or http://"),
        (" https://api.example", "must begin with https:// or http://"),
        ("https://", "is not a valid URL"),
        ("https://api.example:x", "is not a valid URL"),
        ("https://api.example:65536", "is not a valid URL"),
        ("https://api.example/a b", "is not a valid URL"),
        ("https://api.example/%", "is not a valid URL"),
        ("https://api.example/{tenant}", "is not a valid URL"),
        ("https://api.example\n", "is not a valid URL"),
        ("https://*.example", "must have the name or the address of a host"),
        ("https://a%2fb.example", "must have the name or the address of a host"),
        ("https://api.example?x", "must not have a query"),
        ("https://api.example/#", "must not have a fragment"),
        ("https://user@api.example", "must not have user information"),
        (
            "https://caf\u{e9}.example",
            "must be ASCII: write the host in Punycode, and other characters percent-encoded",
        ),
    ] {
        assert_eq!(PublicUrl::parse(text), Err(fault), "{text:?}");
    }
    for secure in ["https://api.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:3000/api"] {
        assert!(!url(secure).is_plain_http(), "{secure}");
    }
    for plain in ["http://api.example", "HTTP://10.0.0.1", "http://localhost.example", "http://[fd00::1]/"] {
        assert!(url(plain).is_plain_http(), "{plain}");
    }
}

#[test]
fn the_host_of_a_url_ends_before_its_port() {
    for (text, expected) in [
        ("https://api.example/r", "api.example"),
        ("https://api.example:8443/r:1", "api.example"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ("https://[::1]:8443/]", "[::1]"),
    ] {
        assert_eq!(host(text), expected, "{text}");
    }
    assert_eq!(format!("{:?}", url("https://api.example:8443/v1/")), "https://api.example:8443/v1");
}
