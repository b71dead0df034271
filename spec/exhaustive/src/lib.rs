//! Compares the specification of a decision with the gate on every combination of small facts.
//!
//! The random comparison of `scopegate-spec-compare` finds what nobody thought of; this one leaves nothing out of what somebody
//! did think of. [`facts`] says what a fact and a product of facts are, [`products`] lists them, [`setup`] is a configuration and
//! [`gate`] the real layers with it, [`run`] sends every combination to both sides, and [`classes`] says which kinds of decisions
//! were reached. [`laws`] are about the gate alone, with the random cases of the comparison.

pub mod classes;
pub mod facts;
pub mod gate;
pub mod introspection;
pub mod laws;
pub mod products;
pub mod proof;
pub mod run;
pub mod setup;
