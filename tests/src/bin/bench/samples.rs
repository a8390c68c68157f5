//! Durations into medians and percentiles.

use std::time::Duration;

/// Durations of one kind of call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds those of another.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The duration that `share` (0 to 1) of all do not exceed, in microseconds; 0 without samples.
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into some thousand samples"
        )]
        let index =
            (share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }

    /// The middle one, in microseconds.
    pub(crate) fn median_us(&self) -> f64 {
        self.percentile_us(0.5)
    }

    /// The one that 1 in 100 exceeds, in microseconds.
    pub(crate) fn p99_us(&self) -> f64 {
        self.percentile_us(0.99)
    }
}

/// Rounds of a measured thing and of its peer that took turns.
#[derive(Default)]
pub(crate) struct Pair {
    /// What is measured.
    pub(crate) own: Samples,
    /// What it is compared with.
    pub(crate) peer: Samples,
    rounds: Vec<f64>,
}

impl Pair {
    /// Adds a round of both.
    pub(crate) fn round(&mut self, own: &Samples, peer: &Samples) {
        self.rounds
            .push(own.median_us() / peer.median_us().max(f64::MIN_POSITIVE));
        self.own.extend(own);
        self.peer.extend(peer);
    }

    /// The ratio of the medians.
    pub(crate) fn ratio(&self) -> f64 {
        self.own.median_us() / self.peer.median_us().max(f64::MIN_POSITIVE)
    }

    /// The lowest and the highest ratio of one round: how steady the machine was.
    pub(crate) fn spread(&self) -> (f64, f64) {
        self.rounds
            .iter()
            .fold((f64::INFINITY, 0.0), |(low, high), &ratio| {
                (ratio.min(low), ratio.max(high))
            })
    }
}
