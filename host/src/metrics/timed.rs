//! Times that are counted twice: as a histogram for Prometheus, and as plain counts that the host's own rules read.

use prometheus_client::metrics::histogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of what is counted together, in milliseconds: each threshold that a rule has by default is one of them, so that nothing is guessed there.
pub const BOUNDS_MS: [u64; 16] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000, 120_000,
    300_000,
];

/// How many there were within each bound and not the one before; the last is what was longer than all.
pub type Counts = [u64; BOUNDS_MS.len() + 1];

/// One kind of time.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) histogram: Histogram,
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
}

impl Default for Timed {
    fn default() -> Self {
        #[expect(clippy::cast_precision_loss, reason = "five minutes at most")]
        let bounds = BOUNDS_MS.map(|ms| ms as f64 / 1e3);
        Self {
            histogram: Histogram::new(bounds),
            counts: Default::default(),
        }
    }
}

impl Timed {
    pub(super) fn observe(&self, took: Duration) {
        self.histogram.observe(took.as_secs_f64());
        let place = BOUNDS_MS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound))
            .unwrap_or(BOUNDS_MS.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (to, from) in counts.iter_mut().zip(&self.counts) {
            *to = from.load(Ordering::Relaxed);
        }
        counts
    }
}

/// The time in milliseconds within which this share of them was, 0 to 1, between the bounds by proportion as Prometheus does it; none when there were none.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of what happened within an hour"
)]
pub fn quantile(counts: &Counts, share: f64) -> Option<f64> {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let rank = all as f64 * share.clamp(0.0, 1.0);
    let mut below = 0.0;
    let mut from = 0.0;
    for (count, bound) in counts.iter().zip(BOUNDS_MS) {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            return Some(from + (bound as f64 - from) * ((rank - below) / count).clamp(0.0, 1.0));
        }
        below += count;
        from = bound as f64;
    }
    // Longer than the last bound, and nobody knows by how much.
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(usize, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (place, count) in of {
            counts[*place] = *count;
        }
        counts
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_what_was_counted() {
        assert_eq!(quantile(&Counts::default(), 0.99), None);
        // All within 5 ms.
        assert_eq!(quantile(&counts(&[(0, 10)]), 1.0), Some(5.0));
        // Half of them within 5 ms, the rest between 250 and 500 ms.
        let mixed = counts(&[(0, 50), (6, 50)]);
        assert_eq!(quantile(&mixed, 0.5), Some(5.0));
        assert_eq!(quantile(&mixed, 0.75), Some(375.0));
        assert_eq!(quantile(&mixed, 1.0), Some(500.0));
        // Longer than everything that is counted.
        assert_eq!(quantile(&counts(&[(16, 3)]), 0.5), Some(300_000.0));
    }

    #[test]
    fn what_is_exactly_at_a_bound_is_within_it() {
        let timed = Timed::default();
        timed.observe(Duration::from_millis(500));
        timed.observe(Duration::from_millis(501));
        timed.observe(Duration::from_secs(900));
        assert_eq!(timed.counts(), counts(&[(6, 1), (7, 1), (16, 1)]));
    }
}
