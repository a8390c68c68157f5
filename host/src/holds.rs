//! What may not start by itself, and why: everything or one agent paused by a person, an agent in quarantine, and the host's maintenance windows.
//!
//! Pauses outlast the process. That of everything is the file `pause.flag` in the state folder, which a person can make and remove by hand; the others are flags of
//! the store. Who asks for a run by name gets it all the same.

use crate::config::Maintenance;
use crate::kill::KillSwitch;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The file that pauses everything while it is there.
pub(crate) const PAUSE_FILE: &str = "pause.flag";

/// What the flag of a paused agent begins with; the agent's name follows.
const AGENT_FLAG: &str = "paused/";

/// What the flag of an agent in quarantine begins with.
const QUARANTINE_FLAG: &str = "quarantined/";

/// Why nothing starts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The kill switch is thrown.
    Killed,
    /// A person paused everything.
    All,
    /// A person paused the agent.
    Agent,
    /// The agent crashed too often.
    Quarantine,
    /// A maintenance window.
    Maintenance,
}

impl Hold {
    /// The word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "kill_switch",
            Self::All | Self::Agent => "paused",
            Self::Quarantine => "quarantined",
            Self::Maintenance => "maintenance",
        }
    }
}

/// Why a pause could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The flag of an agent could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be made or removed.
    #[error("`{}` cannot be changed: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The pauses and windows in force.
pub struct Holds {
    /// The switch that goes over everything else.
    pub kill: KillSwitch,
    store: Arc<dyn Store>,
    file: PathBuf,
    agents: RwLock<BTreeSet<String>>,
    quarantined: RwLock<BTreeSet<String>>,
    maintenance: ArcSwap<Vec<Maintenance>>,
}

impl Holds {
    /// With no agent paused until [`Holds::recover`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: &Path, maintenance: Vec<Maintenance>) -> Self {
        Self {
            kill: KillSwitch::new(Arc::clone(&store), state),
            store,
            file: state.join(PAUSE_FILE),
            agents: RwLock::default(),
            quarantined: RwLock::default(),
            maintenance: ArcSwap::from_pointee(maintenance),
        }
    }

    /// Takes over the windows of another configuration.
    pub fn set_maintenance(&self, windows: Vec<Maintenance>) {
        self.maintenance.store(Arc::new(windows));
    }

    /// Reads which agents are paused, and whether the kill switch is thrown.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self) -> Result<(), StoreError> {
        self.kill.restore().await?;
        let flags = self.store.flags().await?;
        for (prefix, set) in [
            (AGENT_FLAG, &self.agents),
            (QUARANTINE_FLAG, &self.quarantined),
        ] {
            let agents = flags
                .keys()
                .filter_map(|flag| flag.strip_prefix(prefix))
                .map(str::to_owned)
                .collect();
            *set.write().unwrap_or_else(PoisonError::into_inner) = agents;
        }
        Ok(())
    }

    /// Why the agent may not start by itself now.
    #[must_use]
    pub fn of(&self, agent: &str, now: Timestamp) -> Option<Hold> {
        if self.kill.is_engaged() {
            Some(Hold::Killed)
        } else if self.all() {
            Some(Hold::All)
        } else if self.agent(agent) {
            Some(Hold::Agent)
        } else if self.quarantined(agent) {
            Some(Hold::Quarantine)
        } else if self.maintenance(now) {
            Some(Hold::Maintenance)
        } else {
            None
        }
    }

    /// Whether everything is paused.
    #[must_use]
    pub fn all(&self) -> bool {
        self.file.exists()
    }

    /// Whether the agent is paused for itself.
    #[must_use]
    pub fn agent(&self, agent: &str) -> bool {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        agents.contains(agent)
    }

    /// Whether the agent is in quarantine.
    #[must_use]
    pub fn quarantined(&self, agent: &str) -> bool {
        let agents = self
            .quarantined
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        agents.contains(agent)
    }

    /// Whether a maintenance window is on.
    #[must_use]
    pub fn maintenance(&self, now: Timestamp) -> bool {
        self.maintenance
            .load()
            .iter()
            .any(|window| window.holds(now))
    }

    /// Pauses or resumes everything. Gives whether that changed anything.
    ///
    /// # Errors
    /// When the file cannot be made or removed.
    pub fn set_all(&self, paused: bool) -> Result<bool, HoldError> {
        let before = self.all();
        let changed = match (before, paused) {
            (false, true) => std::fs::write(&self.file, b""),
            (true, false) => std::fs::remove_file(&self.file),
            _ => return Ok(false),
        };
        changed.map(|()| true).map_err(|source| HoldError::File {
            path: self.file.clone(),
            source,
        })
    }

    /// Pauses or resumes an agent. Gives whether that changed anything.
    ///
    /// # Errors
    /// When the flag cannot be written.
    pub async fn set_agent(&self, agent: &str, paused: bool) -> Result<bool, HoldError> {
        self.set(&self.agents, AGENT_FLAG, agent, paused).await
    }

    /// Puts an agent into quarantine or lets it out. Gives whether that changed anything.
    ///
    /// # Errors
    /// When the flag cannot be written.
    pub async fn set_quarantined(&self, agent: &str, quarantined: bool) -> Result<bool, HoldError> {
        self.set(&self.quarantined, QUARANTINE_FLAG, agent, quarantined)
            .await
    }

    async fn set(
        &self,
        agents: &RwLock<BTreeSet<String>>,
        prefix: &str,
        agent: &str,
        held: bool,
    ) -> Result<bool, HoldError> {
        let before = {
            let agents = agents.read().unwrap_or_else(PoisonError::into_inner);
            agents.contains(agent)
        };
        if before == held {
            return Ok(false);
        }
        let flag = format!("{prefix}{agent}");
        self.store.set_flag(&flag, held.then_some("")).await?;
        let mut agents = agents.write().unwrap_or_else(PoisonError::into_inner);
        Ok(if held {
            agents.insert(agent.to_owned())
        } else {
            agents.remove(agent)
        })
    }
}
