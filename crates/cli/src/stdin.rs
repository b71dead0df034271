//! What is read from standard input.

use std::io::{self, Read as _};

use crate::Failure;

/// The most that is read, in bytes: more than a token, or a request with one, has.
const MOST: u64 = 60 * 1024;

/// The text of standard input, which should be `what`.
pub(crate) fn text(what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    match io::stdin().take(MOST + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > MOST => {
            Err(Failure::usage(format!("standard input has more than {MOST} bytes: send it {what}")))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("standard input cannot be read: {error}; send it {what}"))),
    }
}
