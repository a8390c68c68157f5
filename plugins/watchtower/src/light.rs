//! A mirror's light.

use crate::Seen;
use infinity_sdk::prelude::*;
use jiff::Timestamp;

/// How long a mirror may be behind with a green light: its agent's hour, and a quarter for being late.
pub(crate) const GREEN_MINUTES: u32 = 75;

/// And with a yellow one: two hours and two quarters.
pub(crate) const YELLOW_MINUTES: u32 = 150;

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Light {
    Green,
    Yellow,
    Red,
}

impl Light {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        [Self::Green, Self::Yellow, Self::Red]
            .into_iter()
            .find(|light| light.as_str() == word)
    }
}

/// How many minutes a mirror may be behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    green: i64,
    yellow: i64,
}

impl Limits {
    pub(crate) fn new(green: u32, yellow: u32) -> Result<Self, Failure> {
        if yellow < green {
            return Err(Failure::InvalidInput(
                "setting `yellow_minutes` is less than `green_minutes`".into(),
            ));
        }
        Ok(Self {
            green: i64::from(green),
            yellow: i64::from(yellow),
        })
    }

    /// The light, and why. `failed_at` is when the agent that makes the mirror failed since it was in step.
    pub(crate) fn judge(
        self,
        seen: &Seen,
        failed_at: Option<&str>,
        now: Timestamp,
    ) -> (Light, String) {
        if seen.is_in_step() {
            return (Light::Green, "it is in step".into());
        }
        let count = seen.differ.len();
        if let Some(at) = failed_at {
            return (
                Light::Red,
                format!("{count} files differ, and its agent failed at {at}"),
            );
        }
        let (Some(since), true) = (seen.behind_since, seen.has_copy()) else {
            return (Light::Red, "there is no copy yet".into());
        };
        let minutes = now.duration_since(since).as_secs() / 60;
        let light = if minutes <= self.green {
            Light::Green
        } else if minutes <= self.yellow {
            Light::Yellow
        } else {
            Light::Red
        };
        (
            light,
            format!("{count} files differ, for {minutes} minutes"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn light(minutes: i64, failed: bool) -> Light {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let seen = Seen {
            differ: vec![("a".into(), "change")],
            behind_since: Some(now - SignedDuration::from_mins(minutes)),
            head: Some(("c".into(), String::new())),
            ..Seen::default()
        };
        let limits = Limits::new(GREEN_MINUTES, YELLOW_MINUTES).unwrap();
        limits.judge(&seen, failed.then_some("then"), now).0
    }

    #[test]
    fn the_light_goes_by_how_long_the_mirror_is_behind() {
        for (minutes, expected) in [
            (0, Light::Green),
            (75, Light::Green),
            (76, Light::Yellow),
            (150, Light::Yellow),
            (151, Light::Red),
        ] {
            assert_eq!(light(minutes, false), expected, "{minutes}");
        }
        assert_eq!(light(1, true), Light::Red);
        let seen = Seen::default();
        let limits = Limits::new(1, 1).unwrap();
        assert_eq!(
            limits.judge(&seen, Some("then"), Timestamp::UNIX_EPOCH).0,
            Light::Green
        );
    }

    #[test]
    fn limits_that_cross_are_a_mistake() {
        assert!(Limits::new(2, 1).is_err());
    }
}
