//! Prints spans in place of sending them.

use std::fmt::Write as _;

use opentelemetry::trace::Status;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

#[derive(Debug)]
pub(crate) struct ToStderr;

impl SpanExporter for ToStderr {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter().for_each(|span| eprint!("{}", text(span)));
        Ok(())
    }
}

fn text(span: &SpanData) -> String {
    let mut text = format!("{:?} span: {}\n", span.span_kind, span.name);
    for attribute in &span.attributes {
        let _ = writeln!(text, "  {} = {}", attribute.key, attribute.value);
    }
    if let Status::Error { .. } = span.status {
        text += "  status = error\n";
    }
    for event in span.events.iter() {
        let _ = writeln!(text, "  event: {}", event.name);
        for attribute in &event.attributes {
            let _ = writeln!(text, "    {} = {}", attribute.key, attribute.value);
        }
    }
    text
}
