//! What the help and the manual pages say besides the options.

/// Of the program's help, the README and every manual page.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  done, and the verdict is good
  1  it failed, or the verdict is bad: a fault was found, or the token is refused
  2  the command line is wrong, or the configuration cannot be read, or `explain` cannot use it
  3  `explain` decided nothing, since an issuer or a file of keys could not be used";

pub(crate) const ISSUER: &str = "\
Examples:
  scopegate issuer
  scopegate issuer --keys keys.json --port 9001 --audience https://api.example";

pub(crate) const TOKEN: &str = "\
Examples:
  scopegate token --scope \"message admin\" --subject alice --claim level:=3 --ttl 1h
  scopegate token --scope message --keys keys.json
  scopegate token --expired";

pub(crate) const ROTATE: &str = "\
Examples:
  scopegate rotate
  scopegate rotate --drop-old --port 9001";

pub(crate) const REVOKE: &str = "\
Examples:
  scopegate token --opaque --scope message > token
  scopegate revoke - < token";

pub(crate) const CHECK: &str = "\
Examples:
  scopegate check --example > scopegate.toml
  scopegate check scopegate.toml
  scopegate check --env=MY_API

All settings: https://github.com/scopegate/scopegate/blob/main/docs/guide/configuration.md";

pub(crate) const EXPLAIN: &str = "\
Examples:
  scopegate explain --config scopegate.toml --scope message < token
  scopegate explain --issuer https://as.example --audience https://api.example < token
  scopegate explain --env < curl-line.txt";

pub(crate) const DOCTOR: &str = "\
Examples:
  scopegate doctor https://as.example --audience https://api.example --save scopegate.toml
  scopegate doctor https://as.example --token - < token";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  scopegate completions bash > ~/.local/share/bash-completion/completions/scopegate";

pub(crate) const MAN: &str = "\
Examples:
  scopegate man token | man -l -";
