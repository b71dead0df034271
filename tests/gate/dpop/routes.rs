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
