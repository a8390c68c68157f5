//! Who runs next when more want to run than may: those that came first, with a head start for some, and with more places while many wait.

use crate::config::Priority;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For each this many that wait there is one more place.
const WAITING_PER_PLACE: usize = 4;

/// How long after it came something counts as having come, by its priority. A run that waits keeps its rank while later ones rank later, so that none waits for ever.
fn handicap(priority: Priority) -> Duration {
    match priority {
        Priority::High => Duration::ZERO,
        Priority::Normal => Duration::from_secs(30),
        Priority::Low => Duration::from_secs(150),
    }
}

/// The places of all runs.
pub(super) struct Places {
    least: usize,
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    taken: usize,
    count: u64,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

struct Waiting {
    rank: (Instant, u64),
    turn: oneshot::Sender<Place>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// One place, free again when it is dropped.
pub(super) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queue().taken -= 1;
        self.0.hand_out();
    }
}

impl Places {
    /// `least` places, and up to `most` while many wait.
    pub(super) fn new(least: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            least,
            most: most.max(least),
            queue: Mutex::default(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self, waiting: usize) -> usize {
        (self.least + waiting / WAITING_PER_PLACE).min(self.most)
    }

    /// How many there are now.
    pub(super) fn now(&self) -> usize {
        self.size(self.queue().waiting.len())
    }

    /// A place, when it is this one's turn.
    pub(super) async fn acquire(self: &Arc<Self>, priority: Priority) -> Place {
        let turn = {
            let mut queue = self.queue();
            if queue.waiting.is_empty() && queue.taken < self.least {
                queue.taken += 1;
                return Place(Arc::clone(self));
            }
            let (sender, turn) = oneshot::channel();
            queue.count += 1;
            let rank = (Instant::now() + handicap(priority), queue.count);
            queue.waiting.push(Reverse(Waiting { rank, turn: sender }));
            turn
        };
        self.hand_out();
        match turn.await {
            Ok(place) => place,
            // The sender is in the heap until it is used.
            Err(_) => std::future::pending().await,
        }
    }

    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = {
                let mut queue = self.queue();
                // Who went away meanwhile makes no place.
                while queue
                    .waiting
                    .peek()
                    .is_some_and(|Reverse(first)| first.turn.is_closed())
                {
                    queue.waiting.pop();
                }
                if queue.taken >= self.size(queue.waiting.len()) {
                    return;
                }
                let Some(Reverse(next)) = queue.waiting.pop() else {
                    return;
                };
                queue.taken += 1;
                next
            };
            // One that went away gives the place back by dropping it, outside of the lock.
            drop(next.turn.send(Place(Arc::clone(self))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn the_important_go_first_and_nobody_is_forgotten() {
        let places = Places::new(1, 1);
        let held = places.acquire(Priority::Normal).await;
        let mut low = Box::pin(places.acquire(Priority::Low));
        let mut normal = Box::pin(places.acquire(Priority::Normal));
        let mut gone = Box::pin(places.acquire(Priority::High));
        let mut high = Box::pin(places.acquire(Priority::High));
        for waiting in [&mut low, &mut normal, &mut gone, &mut high] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(gone);
        drop(held);
        assert!((&mut normal).now_or_never().is_none());
        let first = high.now_or_never().expect("goes first");
        drop(first);
        let second = normal.now_or_never().expect("goes second");
        assert!((&mut low).now_or_never().is_none());
        drop(second);
        drop(low.now_or_never().expect("goes last"));
        assert_eq!(places.queue().taken, 0);
    }

    #[test]
    fn a_low_one_that_waits_long_enough_goes_before_a_new_high_one() {
        let now = Instant::now();
        let waited = now + handicap(Priority::Low);
        let new = now + Duration::from_secs(151) + handicap(Priority::High);
        assert!(waited < new);
    }

    #[tokio::test]
    async fn there_are_more_places_while_many_wait() {
        let places = Places::new(2, 4);
        let mut held = Vec::new();
        let mut waiting: Vec<_> = (0..16)
            .map(|_| Box::pin(places.acquire(Priority::Normal)))
            .collect();
        for one in &mut waiting {
            if let Some(place) = one.now_or_never() {
                held.push(place);
            }
        }
        assert_eq!(places.now(), 4);
        assert_eq!(places.queue().taken, 4);
    }
}
