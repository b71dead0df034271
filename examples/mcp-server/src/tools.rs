//! The tools. They know nothing of scopes.

use rmcp::{
    ErrorData, RoleServer, ServerHandler, handler::server::wrapper::Parameters, schemars, service::RequestContext,
    tool, tool_handler, tool_router,
};
use serde::Deserialize;

/// Three tools.
#[derive(Clone, Debug)]
pub(crate) struct Bank;

/// The arguments of `transfer`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Transfer {
    /// In euros.
    amount: f64,
}

#[tool_router]
impl Bank {
    #[tool(description = "Says whose token the request has")]
    fn whoami(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        let token = scopegate_mcp::verified_token(&context)
            .map_err(|error| ErrorData::internal_error(error.reason().description(), None))?;
        Ok(token.subject().unwrap_or("a machine").to_owned())
    }

    #[tool(description = "Says how much there is")]
    fn balance(&self) -> String {
        "1000".to_owned()
    }

    #[tool(description = "Transfers an amount")]
    fn transfer(&self, Parameters(Transfer { amount }): Parameters<Transfer>) -> String {
        format!("{amount} transferred")
    }
}

#[tool_handler]
impl ServerHandler for Bank {}
