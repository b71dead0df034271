//! Writes the files of the corpus.

use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = scopegate_spec_corpus::folder();
    fs::create_dir_all(folder.join("cases"))?;
    for (name, text) in scopegate_spec_corpus::files() {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
