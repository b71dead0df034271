//! The store before a real Redis, which each test starts for itself.
//!
//! Where `redis-server` is not installed, tests say that they are skipped, or fail if `SCOPEGATE_REQUIRE_REDIS` is 1.
#![forbid(unsafe_code)]

mod cache;
mod connecting;
mod encryption;
mod outages;
mod places;
mod processes;
mod replay;
mod rig;
