//! How a rule gets from quiet to firing and back. Pure: time is a parameter.

use std::time::Duration;

/// Where a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It does not hold.
    #[default]
    Quiet,
    /// It holds, and not for long enough.
    Pending {
        /// Since when.
        since: Duration,
    },
    /// It fired.
    Firing {
        /// Since when it does not hold any more.
        quiet_since: Option<Duration>,
    },
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It fires from now on.
    Fires,
    /// It is over.
    Resolves,
}

impl Phase {
    /// Takes a look at `up` into account: whether the rule holds, or nobody knows. What lasts shorter than `lasts` changes nothing, in both directions.
    pub(super) fn step(
        &mut self,
        holds: Option<bool>,
        up: Duration,
        lasts: Duration,
    ) -> Option<Turn> {
        match (*self, holds) {
            (Self::Quiet | Self::Pending { .. }, Some(true)) => {
                let since = match *self {
                    Self::Pending { since } => since,
                    _ => up,
                };
                if up.saturating_sub(since) < lasts {
                    *self = Self::Pending { since };
                    return None;
                }
                *self = Self::Firing { quiet_since: None };
                Some(Turn::Fires)
            }
            (Self::Quiet | Self::Pending { .. }, _) => {
                *self = Self::Quiet;
                None
            }
            (Self::Firing { .. }, Some(true)) => {
                *self = Self::Firing { quiet_since: None };
                None
            }
            (Self::Firing { .. }, None) => None,
            (Self::Firing { quiet_since }, Some(false)) => {
                let since = quiet_since.unwrap_or(up);
                if up.saturating_sub(since) < lasts {
                    *self = Self::Firing {
                        quiet_since: Some(since),
                    };
                    return None;
                }
                *self = Self::Quiet;
                Some(Turn::Resolves)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each look comes to, one every ten seconds, of a rule that has to hold for half a minute.
    fn turns(looks: &[Option<bool>]) -> Vec<Option<Turn>> {
        let mut phase = Phase::default();
        looks
            .iter()
            .zip(0..)
            .map(|(holds, look)| {
                let up = Duration::from_secs(look * 10);
                phase.step(*holds, up, Duration::from_secs(30))
            })
            .collect()
    }

    #[test]
    fn what_holds_long_enough_fires_once() {
        let yes = Some(true);
        assert_eq!(
            turns(&[yes, yes, yes, yes, yes]),
            [None, None, None, Some(Turn::Fires), None]
        );
    }

    #[test]
    fn what_holds_for_a_moment_does_not_fire() {
        let (yes, no) = (Some(true), Some(false));
        assert!(
            turns(&[yes, yes, no, yes, yes, None, yes, yes])
                .iter()
                .all(Option::is_none)
        );
    }

    #[test]
    fn a_moment_of_quiet_ends_nothing() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(
            turns(&[yes, yes, yes, yes, no, no, yes, no, no, no, no]),
            [
                None,
                None,
                None,
                Some(Turn::Fires),
                None,
                None,
                None,
                None,
                None,
                None,
                Some(Turn::Resolves)
            ]
        );
    }

    #[test]
    fn what_nobody_knows_ends_nothing() {
        let mut phase = Phase::Firing { quiet_since: None };
        for look in 0..100 {
            let up = Duration::from_secs(look * 10);
            assert_eq!(phase.step(None, up, Duration::ZERO), None);
        }
        assert_eq!(
            phase.step(Some(false), Duration::from_secs(1_000), Duration::ZERO),
            Some(Turn::Resolves)
        );
    }
}
