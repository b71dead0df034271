//! Scopes: SCOPE, AT-6, MCP-8.

use std::collections::BTreeMap;

use scopegate_spec::{Demand, ErrorCode, Grammar, Profile, Scheme, ScopeClaim};
use serde_json::{Value, json};

use crate::rig::*;

fn all(names: &[&str]) -> Demand {
    Demand::All(names.iter().map(|name| Demand::Scope((*name).to_owned())).collect())
}

fn any(names: &[&str]) -> Demand {
    Demand::Any(names.iter().map(|name| Demand::Scope((*name).to_owned())).collect())
}

fn demanding(demand: Demand) -> Rig {
    let mut rig = Rig::new();
    rig.config.demand = Some(demand);
    rig
}

fn scoped(scope: impl Into<Value>) -> String {
    token(json!({}), json!({ "scope": scope.into() }))
}

#[track_caller]
fn insufficient(rig: &mut Rig, token: &str, names: &[&str]) {
    let decision = rig.bearer(token);
    refused(&decision, 403, "SCOPE-1", Scheme::Bearer, ErrorCode::InsufficientScope);
    assert_eq!(decision.challenges[0].scope, names);
}

#[test]
fn scope_1_all_are_needed_and_all_are_named_once() {
    let mut rig = demanding(Demand::All(vec![all(&["a", "b"]), all(&["a"])]));
    insufficient(&mut rig, &scoped("a"), &["a", "b"]);
    insufficient(&mut rig, &scoped(""), &["a", "b"]);
    passes(&rig.bearer(&scoped("b a c")));
}

#[test]
fn scope_2_one_alternative_is_enough_and_the_first_is_named() {
    let mut rig = demanding(any(&["x", "y"]));
    passes(&rig.bearer(&scoped("y")));
    insufficient(&mut rig, &scoped("z"), &["x"]);
    let mut rig = demanding(Demand::All(vec![all(&["a"]), any(&["b", "c"])]));
    passes(&rig.bearer(&scoped("a c")));
    insufficient(&mut rig, &scoped("c"), &["a", "b"]);
    passes(&rig.bearer(&scoped("a b"))); // A 403 is sufficient.
}

#[test]
fn scope_3_scopes_compare_exactly() {
    let mut rig = demanding(all(&["read"]));
    for scope in ["Read", "read:all", "readonly", "rea", "*", "xread", "\"read\"", "read,x", "read+x", "re\u{200b}ad"] {
        insufficient(&mut rig, &scoped(scope), &["read"]);
    }
    for space in ['\t', '\n', '\u{a0}', '\u{3000}'] {
        insufficient(&mut rig, &scoped(format!("x{space}read")), &["read"]);
    }
}

#[test]
fn scope_3_and_mcp_8_an_implication_map_is_explicit() {
    let mut rig = demanding(all(&["read"]));
    let map = [("admin", "write"), ("write", "read"), ("read", "read")];
    let map = map.map(|(broad, narrow)| (broad.to_owned(), vec![narrow.to_owned()]));
    insufficient(&mut rig, &scoped("admin"), &["read"]);
    rig.issuer().grammar = Grammar::Implied(BTreeMap::from(map));
    for scope in ["admin", "write", "read"] {
        passes(&rig.bearer(&scoped(scope)));
    }
    rig.config.demand = Some(all(&["write"]));
    insufficient(&mut rig, &scoped("read"), &["write"]);
}

#[test]
fn scope_3_genauth_grammar_is_that_of_its_table() {
    for (granted, required, is_granted) in [
        ("message", "message", true),
        ("message:* message:x", "message", true),
        ("message:*:*", "message", true),
        ("*", "message", true),
        ("*:*", "message", true),
        ("*:*:*", "message", true),
        ("message:read", "message", false),
        ("book", "book:1:read", true),
        ("book:*", "book:read", true),
        ("book:*:*", "book:*:read", true),
        ("*", "book:1:read", true),
        ("book:read", "book:1:read", true),
        ("book:*:read", "book:read", true),
        ("book:read", "book:1:write", false),
        ("book:*:read", "book", false),
        ("book:1:read", "book:1:read", true),
        ("book:1:read", "book:2:read", false),
        ("book:1:*", "book:read", false),
        ("book:1:*", "book", false),
        ("book:1:*", "book:1:read", true),
        ("books", "book:1:read", false),
        ("Book", "book", false),
        ("book2:*", "book", false),
        ("openid", "openid", true),
        ("a:b:c:d", "a:b:c:d", true),
        ("a:b:c:*", "a:b:c:d", false),
        ("*", "a:b:c:d", false),
    ] {
        let is = granted.split(' ').any(|granted| Grammar::GenAuth.grants(granted, required));
        assert_eq!(is, is_granted, "{granted} {required}");
    }
}

#[test]
fn scope_4_bad_credentials_are_401() {
    let mut rig = demanding(all(&["b"]));
    no_credentials(&rig.send(&[]));
    bad_token(&rig.bearer(&token(json!({}), json!({ "exp": 1 }))), "JWT-4");
}

#[test]
fn scope_6_source_and_form_are_the_profiles() {
    let mut rig = demanding(all(&["a", "b"]));
    passes(&rig.bearer(&scoped(" a  b ")));
    passes(&rig.bearer(&scoped("a \"x\" b\\c b")));
    let by = |claims: &[(&str, bool, bool)]| {
        let claims = claims.iter().map(|(name, string, array)| ScopeClaim::named(name, *string, *array));
        Profile { scope_claims: claims.collect(), ..Profile::rfc9068() }
    };
    rig.issuer().profile = by(&[("scp", true, true), ("scope", true, true)]);
    passes(&rig.bearer(&token(json!({}), json!({ "scp": ["a", "b"] }))));
    passes(&rig.bearer(&token(json!({}), json!({ "scp": "a b" }))));
    passes(&rig.bearer(&scoped("a b")));
    // Never the union of two.
    insufficient(&mut rig, &token(json!({}), json!({ "scp": ["a"], "scope": "b" })), &["a", "b"]);
    for (scope, rule) in [
        (json!(["a b"]), "SCOPE-6"),
        (json!(["a", 1]), "JWT-10"),
        (json!([["a", "b"]]), "JWT-10"),
        (json!({}), "JWT-10"),
    ] {
        bad_token(&rig.bearer(&token(json!({}), json!({ "scp": scope }))), rule);
    }
    rig.issuer().profile = by(&[("scp", false, true)]);
    bad_token(&rig.bearer(&token(json!({}), json!({ "scp": "a b" }))), "JWT-10");
    insufficient(&mut rig, &scoped("a b"), &["a", "b"]);
}

#[test]
fn scope_6_nested_claims_with_odd_types_have_no_scopes() {
    let mut rig = demanding(all(&["a"]));
    let path = ["realm_access", "roles"].map(str::to_owned).to_vec();
    rig.issuer().profile.scope_claims = vec![ScopeClaim { path, string: false, array: true }];
    passes(&rig.bearer(&token(json!({}), json!({ "realm_access": { "roles": ["a"] } }))));
    for odd in [
        json!({}),
        json!({ "roles": 1 }),
        json!({ "roles": "a" }),
        json!({ "roles": [1] }),
        json!("a"),
        json!(["a"]),
        json!(null),
    ] {
        insufficient(&mut rig, &token(json!({}), json!({ "realm_access": odd })), &["a"]);
    }
}

#[test]
fn scope_7_empty_demands_are_never_met() {
    for demand in [all(&[]), any(&[])] {
        assert_eq!(demanding(demand).bearer(&scoped("a")).status, 403);
    }
}

#[test]
fn at_6_roles_are_no_scopes() {
    let token = token(json!({}), json!({ "scope": DROP, "roles": ["admin"], "groups": ["admin"], "scp": "admin" }));
    insufficient(&mut demanding(all(&["admin"])), &token, &["admin"]);
}
