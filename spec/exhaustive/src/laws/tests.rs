//! Each law is broken by a server that is like the gate but for one fault, and noticed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE};
use scopegate_spec::{Demand, Request};
use scopegate_spec_compare::request::NOW;

use super::{Judge, Law, RealLayers, Server, run};
use crate::setup::Setup;

/// Changes the response of a good server. The number is how often the request came before.
type Fault = fn(&Setup, &Request, i64, u32, Response<Bytes>) -> Response<Bytes>;

struct Faulty(Fault);

struct FaultyJudge {
    judge: Box<dyn Judge>,
    setup: Setup,
    fault: Fault,
    seen: BTreeMap<Vec<(String, Vec<u8>)>, u32>,
}

impl Server for Faulty {
    fn serve(&self, setup: &Setup) -> Option<Box<dyn Judge>> {
        let judge = RealLayers.serve(setup)?;
        Some(Box::new(FaultyJudge { judge, setup: setup.clone(), fault: self.0, seen: BTreeMap::new() }))
    }
}

impl Judge for FaultyJudge {
    fn respond(&mut self, request: &Request, now: i64) -> Response<Bytes> {
        let seen = self.seen.entry(request.headers.clone()).or_default();
        *seen += 1;
        (self.fault)(&self.setup, request, now, *seen - 1, self.judge.respond(request, now))
    }
}

const CASES: std::ops::Range<u64> = 0..300;

/// The law holds for the gate, with requests that could have broken it, and the fault is noticed.
fn assert_notices(law: Law, fault: Fault) {
    let report = run(&RealLayers, &[law], CASES, |_| {});
    assert!(report.failures.is_empty(), "{}", report.failures[&law]);
    assert!(report.counts[&law].telling >= 10, "{:?}", report.counts);
    let report = run(&Faulty(fault), &[law], CASES, |_| {});
    assert!(report.failures.contains_key(&law), "{:?} is not broken by the fault: {:?}", law, report.counts);
}

fn accepted() -> Response<Bytes> {
    Response::new(Bytes::new())
}

#[test]
fn a_stricter_requirement_that_lets_in_is_noticed() {
    assert_notices(Law::Stricter, |setup, _, _, _, response| match setup.world.demand {
        Some(Demand::All(_)) if response.status() == StatusCode::FORBIDDEN => accepted(),
        _ => response,
    });
}

#[test]
fn a_token_that_lives_again_is_noticed() {
    assert_notices(Law::Time, |_, _, now, _, response| if now >= NOW + 1000 { accepted() } else { response });
}

#[test]
fn a_token_that_was_good_before_its_time_is_noticed() {
    assert_notices(Law::Time, |_, _, now, _, response| if now <= NOW - 1000 { accepted() } else { response });
}

#[test]
fn a_memory_that_decides_otherwise_is_noticed() {
    assert_notices(Law::Remembered, |_, _, _, seen, response| if seen >= 2 { accepted() } else { response });
}

#[test]
fn a_memory_that_outlives_the_token_is_noticed() {
    assert_notices(
        Law::Remembered,
        |_, _, now, seen, response| {
            if seen >= 1 && now > NOW + 300 { accepted() } else { response }
        },
    );
}

#[test]
fn an_order_that_means_something_is_noticed() {
    assert_notices(Law::Order, |_, request, _, _, mut response| {
        if request.headers.first().is_some_and(|(name, _)| name == "accept") {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        response
    });
}

#[test]
fn a_challenge_that_names_too_little_is_noticed() {
    assert_notices(Law::Scope, |_, _, _, _, mut response| {
        if response.status() == StatusCode::FORBIDDEN {
            let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\", scope=\"book\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    });
}

#[test]
fn an_issuer_that_changes_what_holds_for_others_is_noticed() {
    assert_notices(Law::Unrelated, |setup, _, _, _, mut response| {
        if setup.unrelated.is_some() {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        response
    });
}

#[test]
fn a_text_of_the_request_in_a_header_is_noticed() {
    assert_notices(Law::Echo, |_, request, _, _, mut response| {
        let value = HeaderValue::from_str(&format!("no such page as {}", request.uri)).expect("a target is ASCII");
        response.headers_mut().insert("x-reason", value);
        response
    });
}

#[test]
fn the_end_of_a_token_in_a_body_is_noticed() {
    assert_notices(Law::Echo, |_, request, _, _, response| {
        let token = request.lines("authorization").first().copied().unwrap_or_default().to_vec();
        response.map(|_| Bytes::from(token))
    });
}
