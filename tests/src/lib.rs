//! The rig that the tests share: an API behind a gate, a way to ask it, and an ear on its log.
#![forbid(unsafe_code)]

mod answer;
mod api;
mod fetch;
mod log;
mod network;
pub mod vectors;
mod wire;

pub use self::{
    answer::{Answer, Ask},
    api::{AUDIENCE, Api, ISSUER, NOW, clock, issuer, mint, resource_server, rig_resource_server, router},
    fetch::LoopbackFetch,
    log::{Log, count_panics, keep_secret, panics},
    network::{INTROSPECTION_URL, JWKS_URL, METADATA_URL, Network, OIDC_URL, Reply, Seen, settle},
    wire::{Served, exchange, serve},
};

/// Compiles the code of the README, which is written for the default features.
#[cfg(all(doctest, feature = "aws-lc-rs"))]
#[doc = include_str!("../../README.md")]
struct Readme;
