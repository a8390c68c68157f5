//! What the host knows of itself, for the rules of alerts and for `/metrics`.

use super::{App, SILENCE_MAX, spend};
use crate::alerts::machine::{disk, memory};
use crate::alerts::{FREE_MIN, Levels, Source};
use crate::metrics::Gauges;
use crate::model::{Event, now};
use crate::store::Store as _;
use async_trait::async_trait;
use std::sync::atomic::Ordering;

/// Channels that have series of their own: as many as a file may name are far more than people read.
const CHANNELS_MAX: usize = 100;

#[async_trait]
impl Source for App {
    async fn levels(&self) -> Levels {
        let flags = self.store.flags().await;
        let mut broken = Vec::new();
        let mut risks = Vec::new();
        if let Err(error) = &flags {
            broken.push(format!("store ({error})"));
        }
        for (name, beat) in [
            ("schedule", &self.beats.schedule),
            ("delivery", &self.beats.delivery),
        ] {
            if let Some(silence) = self.beats.silence(beat)
                && silence >= SILENCE_MAX
            {
                broken.push(format!("{name} (silent for {} s)", silence.as_secs()));
            }
        }
        let (used, size) = self.sandbox.pool();
        if size > 0 && used >= size {
            broken.push(format!("pool (all {size} instances are in use)"));
        }
        let disk = disk(&self.config.host.state);
        if let Some((_, free)) = disk
            && free < FREE_MIN
        {
            risks.push(format!(
                "{} MiB are left on the disk of the state folder",
                free >> 20
            ));
        }
        if self.unsigned.load(Ordering::Relaxed) {
            risks.push("the journal's end could not be signed".to_owned());
        }
        let (fresh, backups) = self.backups.health(now());
        if !fresh {
            risks.push(format!("backups: {backups}"));
        }
        let spent = self
            .registry
            .load()
            .config
            .host
            .daily_budget_usd
            .map(|budget| {
                let today = spend::today(&flags.unwrap_or_default(), now());
                (today, f64::from(budget))
            });
        let registry = self.registry.load();
        Levels {
            broken,
            quarantined: registry
                .agents
                .keys()
                .filter(|name| self.holds.quarantined(name))
                .cloned()
                .collect(),
            risks,
            overdue: self
                .secrets
                .list()
                .into_iter()
                .filter(|secret| secret.overdue)
                .map(|secret| secret.name)
                .collect(),
            memory: memory(),
            disk: disk.map(|(share, _)| share),
            quotas: self.quotas(spent),
            spent,
        }
    }

    async fn tell(&self, event: &Event) {
        self.channels.tell_all(event).await;
    }
}

impl App {
    /// What has a bound, and how full it is.
    #[expect(clippy::cast_precision_loss, reason = "shares of bounds")]
    fn quotas(&self, spent: Option<(f64, f64)>) -> Vec<(&'static str, f64)> {
        let host = &self.config.host;
        let share = |used: u64, all: u64| used as f64 / all.max(1) as f64;
        let (queued, _) = self.runtime.live_counts();
        let stored = self.store_bytes.load(Ordering::Relaxed);
        let mut quotas = vec![
            (
                "the state folder's budget",
                share(stored, host.state_budget),
            ),
            (
                "the queue of runs",
                share(queued as u64, u64::from(host.queue)),
            ),
        ];
        if let Some((spent, budget)) = spent.filter(|(_, budget)| *budget > 0.0) {
            quotas.push(("the day's budget for models", spent / budget));
        }
        quotas
    }

    /// What else `/metrics` shows: values as they are now, and what was counted elsewhere.
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes and counts of one machine"
    )]
    pub(super) async fn further_series(&self) -> (Vec<Gauges>, Vec<Gauges>) {
        let levels = self.levels().await;
        let mut gauges = vec![
            Gauges {
                name: "build_info",
                help: "The version of this program",
                values: vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)],
            },
            Gauges::one(
                "start_time_seconds",
                "When the process began, in seconds since 1970",
                self.started_at.as_millisecond() as f64 / 1e3,
            ),
            Gauges::one(
                "components_broken",
                "Parts of the host that do not work",
                levels.broken.len() as f64,
            ),
            Gauges::one(
                "agents_quarantined",
                "Agents in quarantine",
                levels.quarantined.len() as f64,
            ),
            Gauges::one(
                "data_risks",
                "Reasons to fear for data",
                levels.risks.len() as f64,
            ),
            Gauges::one(
                "secrets_overdue",
                "Secrets that somebody should have replaced ten days ago or earlier",
                levels.overdue.len() as f64,
            ),
            Gauges {
                name: "quota_used_ratio",
                help: "How full what has a bound is, 0 to 1",
                values: levels
                    .quotas
                    .iter()
                    .map(|(name, share)| (vec![("quota", (*name).to_owned())], *share))
                    .collect(),
            },
            Gauges {
                name: "alerts_firing",
                help: "Whether a rule fires",
                values: self
                    .alerts
                    .firing()
                    .into_iter()
                    .map(|(rule, fires)| {
                        let labels = vec![
                            ("rule", rule.name.to_owned()),
                            ("severity", rule.severity.as_str().to_owned()),
                        ];
                        (labels, f64::from(u8::from(fires)))
                    })
                    .collect(),
            },
        ];
        if let Some(memory) = levels.memory {
            gauges.extend([
                Gauges::one(
                    "memory_used_bytes",
                    "Memory in use in the control group, or on the machine where that has no limit",
                    memory.used as f64,
                ),
                Gauges::one("memory_size_bytes", "All of that memory", memory.all as f64),
            ]);
        }
        if let Some(disk) = levels.disk {
            gauges.extend([
                Gauges::one(
                    "disk_used_bytes",
                    "In use on the disk of the state folder",
                    disk.used as f64,
                ),
                Gauges::one("disk_size_bytes", "All of that disk", disk.all as f64),
            ]);
        }
        if let Some((spent, budget)) = levels.spent {
            gauges.extend([
                Gauges::one(
                    "llm_cost_today_usd",
                    "US dollars that models cost on this day in UTC",
                    spent,
                ),
                Gauges::one(
                    "llm_budget_usd",
                    "US dollars that they may cost on a day",
                    budget,
                ),
            ]);
        }
        let told = self.channels.states().into_iter().take(CHANNELS_MAX);
        let counters = vec![Gauges {
            name: "channel_messages",
            help: "Messages to channels, by what became of them",
            values: told
                .flat_map(|(channel, state)| {
                    [("arrived", state.arrived), ("failed", state.failed)].map(|(result, count)| {
                        let labels =
                            vec![("channel", channel.name.clone()), ("result", result.into())];
                        (labels, count as f64)
                    })
                })
                .collect(),
        }];
        (gauges, counters)
    }
}
