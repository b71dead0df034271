//! Scopes, grammars and policies.
//!
//! Input: the first line is a granted scope, the second the required scopes, space-delimited.
//!
//! Invariants:
//!
//! - a scope is the sorted set of the legal scope tokens of its text, and parses back from its own text;
//! - elements are never split, and otherwise give the same scope;
//! - under [`ExactScopes`] a scope is satisfied by itself alone, and a policy by exactly the sets that it names;
//! - under [`GenAuthScopes`] a scope is satisfied by itself, and otherwise only by one whose resource is the same or a
//!   wildcard; a larger grant satisfies no less.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use scopegate_core::{ExactScopes, GenAuthScopes, Scope, ScopeGrammar, ScopePolicy, ScopeToken};

fuzz_target!(|text: &str| {
    let (granted, required) = text.split_once('\n').unwrap_or((text, ""));
    let scope = Scope::parse(granted);
    let legal: BTreeSet<&str> = granted.split(' ').filter(|token| is_legal(token)).collect();
    assert!(scope.iter().eq(legal.iter().copied()));
    assert_eq!((scope.len(), scope.is_empty()), (legal.len(), legal.is_empty()));
    assert_eq!(Scope::parse(&scope.to_string()), scope);
    assert_eq!(Scope::from_elements(granted.split(' ')).as_ref(), Ok(&scope));
    assert_eq!(Scope::from_elements([granted]).is_err(), granted.contains(' '));

    let names: Vec<String> = required.split(' ').map(str::to_owned).collect();
    for name in &names {
        let token = ScopeToken::new(name.clone());
        assert_eq!(token.is_ok(), is_legal(name));
        assert_eq!(scope.contains(name), legal.contains(name.as_str()));
        if let Ok(token) = token {
            assert_eq!(token.as_str(), name);
            satisfaction(&scope, &legal, &token);
        }
    }
    policies(&scope, &legal, &names);
});

fn satisfaction(scope: &Scope, legal: &BTreeSet<&str>, token: &ScopeToken) {
    let name = token.as_str();
    assert_eq!(ExactScopes.satisfies(scope, token), legal.contains(name));

    let plausible = legal.iter().any(|granted| {
        let resource = granted.split(':').next();
        resource == Some("*") || resource == name.split(':').next()
    });
    let satisfied = GenAuthScopes.satisfies(scope, token);
    assert!(!satisfied || plausible);
    assert!(satisfied || !legal.contains(name));
    assert!(GenAuthScopes.satisfies(&Scope::parse(&format!("{scope} {name}")), token));
    assert!(!satisfied || GenAuthScopes.satisfies(&Scope::parse(&format!("{scope} other:1:read")), token));
}

fn policies(scope: &Scope, legal: &BTreeSet<&str>, names: &[String]) {
    let all = ScopePolicy::all(names.to_vec());
    let any = ScopePolicy::any(names.to_vec());
    assert_eq!(all.is_ok(), names.iter().all(|name| is_legal(name)));
    assert_eq!(all.is_ok(), any.is_ok());
    let (Ok(all), Ok(any)) = (all, any) else { return };

    let granted = |name: &String| legal.contains(name.as_str());
    let (every, some) = (names.iter().all(granted), names.iter().any(granted));
    assert_eq!(all.is_satisfied_by(scope, &ExactScopes), every);
    assert_eq!(any.is_satisfied_by(scope, &ExactScopes), some);
    assert_eq!(any.challenge(), names[0]);
    assert_eq!(Scope::parse(&all.challenge()), Scope::parse(&names.join(" ")));
    for policy in [all.clone(), any.clone(), all.clone() & any.clone(), any.clone() | all.clone()] {
        assert!(policy.is_satisfied_by(&Scope::parse(&policy.challenge()), &ExactScopes), "{policy:?}");
    }
    assert_eq!((all.clone() & any.clone()).is_satisfied_by(scope, &ExactScopes), every && some);
    assert_eq!((all | any).is_satisfied_by(scope, &ExactScopes), every || some);
}

/// `scope-token` of RFC 6749 §3.3
fn is_legal(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
}
