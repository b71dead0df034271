//! The command as a user runs it.

mod check;
mod doctor;
mod explain;
mod help;
mod issuer;
mod other_server;
mod readme;
mod rig;
mod stand_in;
mod token;
