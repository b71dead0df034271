//! The page, and the headers that keep anything else out of it.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::State,
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::AppState;

const HTML: &str = include_str!("page.html");

/// The page's policy, made at the start.
pub(crate) struct Page {
    policy: HeaderValue,
}

impl Page {
    pub(crate) fn new() -> Self {
        let policy = HeaderValue::try_from(policy(HTML)).expect("digests in base64 are legal in a header");
        Self { policy }
    }

    fn response(&self) -> Response {
        let headers: [(HeaderName, HeaderValue); 3] = [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        (headers, HTML).into_response()
    }
}

pub(crate) async fn page(State(shared): AppState) -> Response {
    shared.page.response()
}

/// Allows the scripts and styles that are in the page, by their digests, and requests to this server.
fn policy(html: &str) -> String {
    let sources = |element| {
        let digests: Vec<String> = contents(html, element).into_iter().map(source).collect();
        if digests.is_empty() { "'none'".to_owned() } else { digests.join(" ") }
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        sources("script"),
        sources("style"),
    )
}

fn source(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

/// What is between each pair of tags of this name. The page writes them without attributes.
fn contents<'p>(html: &'p str, element: &str) -> Vec<&'p str> {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    html.split(&start).skip(1).filter_map(|rest| rest.split_once(&end)).map(|(content, _)| content).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_the_digest_of_each_script_and_style_and_of_nothing_else() {
        // Digests as by `printf %s 'a()' | openssl dgst -sha256 -binary | base64`.
        assert_eq!(
            policy("<style>p { color: red }</style><p>x</p><script>a()</script>"),
            "default-src 'none'; script-src 'sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4='; style-src 'sha256-ngewhhP73WDIbgwseeu52VAAJgKdGUsu1IUQQsAm8m4='; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert!(policy("<p>x</p>").contains("script-src 'none'; style-src 'none'"));
    }

    #[test]
    fn the_page_has_all_of_its_script_and_style_within() {
        assert_eq!((contents(HTML, "script").len(), contents(HTML, "style").len()), (1, 1));
        // Nothing that the digests do not cover, and that the policy would have a browser refuse.
        for refused in
            ["<script ", "<style ", " style=\"", " onclick=", "<link rel=\"stylesheet\"", "<iframe", "javascript:"]
        {
            assert!(!HTML.contains(refused), "{refused}");
        }
    }

    #[test]
    fn the_page_loads_nothing_from_another_host() {
        for scheme in ["http://", "https://", "\"//", "'//", "(//"] {
            for (at, _) in HTML.match_indices(scheme) {
                let before = &HTML[..at];
                // A link that somebody follows loads nothing by itself; text in the page neither.
                let loads = [
                    "src=\"",
                    "href=\"",
                    "src='",
                    "href='",
                    "url(",
                    "url(\"",
                    "url('",
                    "fetch(\"",
                    "fetch('",
                    "fetch(`",
                    "import \"",
                    "import(\"",
                ];
                let is_link = before.rfind('<').is_some_and(|tag| HTML[tag..].starts_with("<a "));
                assert!(
                    is_link || !loads.iter().any(|load| before.ends_with(load)),
                    "{}",
                    &HTML[at.saturating_sub(40)..at + 40]
                );
            }
        }
    }
}
