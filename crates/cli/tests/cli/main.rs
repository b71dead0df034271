//! The command as a user runs it.

mod check;
mod explain;
mod help;
mod issuer;
mod readme;
mod rig;
mod token;
