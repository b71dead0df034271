//! Has JOSE libraries of other languages judge the tokens that the gate accepts.
//!
//! [`sample`] makes tokens and writes down what a library has to know of the configuration; a script for each library judges
//! them; [`tally`] compares the verdicts, and [`difference`] lists what is known to differ.

pub mod difference;
pub mod sample;
pub mod tally;
