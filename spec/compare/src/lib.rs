//! Compares the specification of a decision with the gate, on random configurations and requests.
//!
//! Both sides get the same description in their own words: [`world`] is a configuration, [`request`] a good request and what
//! [`mutation`]s make of it, [`judge`] the gate behind its real layers, [`compare`] both. [`generate`] makes them up.

pub mod binding;
pub mod challenge;
pub mod clock;
pub mod compare;
pub mod dialect;
pub mod generate;
pub mod head;
pub mod introspection;
pub mod judge;
pub mod keys;
pub mod mutation;
pub mod network;
pub mod outcome;
pub mod proof;
pub mod reply;
pub mod request;
pub mod run;
pub mod supply;
pub mod tally;
pub mod text;
pub mod values;
pub mod world;
