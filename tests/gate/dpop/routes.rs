//! Routes that require a bound token.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::{Router, routing::get};
use scopegate_axum::{
    Access, Authenticate, ConfirmationMethod, GrpcScopes, ProtectedRouter, Reason, RequireBound, authenticated,
    mtls::CertificateBinding, scope,
};
use scopegate_tests::Log;

use super::*;

/// Servers with each set of methods.
async fn servers() -> [ResourceServer; 4] {
    let certificates = CertificateBinding::new;
    [
        Rig::with(|builder| builder).await.server,
        Rig::with(|builder| builder.certificate_binding(certificates())).await.server,
        Rig::new().await.server,
        Rig::with(|builder| builder.dpop(dpop()).certificate_binding(certificates())).await.server,
    ]
}

/// What is said of what cannot be built.
fn fault<T>(build: impl FnOnce() -> T) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(build)).err()?;
    Some(*panic.downcast::<String>().expect("a text"))
}

const NO_BINDING: &str = "requires a bound token, and the resource server accepts none: switch a binding on with `.dpop(..)` or \
                          `.certificate_binding(..)`";
const NO_CERTIFICATES: &str = "requires a token that is bound to a certificate, and the resource server accepts none: switch the \
                               binding on with `.certificate_binding(..)`";
const NO_DPOP: &str =
    "requires a token that is bound to a key, and the resource server accepts none: switch DPoP on with `.dpop(..)`";

/// Accesses, and what is wrong with each behind each server.
fn accesses() -> [(Access, [Option<&'static str>; 4]); 4] {
    let by = |method| scope("pay").bound().bound_by(method);
    [
        (scope("pay").bound(), [Some(NO_BINDING), None, None, None]),
        (by(ConfirmationMethod::Dpop), [Some(NO_DPOP), Some(NO_DPOP), None, None]),
        (by(ConfirmationMethod::ClientCertificate), [Some(NO_CERTIFICATES), None, Some(NO_CERTIFICATES), None]),
        (scope("pay").into(), [None; 4]),
    ]
}

#[tokio::test]
async fn dpop_16_mtls_6_a_route_that_no_token_could_call_is_a_fault_of_the_router() {
    let answer = async || "ran";
    for (access, expected) in accesses() {
        for (server, expected) in servers().await.into_iter().zip(expected) {
            let router = || ProtectedRouter::<()>::new(server.clone());
            let of = |name: &str| expected.map(|fault| format!("{name} {fault}"));
            assert_eq!(fault(|| router().route("/pay", access.clone(), get(answer))), of("the route \"/pay\""));
            let service = Router::new().fallback(answer);
            assert_eq!(
                fault(|| router().route_service("/pay", access.clone(), service.clone())),
                of("the route \"/pay\"")
            );
            assert_eq!(fault(|| router().nest_service("/pay", access.clone(), service)), of("the service at \"/pay\""));
            assert_eq!(fault(|| router().fallback(access.clone(), answer)), of("the fallback"));
            let grpc = || GrpcScopes::new(server.clone());
            assert_eq!(fault(|| grpc().method("/a.B/Pay", access.clone())), of("the gRPC method \"/a.B/Pay\""));
            assert_eq!(fault(|| grpc().service("a.B", access.clone())), of("the gRPC service \"a.B\""));
            assert_eq!(fault(|| grpc().otherwise(access.clone())), of("what is not declared"));
        }
    }
}

#[tokio::test]
async fn dpop_16_mtls_6_behind_a_layer_for_bound_tokens_without_a_method_no_handler_runs() {
    let require = [
        RequireBound::new(),
        RequireBound::by(ConfirmationMethod::Dpop),
        RequireBound::by(ConfirmationMethod::ClientCertificate),
    ];
    for (require, (_, expected)) in require.into_iter().zip(accesses()) {
        for (server, fault) in servers().await.into_iter().zip(expected) {
            let handler =
                || Router::new().route("/me", get(async || -> &str { panic!("it ran") })).layer(require.clone());
            let bearer = || Ask::get("/me").bearer(mint().token().issue());
            for router in [
                handler().layer(Authenticate::new(server.clone())),
                handler().layer(Authenticate::new(server.clone()).optional()),
            ] {
                let (log, _guard) = Log::listen();
                let answer = bearer().of(&router).await;
                match fault {
                    Some(_) => {
                        assert_eq!((answer.status.as_u16(), answer.reason), (500, Some(Reason::NoBinding)));
                        assert_eq!(answer.challenge(), None);
                        let lines = log.lines_with("reason=\"no_binding\"");
                        assert!(lines.len() == 1 && lines[0].contains(" ERROR "), "{lines:?}");
                        assert!(lines[0].contains("do so with `.dpop(..)` or `.certificate_binding(..)`"), "{lines:?}");
                    }
                    None => {
                        answer.assert_401_under("Bearer", Reason::UnboundToken);
                    }
                }
            }
            let anonymous = Ask::get("/me").of(&handler().layer(Authenticate::new(server).optional())).await;
            let expected = if fault.is_some() { Reason::NoBinding } else { Reason::MissingCredentials };
            assert_eq!(anonymous.reason, Some(expected));
        }
    }
    // A route that wants no binding is none of the resource server's business.
    let server = Rig::with(|builder| builder).await.server;
    let router = ProtectedRouter::new(server).route("/me", authenticated(), get(async || "ran")).into_router();
    Ask::get("/me").bearer(mint().token().issue()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn what_a_route_for_bound_tokens_answers_is_what_is_explained() {
    let request = Ask::get("/me").bearer(mint().token().scope("pay").issue()).request().into_parts().0;
    for (access, expected) in accesses() {
        for (server, fault) in servers().await.into_iter().zip(expected) {
            let explanation = server.explain(&request).await.for_access(&access);
            let expected = match fault {
                Some(_) => Some(Reason::NoBinding),
                None if access.required_bindings().is_empty() => None,
                None => Some(Reason::UnboundToken),
            };
            assert_eq!(explanation.reason(), expected, "{explanation}");
        }
    }
}

const BEARER: &str = r#"Bearer realm="https://api.example/r""#;
const DPOP: &str = r#"DPoP realm="https://api.example/r""#;

/// The schemes that an answer offers, and in which of them the error is.
fn offered(answer: &Answer) -> Vec<(&str, bool)> {
    let scheme = |challenge: &'_ str| challenge.split(' ').next().expect("a scheme").len();
    let challenges = answer.challenges().into_iter();
    challenges.map(|challenge| (&challenge[..scheme(challenge)], challenge.contains("error="))).collect()
}

/// Routes with each of [`accesses`], and one for any token.
fn router(authenticate: impl Into<Authenticate>) -> ProtectedRouter {
    let by = |method| scope("pay").bound().bound_by(method);
    ProtectedRouter::new(authenticate)
        .route("/any", authenticated(), get(async || "ran"))
        .route("/bound", scope("pay").bound(), get(async || "ran"))
        .route("/key", by(ConfirmationMethod::Dpop), get(async || "ran"))
}

#[tokio::test]
async fn chal_8_dpop_16_a_route_that_dpop_alone_can_meet_offers_nothing_else() {
    let [_, _, dpop, both] = servers().await;
    for (server, path, expected) in [
        (&dpop, "/any", [BEARER, DPOP].as_slice()),
        (&dpop, "/bound", &[DPOP]),
        (&dpop, "/key", &[DPOP]),
        (&both, "/any", &[BEARER, DPOP]),
        // A token that is bound to a certificate is sent as a bearer token.
        (&both, "/bound", &[BEARER, DPOP]),
        (&both, "/key", &[DPOP]),
    ] {
        let answer = Ask::get(path).of(&router(server.clone()).into_router()).await;
        let challenges = answer.challenges();
        assert_eq!(challenges.len(), expected.len(), "{path}: {challenges:?}");
        let is_it = |(challenge, expected): (&&str, &&str)| challenge.starts_with(*expected);
        assert!(challenges.iter().zip(expected).all(is_it), "{path}: {challenges:?}");
        assert!(challenges.iter().all(|challenge| !challenge.contains("error")), "{path}: {challenges:?}");
        let names_scope = |challenge: &&str| challenge.contains("scope=\"pay\"") == (path != "/any");
        assert!(challenges.iter().all(names_scope), "{path}: {challenges:?}");
    }
    let by_certificate = scope("pay").bound().bound_by(ConfirmationMethod::ClientCertificate);
    let router = ProtectedRouter::new(both).route("/", by_certificate, get(async || "ran")).into_router();
    assert_eq!(offered(&Ask::get("/").of(&router).await), [("Bearer", false), ("DPoP", false)]);
}

/// Bearer is named to a client that has used it, with the error, and to no other.
#[tokio::test]
async fn dpop_16_dpop_19_on_such_a_route_the_error_is_under_the_scheme_that_was_used() {
    let rig = Rig::new().await;
    let router = router(rig.server.clone()).into_router();
    let bearer = rig.mint.token().issue();
    let bound = rig.mint.token().scope("other").bound_to(&rig.client).issue();
    let expired = rig.mint.token().bound_to(&rig.client).expired().issue();
    let url = |path: &str| format!("{ORIGIN}{path}");
    let with_proof = |path: &str, token: &str| {
        Ask::get(path).dpop(token, rig.client.proof("GET", url(path)).for_token(token).issue())
    };
    let only_dpop = [("DPoP", true)];
    let both = [("Bearer", true), ("DPoP", false)];
    for path in ["/bound", "/key"] {
        let answer = Ask::get(path).bearer(&bearer).of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::UnboundToken), both.to_vec()));
        let answer = Ask::get(path).bearer(&expired).of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::Expired), both.to_vec()));
        let answer = Ask::get(path).bearer(&bound).of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::DpopRequired), both.to_vec()));
        let answer = with_proof(path, &expired).of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::Expired), only_dpop.to_vec()));
        let answer = Ask::get(path).dpop(&bound, "x").of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::InvalidDpopProof), only_dpop.to_vec()));
        let answer = with_proof(path, &bound).of(&router).await;
        assert_eq!((answer.reason, offered(&answer)), (Some(Reason::InsufficientScope), only_dpop.to_vec()));
        let good = rig.mint.token().scope("pay").bound_to(&rig.client).issue();
        with_proof(path, &good).of(&router).await.assert_pass();
    }
    Ask::get("/any").bearer(&bearer).of(&router).await.assert_pass();
}

#[tokio::test]
async fn chal_8_dpop_16_layers_offer_what_they_are_told() {
    let rig = Rig::new().await;
    let bearer = rig.mint.token().issue();
    let layer = || Authenticate::new(rig.server.clone());
    let bound = || scope("pay").bound();
    let both = [("Bearer", false), ("DPoP", false)];
    for (layer, expected) in [
        (layer(), both.as_slice()),
        (layer().access_hint(scope("pay")), &both),
        (layer().access_hint(bound()), &both[1..]),
        (layer().optional().access_hint(bound()), &both[1..]),
        (layer().access_hint(bound()).access_hint(scope("pay")), &both),
        // Whatever is set later.
        (layer().access_hint(bound()).realm("r").without_descriptions(), &both[1..]),
    ] {
        let router = Router::new().route("/", get(async || "ran")).layer(RequireBound::new()).layer(layer);
        assert_eq!(offered(&Ask::get("/").of(&router).await), expected);
        let answer = Ask::get("/").bearer(&bearer).of(&router).await;
        answer.assert_401_under("Bearer", Reason::UnboundToken);
        assert_eq!(answer.challenges().len(), 2);
    }
    let answer =
        Ask::get("/").of(&Router::new().route("/", get(async || "ran")).layer(layer().access_hint(bound()))).await;
    assert!(answer.challenges()[0].contains("scope=\"pay\""), "{answer:?}");
    // Strangers are not told what a route requires where they are not told that it is there.
    let router = router(rig.server.clone()).authenticate_unmatched().into_router();
    let [known, unknown] = ["/bound", "/unknown"].map(Ask::get);
    let (known, unknown) = (known.of(&router).await, unknown.of(&router).await);
    assert_eq!((offered(&known), known.challenges()), (both.to_vec(), unknown.challenges()));
}

#[tokio::test]
async fn chal_8_dpop_16_a_grpc_method_offers_what_it_can_be_called_with() {
    use tower::Layer as _;

    let server = Rig::new().await.server;
    let methods = GrpcScopes::new(server).method("/a.B/Pay", scope("pay").bound()).method("/a.B/List", authenticated());
    let service = Router::new().fallback(async || "ran");
    let router = Router::new().fallback_service(methods.layer(service));
    for (path, expected) in [("/a.B/Pay", 1), ("/a.B/List", 2)] {
        let call = Ask::with_method(http::Method::POST, path).header("content-type", "application/grpc");
        let answer = call.of(&router).await;
        assert_eq!((answer.header("grpc-status"), answer.challenges().len()), (Some("16"), expected), "{answer:?}");
    }
}
