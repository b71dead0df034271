//! Behaviour seen from outside, one module per topic. Tests are named after the requirement that they protect.

mod access_token_profile;
mod algorithms;
mod bearer;
mod challenge;
mod extractors;
mod faults;
mod genauth;
mod grpc;
mod hostile;
mod http;
mod jose;
mod json_vectors;
mod jwt;
mod keys;
mod layering;
mod observe;
mod ops;
mod problem;
mod providers;
mod readme;
mod remote;
mod resource;
mod scope;
mod scope_layer;
mod storm;
mod wire;
