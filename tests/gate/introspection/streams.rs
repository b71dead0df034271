//! The end of tokens that are known by their issuer's answers.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use scopegate_axum::{Reason, TokenEnd, introspection::JwtIntrospection, online::Invalidate};
use scopegate_tests::{issuer, mint};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Rig {
    /// The end of the token of a request, which the resource server accepts.
    async fn end_of(&self, token: &str) -> TokenEnd {
        let (head, ()) = Ask::get("/r").bearer(token).request().map(drop).into_parts();
        let authentication = self.server.authenticate(&head).await.expect("a good token");
        authentication.token_end().expect("a token")
    }

    fn invalidate(&self, what: Invalidate<'_>) {
        drop(self.server.invalidate(what));
    }
}

async fn is_pending(end: &mut TokenEnd) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *end).poll(context).is_pending())).await
}

#[tokio::test]
async fn an_opaque_token_ends_by_its_exp() {
    let rig = Rig::new().await;
    rig.say("opaque", active());
    let mut end = rig.end_of("opaque").await;
    rig.clock.advance(Duration::from_secs(3600 + 59));
    assert!(is_pending(&mut end).await);
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(end.await, Reason::Expired);
}

#[tokio::test]
async fn an_opaque_token_without_exp_ends_by_an_invalidation_alone() {
    let rig = Rig::new().await;
    for what in [
        Invalidate::Token("opaque"),
        Invalidate::Subject { issuer: ISSUER, subject: "alice" },
        Invalidate::Session { issuer: ISSUER, session: "s-1" },
    ] {
        rig.say("opaque", active_with(json!({ "exp": null, "sid": "s-1" })));
        let mut end = rig.end_of("opaque").await;
        rig.clock.advance(365 * DAY);
        assert!(is_pending(&mut end).await);
        rig.invalidate(Invalidate::Token("another"));
        assert!(is_pending(&mut end).await);
        rig.invalidate(what);
        assert_eq!(end.await, Reason::InactiveToken, "{what:?}");
    }
}

#[tokio::test]
async fn a_revocation_that_nobody_tells_of_ends_nothing() {
    let rig = Rig::new().await;
    rig.say("opaque", active_with(json!({ "exp": null })));
    let mut end = rig.end_of("opaque").await;
    rig.say("opaque", json!({ "active": false }));
    rig.clock.advance(DAY);
    rig.ask_at("/me", "opaque").await.assert_401(Reason::InactiveToken);
    assert!(is_pending(&mut end).await);
}

#[tokio::test]
async fn a_token_whose_answer_is_cached_ends_and_is_looked_up_anew() {
    let rig = Rig::new().await;
    rig.say("opaque", active());
    for round in 1..4 {
        let ends = [rig.end_of("opaque").await, rig.end_of("opaque").await];
        assert_eq!(rig.asked(), round);
        rig.invalidate(Invalidate::Token("opaque"));
        for end in ends {
            assert_eq!(end.await, Reason::InactiveToken);
        }
    }
}

#[tokio::test]
async fn an_invalidation_during_the_lookup_ends_its_token() {
    let rig = Rig::new().await;
    rig.say("opaque", active());
    let (head, ()) = Ask::get("/r").bearer("opaque").request().map(drop).into_parts();
    let authenticating = rig.server.authenticate(&head);
    rig.invalidate(Invalidate::Subject { issuer: ISSUER, subject: "alice" });
    let authentication = authenticating.await.expect("what the issuer said");
    assert_eq!(authentication.token_end().expect("a token").await, Reason::InactiveToken);
}

#[tokio::test]
async fn a_jwt_ends_under_every_spelling_of_its_signature() {
    for check in [JwtIntrospection::NoOlderThan(Duration::from_secs(30)), JwtIntrospection::Instead] {
        let issuer = issuer().introspection(introspection().introspect_jwts(check));
        let rig = Rig::with(issuer, |builder| builder).await;
        let token = mint().token().subject("alice").client_id("app").issue();
        let another = mint().token().subject("alice").client_id("app").claim("jti", "2").issue();
        rig.say(&token, active());
        let mut end = rig.end_of(&token).await;
        rig.invalidate(Invalidate::Token(&another));
        assert!(is_pending(&mut end).await);
        let (signed, _) = token.rsplit_once('.').expect("a JWT");
        rig.invalidate(Invalidate::Token(&format!("{signed}.AAAA")));
        assert_eq!(end.await, Reason::InactiveToken);
    }
}
