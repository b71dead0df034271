//! What `docs/guide/observability.md`, the alerts and the dashboard say of metrics and of the log is what the code has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use scopegate_axum::{
    Issuer, Reason,
    introspection::{ClientAuthentication, Introspection},
    observe::MetricsObserver,
};
use scopegate_tests::{Api, Ask, INTROSPECTION_URL, ISSUER, Network, Reply, clock, mint, resource_server, settle};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/guide/observability.md");
const ALERTS: &str = include_str!("../../docs/observability/alerts.yml");
const DASHBOARD: &str = include_str!("../../docs/observability/grafana-dashboard.json");

/// A metric as Prometheus has it.
#[derive(Debug, Default)]
struct Metric {
    kind: String,
    is_described: bool,
    labels: BTreeSet<String>,
}

/// What Prometheus reads from a service that had every kind of event.
fn exposed() -> BTreeMap<String, Metric> {
    let recorder = PrometheusBuilder::new().set_buckets(&[0.001, 1.0]).expect("buckets").build_recorder();
    let rendered = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        MetricsObserver::describe();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(traffic());
    });
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in rendered.render().lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, _] => metrics.entry(name.to_owned()).or_default().is_described = true,
            ["#", "TYPE", name, kind] => metrics.entry(name.to_owned()).or_default().kind = kind.to_owned(),
            _ => {
                let Some((sample, rest)) = line.split_once('{') else { continue };
                let (labels, _) = rest.rsplit_once('}').expect("labels end");
                let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
                let metric = metrics.get_mut(family(sample)).expect("a type comes before the samples");
                metric.labels.extend(names.filter(|name| name != "le"));
            }
        }
    }
    metrics
}

/// The metric that a sample is of.
fn family(sample: &str) -> &str {
    let is_histogram = |name: &&str| name.ends_with("_duration_seconds");
    let of_histogram = ["_bucket", "_count", "_sum"].iter().find_map(|part| sample.strip_suffix(part));
    of_histogram.filter(is_histogram).unwrap_or(sample)
}

/// A JWT, an opaque token twice, a refusal, and an introspection endpoint that fails until it is not asked any more.
async fn traffic() {
    let clock = clock();
    let network = Network::with_issuer(&clock, mint().keys());
    let active = json!({ "active": true, "aud": scopegate_tests::AUDIENCE, "scope": "messages:read" });
    network.put(INTROSPECTION_URL, Reply::json(active));
    let asked = Introspection::at(INTROSPECTION_URL, ClientAuthentication::none("api"));
    let server = resource_server()
        .issuer(Issuer::discovered(ISSUER).introspection(asked))
        .clock(clock.clone())
        .fetch(network.clone())
        .observer(MetricsObserver)
        .build()
        .await
        .expect("good settings");
    let api = Api::behind(server);
    let ask = async |token: &str| Ask::get("/me").bearer(token).of(&api.router).await;
    ask(&mint().token().issue()).await.assert_pass();
    ask(&mint().token().expired().issue()).await.assert_401(Reason::Expired);
    ask("opaque").await.assert_pass();
    ask("opaque").await.assert_pass();
    network.put(INTROSPECTION_URL, Reply::Fails("down"));
    for number in 0..20 {
        assert_eq!(ask(&format!("opaque-{number}")).await.status, 503);
        clock.advance(Duration::from_millis(1));
        settle().await;
    }
}

/// The words of a PromQL expression outside of strings: names of functions, metrics and labels.
fn words(expression: &str) -> BTreeSet<String> {
    let outside: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let words = outside.split(|c| !is_word(c)).filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    words.map(str::to_owned).collect()
}

/// What is in PromQL and in no metric; and the labels that Prometheus and histograms add.
#[rustfmt::skip]
const PROMQL: &[&str] = &[
    "and", "by", "count", "histogram_quantile", "increase", "label_values", "last_over_time", "max", "offset", "on", "or", "rate",
    "sum", "time", "unless", "vector", "instance", "job", "le",
];

/// The words of an expression that are neither a metric, nor a label of a metric in it, nor of PromQL.
fn unknown(expression: &str, metrics: &BTreeMap<String, Metric>) -> Vec<String> {
    let mut words = words(expression);
    let used: Vec<&Metric> = words.iter().filter_map(|word| metrics.get(family(word))).collect();
    let is_label = |word: &String| used.iter().any(|metric| metric.labels.contains(word));
    words.retain(|word| !(is_label(word) || metrics.contains_key(family(word)) || PROMQL.contains(&word.as_str())));
    words.into_iter().collect()
}

#[test]
fn a_query_of_what_does_not_exist_is_seen() {
    let metrics = exposed();
    for (query, expected) in [
        (r#"sum by (job, kind) (rate(scopegate_refusals_total{reason="no"}[$__rate_interval]))"#, &[] as &[&str]),
        (r#"sum by (status) (rate(scopegate_refusals_total{kind=~"in.*"}[5m]))"#, &["status"]),
        ("rate(scopegate_key_fetch_duration_seconds_bucket{outcome!=\"failed\"}[1h])", &["outcome"]),
        ("scopegate_refusals_count", &["scopegate_refusals_count"]),
    ] {
        assert_eq!(unknown(query, &metrics), expected, "{query}");
    }
}

#[test]
fn the_guide_has_each_metric_with_its_type_and_labels() {
    let metrics = exposed();
    assert!(metrics.len() >= 10, "{metrics:?}");
    for (name, Metric { kind, is_described, labels }) in &metrics {
        assert!(is_described, "{name} has no description");
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {kind} | ");
        let line = PAGE.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        let named: BTreeSet<&str> = line.split('|').nth(4).expect("labels").split(',').map(str::trim).collect();
        assert_eq!(named, labels.iter().map(String::as_str).collect(), "{line}");
    }
    const CRATES: &[&str] = &["scopegate_axum", "scopegate_core", "scopegate_redis"];
    for word in PAGE.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let is_metric = word.starts_with("scopegate_") && !CRATES.contains(&word);
        assert!(!is_metric || metrics.contains_key(family(word)), "the guide names {word}, which is no metric");
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_and_labels_that_exist() {
    let metrics = exposed();
    let mut alerts = 0;
    for rule in ALERTS.split("- alert:").skip(1) {
        let (_, rest) = rule.split_once("expr:").expect("an expression");
        let (expression, annotations) = rest.split_once("labels:").expect("labels");
        let expression = expression.split("for:").next().expect("an expression").trim().trim_start_matches('|');
        assert_eq!(unknown(expression, &metrics), [""; 0], "in: {expression}");
        let link = annotations.split("docs/troubleshooting.md#").nth(1).expect("a runbook");
        let section = link.split_whitespace().next().expect("a section");
        let page = include_str!("../../docs/troubleshooting.md");
        assert!(page.contains(&format!("\n### {section}\n")), "there is no section {section}");
        let name = rule.split_whitespace().next().expect("a name");
        assert!(PAGE.contains(&format!("| `{name}` |")), "the guide does not say what {name} means");
        alerts += 1;
    }
    assert!(alerts >= 8, "{alerts} alerts");

    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("an expression"))
        .chain(
            dashboard["templating"]["list"]
                .as_array()
                .expect("variables")
                .iter()
                .filter_map(|variable| variable["query"]["query"].as_str()),
        )
        .collect();
    assert!(queries.len() >= 20, "{queries:?}");
    for query in &queries {
        assert_eq!(unknown(query, &metrics), [""; 0], "in: {query}");
    }
    for (name, metric) in &metrics {
        let is_shown = queries.iter().any(|query| words(query).iter().any(|word| family(word) == name));
        assert!(is_shown, "no panel shows {name}: {metric:?}");
    }
    for panel in panels {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}

/// An event in the source: its message, and the names of its fields.
#[derive(Debug, Default)]
struct Event {
    message: String,
    fields: BTreeSet<String>,
}

/// The macros that write events and spans, those of `crates/tower/src/refusal.rs` included.
const WRITERS: &[&str] = &["trace", "debug", "info", "warn", "error", "event", "write_event", "error_span"];

fn events_of(tokens: TokenStream, events: &mut Vec<Event>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_call = matches!(
            &tokens[index.saturating_sub(2)..index],
            [TokenTree::Ident(name), TokenTree::Punct(mark)]
                if mark.as_char() == '!' && WRITERS.contains(&name.to_string().as_str())
        );
        if is_call && group.delimiter() == Delimiter::Parenthesis {
            events.push(event(group.stream()));
        }
        events_of(group.stream(), events);
    }
}

/// Reads the arguments of such a macro.
fn event(arguments: TokenStream) -> Event {
    let mut event = Event::default();
    let tokens: Vec<TokenTree> = arguments.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
    for argument in tokens.split(is_comma) {
        let argument = match argument {
            // A field is shown by `Display` or `Debug`.
            [TokenTree::Punct(mark), rest @ ..] if matches!(mark.as_char(), '%' | '?') => rest,
            argument => argument,
        };
        match argument {
            [TokenTree::Literal(text)] => {
                let text = text.to_string();
                event.message = text.trim_matches('"').split("\\\n").map(str::trim_start).collect();
            }
            [TokenTree::Ident(field)] if field.to_string().starts_with(|c: char| c.is_ascii_lowercase()) => {
                event.fields.insert(field.to_string());
            }
            [TokenTree::Ident(field), TokenTree::Punct(mark), ..] if mark.as_char() == '=' => {
                event.fields.insert(field.to_string());
            }
            _ => {}
        }
    }
    event
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            sources(&path, files);
        } else if name.ends_with(".rs") && !matches!(name, "tests.rs" | "test_log.rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_guide_has_each_event_of_the_log_with_its_fields() {
    let mut files = Vec::new();
    for crate_ in ["core", "tower", "axum", "mcp", "redis"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(crate_).join("src"), &mut files);
    }
    let mut events = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        let tokens = production.parse::<TokenStream>().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        events_of(tokens, &mut events);
    }
    assert!(events.len() >= 40, "only {} events were found", events.len());
    let page: String = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing: Vec<String> = events
        .iter()
        .filter(|event| !event.message.is_empty() && !page.contains(&*event.message))
        .map(|event| format!("{event:?}"))
        .collect();
    assert!(missing.is_empty(), "the guide lacks these events:\n{}", missing.join("\n"));
    let fields: BTreeSet<&String> = events.iter().flat_map(|event| &event.fields).collect();
    for field in fields {
        assert!(page.contains(&format!("| `{field}` |")), "the guide lacks the field {field}");
    }
}
