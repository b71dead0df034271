use super::token_endpoint::Refusal;

/// The parameters of a form.
pub(super) struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// Reads a form. A parameter without a value counts as absent ([RFC 6749, section
    /// 3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
    pub(super) fn parse(body: &[u8]) -> Self {
        let parameters = form_urlencoded::parse(body).into_owned().filter(|(_, value)| !value.is_empty());
        Self { parameters: parameters.collect() }
    }

    /// The value of a parameter that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Refusal::invalid_request("a parameter is there more than once")),
        }
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }
}

/// One value, decoded as a form has it.
pub(super) fn decoded(value: &str) -> String {
    // A separator in the value is the client's omission to encode it.
    let form = format!("={}", value.replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
