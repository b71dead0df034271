use std::sync::Arc;

use scopegate_core::{Access, Routes};
use tower_layer::Layer;

use super::{GrpcScoped, methods::Methods};
use crate::Authenticate;

/// Layer: requires of each gRPC method what was declared for it, and denies the others. See the [module docs](super).
#[doc(alias = "tonic")]
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct GrpcScopes {
    methods: Arc<Methods>,
}

impl GrpcScopes {
    /// Begins a declaration in which every method is denied. Requests are authenticated by a
    /// [`ResourceServer`](scopegate_core::ResourceServer), or by an [`Authenticate`] with all its settings but
    /// [`optional`](Authenticate::optional), which each method says for itself. It [answers gRPC](Authenticate::answer_grpc).
    pub fn new(authenticate: impl Into<Authenticate>) -> Self {
        Self { methods: Arc::new(Methods::new(authenticate.into())) }
    }

    /// Says who may call the method of this path, such as `/shop.Orders/Refund`. It precedes what is said of its service.
    ///
    /// # Panics
    ///
    /// When the path does not have the form `/package.Service/Method`, when it is declared twice, and when it requires a
    /// [bound](Access::bound) token by a method that the resource server has not switched on.
    #[track_caller]
    pub fn method(mut self, path: &str, access: impl Into<Access>) -> Self {
        Arc::make_mut(&mut self.methods).add_method(path, access.into());
        self
    }

    /// Says who may call the methods of a service that are not declared one by one. The name is the one of the `.proto` file
    /// with its package, such as `shop.Orders`; in tonic, `NamedService::NAME`. A method that is added to the service later is
    /// open to the same callers.
    ///
    /// # Panics
    ///
    /// When the name does not have the form `package.Service`, when it is declared twice, and when it requires a
    /// [bound](Access::bound) token by a method that the resource server has not switched on.
    #[track_caller]
    pub fn service(mut self, name: &str, access: impl Into<Access>) -> Self {
        Arc::make_mut(&mut self.methods).add_service(name, access.into());
        self
    }

    /// Says who may call what is not declared, methods that do not exist included. Default: nobody.
    ///
    /// # Panics
    ///
    /// When `access` admits callers without a token: public methods are declared by their names. And when it requires a
    /// [bound](Access::bound) token by a method that the resource server has not switched on.
    #[track_caller]
    pub fn otherwise(mut self, access: impl Into<Access>) -> Self {
        Arc::make_mut(&mut self.methods).set_otherwise(access.into());
        self
    }

    /// What was declared, as a list. The path of a whole service ends with `/*`, and that of [`otherwise`](Self::otherwise) is
    /// `/*`.
    pub fn routes(&self) -> Routes {
        self.methods.routes().clone()
    }
}

impl<S> Layer<S> for GrpcScopes {
    type Service = GrpcScoped<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcScoped::new(inner, Arc::clone(&self.methods))
    }
}
