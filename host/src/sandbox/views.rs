//! The contract's `views` interface: files that the host makes of what it knows of itself.

use super::contract::agent::infinity::agent::views as wit;
use super::meter::escape;
use super::state::RunState;
use async_trait::async_trait;

/// Bytes of a view: what a guest holds twice while it is lifted.
pub const VIEW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why there is no view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// The host makes none of this name.
    Unknown,
    /// It could not be made.
    Failed(String),
}

/// Who makes views.
#[async_trait]
pub trait Views: Send + Sync {
    /// The bytes of a view, at most [`VIEW_BYTES_MAX`]; none where there is nothing at the moment.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] for a name that nobody makes.
    async fn view(&self, name: &str) -> Result<Option<Vec<u8>>, ViewError>;
}

impl wit::Host for RunState {
    async fn read(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, wit::Error>> {
        let shown: String = escape(&name.chars().take(100).collect::<String>());
        if !self.capabilities.views.contains(&name) {
            let reason = format!("reading the view `{shown}` is not granted");
            self.meter.deny(
                "view",
                format!("read `{shown}`"),
                reason.clone(),
                format!("views = [\"{shown}\"]"),
            );
            return Ok(Err(wit::Error::Denied(reason)));
        }
        self.meter.reach("view", &name);
        let unknown = || wit::Error::Unknown(format!("the host makes no view `{shown}`"));
        let Some(maker) = self.capabilities.viewer.clone() else {
            return Ok(Err(unknown()));
        };
        Ok(match maker.view(&name).await {
            Ok(bytes) => Ok(bytes),
            Err(ViewError::Unknown) => Err(unknown()),
            Err(ViewError::Failed(why)) => Err(wit::Error::Other(why)),
        })
    }
}
