//! Settings from the environment of a service.

use scopegate_core::config::Config;
use scopegate_tests::{Log, Network, clock};

/// The variables that Kubernetes sets in every pod of a namespace with a service `my-api`.
const SERVICE_LINKS: [(&str, &str); 8] = [
    ("MY_API_SERVICE_HOST", "10.96.0.17"),
    ("MY_API_SERVICE_PORT", "80"),
    ("MY_API_SERVICE_PORT_HTTP", "80"),
    ("MY_API_PORT", "tcp://10.96.0.17:80"),
    ("MY_API_PORT_80_TCP", "tcp://10.96.0.17:80"),
    ("MY_API_PORT_80_TCP_PROTO", "tcp"),
    ("MY_API_PORT_80_TCP_PORT", "80"),
    ("MY_API_PORT_80_TCP_ADDR", "10.96.0.17"),
];

#[tokio::test]
async fn kubernetes_service_links_are_ignored_with_one_log_line() {
    let (log, _guard) = Log::listen();
    let settings = [("MY_API_ISSUER", "https://tenant.example"), ("MY_API_AUDIENCE", "https://api.example")];
    let config = Config::from_vars("MY_API", settings.into_iter().chain(SERVICE_LINKS));
    config.into_builder().fetch(Network::new(&clock())).build().await.expect("good settings");
    let lines = log.lines_with("Kubernetes");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("DEBUG") && SERVICE_LINKS.iter().all(|(name, _)| lines[0].contains(name)), "{lines:?}");
    assert!(!lines[0].contains("10.96.0.17"), "names suffice");

    let _ = Config::from_vars("MY_API", settings);
    assert_eq!(log.lines_with("Kubernetes").len(), 1, "nothing is said where there are none");
}
