//! Tower layers that make an HTTP service an OAuth 2.0 resource server.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod authenticate;
mod body;
mod demand;
pub mod refusal;
pub mod require;

pub use self::{
    authenticate::Authenticate,
    body::GateBody,
    demand::{Demand, UnmetDemand},
    refusal::RefusalBody,
    require::{RequireScope, RequireToken},
};
