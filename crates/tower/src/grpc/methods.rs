//! The methods that were declared, and what runs in front of each.

use std::collections::HashMap;

use http::Method;
use scopegate_core::{Access, Routes, TokenPolicy, VerifiedToken};

use crate::{Authenticate, RequireAccess};

/// What was declared.
#[derive(Clone, Debug)]
pub(super) struct Methods {
    authenticate: Authenticate,
    /// By path.
    methods: HashMap<Box<str>, Rule>,
    /// By the name of the service.
    services: HashMap<Box<str>, Rule>,
    otherwise: Rule,
    routes: Routes,
}

/// What runs in front of a method.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Public,
    Optional(Authenticate),
    Protected(Authenticate, RequireAccess),
}

impl Rule {
    fn new(authenticate: &Authenticate, access: Access) -> Self {
        let authenticate = authenticate.clone();
        if access.is_public() {
            return Self::Public;
        }
        if access.admits_anonymous() {
            return Self::Optional(authenticate.optional());
        }
        // A client without a token reads at once what it has to ask for.
        Self::Protected(authenticate.access_hint(access.clone()), RequireAccess::new(access))
    }
}

/// Is met by no token, for methods that are not declared.
struct Declared;

impl TokenPolicy for Declared {
    fn name(&self) -> &str {
        "the method is declared in `GrpcScopes`"
    }

    fn is_met_by(&self, _: &VerifiedToken) -> bool {
        false
    }
}

impl Methods {
    pub(super) fn new(authenticate: Authenticate) -> Self {
        let authenticate = authenticate.answer_grpc();
        Self {
            otherwise: Rule::new(&authenticate, Declared.into()),
            authenticate,
            methods: HashMap::new(),
            services: HashMap::new(),
            routes: Routes::new(),
        }
    }

    #[track_caller]
    pub(super) fn add_method(&mut self, path: &str, access: Access) {
        assert!(
            split(path).is_some_and(|(service, method)| is_name(service) && is_name(method)),
            "the path {path:?} of a gRPC method has to be of the form `/package.Service/Method`"
        );
        let rule = self.rule_for(&format!("the gRPC method {path:?}"), access.clone());
        assert!(self.methods.insert(path.into(), rule).is_none(), "the gRPC method {path:?} is declared twice");
        self.list(path, access);
    }

    #[track_caller]
    pub(super) fn add_service(&mut self, name: &str, access: Access) {
        assert!(
            is_name(name),
            "the name {name:?} of a gRPC service has to be of the form `package.Service`, without slashes"
        );
        let rule = self.rule_for(&format!("the gRPC service {name:?}"), access.clone());
        assert!(self.services.insert(name.into(), rule).is_none(), "the gRPC service {name:?} is declared twice");
        self.list(&format!("/{name}/*"), access);
    }

    #[track_caller]
    pub(super) fn set_otherwise(&mut self, access: Access) {
        assert!(
            !access.admits_anonymous(),
            "methods that are not declared cannot be {access}: declare those that are, by `.method(..)` or `.service(..)`"
        );
        self.otherwise = self.rule_for("what is not declared", access.clone());
        self.list("/*", access);
    }

    #[track_caller]
    fn rule_for(&self, name: &str, access: Access) -> Rule {
        if let Some(fault) = self.authenticate.resource_server().access_fault(&access) {
            panic!("{name} {fault}");
        }
        Rule::new(&self.authenticate, access)
    }

    fn list(&mut self, path: &str, access: Access) {
        self.routes = std::mem::take(&mut self.routes).route(Method::POST, path, access);
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// What runs in front of the method of this path.
    pub(super) fn rule(&self, path: &str) -> &Rule {
        let of_service = || split(path).and_then(|(service, _)| self.services.get(service));
        self.methods.get(path).or_else(of_service).unwrap_or(&self.otherwise)
    }
}

/// The service and the method of a path, where it has the form `/package.Service/Method`.
fn split(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (!method.is_empty() && !method.contains('/')).then_some((service, method))
}

/// Whether this is a name of Protocol Buffers, with dots between its parts.
fn is_name(name: &str) -> bool {
    name.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_'))
}
