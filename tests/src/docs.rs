use std::{env, fs, path::Path};

/// Compares a generated page of `docs/` with its new content. With `UPDATE_DOCS`, writes the page where they differ, and fails
/// all the same, so that a variable left in the environment does not make the test pass.
#[track_caller]
pub fn assert_page(name: &str, page: &str, target: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed != page {
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, page).expect("the page can be written");
            panic!("docs/{name} is written anew; look at what changed, and run the test again");
        }
        let differing = page.lines().find(|line| !committed.lines().any(|old| old == *line)).unwrap_or_default();
        panic!(
            "docs/{name} is not what the test makes of it, for example: {differing}\nTo write it anew: UPDATE_DOCS=1 cargo test \
             -p scopegate-tests --test {target} {test}"
        );
    }
}
