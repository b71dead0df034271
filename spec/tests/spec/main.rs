//! One test, or more, for each requirement that a single decision can show. Names begin with the requirement's ID.

mod bearer;
mod claims;
mod dpop;
mod introspection;
mod jose;
mod keys;
mod mtls;
mod providers;
mod rig;
mod scope;
