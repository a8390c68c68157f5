//! How full the machine is: memory and the disk of a folder, from `/proc`, the control group and the file system. Each look is a few small reads.

use std::path::{Path, PathBuf};

/// Where control groups of version 2 are.
const GROUPS: &str = "/sys/fs/cgroup";

/// How much of something is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// In use.
    pub used: u64,
    /// All of it.
    pub all: u64,
}

impl Share {
    /// In percent; 0 of nothing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of one machine, as a share"
    )]
    pub fn percent(&self) -> f64 {
        match self.all {
            0 => 0.0,
            all => self.used as f64 * 100.0 / all as f64,
        }
    }
}

/// Memory: that of the process' control group where that has a limit, else that of the machine. What the kernel gives back when asked (caches) counts as free.
#[must_use]
pub fn memory() -> Option<Share> {
    let text = |path: PathBuf| std::fs::read_to_string(path).ok();
    let machine = machine(&text(PathBuf::from("/proc/meminfo"))?)?;
    let group = text(PathBuf::from("/proc/self/cgroup")).and_then(|group| {
        Some(
            group
                .lines()
                .find_map(|line| line.strip_prefix("0::"))?
                .to_owned(),
        )
    });
    let Some(group) = group else {
        return Some(machine);
    };
    // In a container the group is the root of what can be seen.
    let own = Path::new(GROUPS).join(group.trim().trim_start_matches('/'));
    let folder = [own, PathBuf::from(GROUPS)]
        .into_iter()
        .find(|folder| folder.join("memory.max").is_file());
    let limited = folder.and_then(|folder| {
        limited(
            &text(folder.join("memory.max"))?,
            &text(folder.join("memory.current"))?,
            &text(folder.join("memory.stat")).unwrap_or_default(),
        )
    });
    // A limit above the machine's memory limits nothing.
    Some(
        limited
            .filter(|group| group.all <= machine.all)
            .unwrap_or(machine),
    )
}

/// Of `/proc/meminfo`.
fn machine(text: &str) -> Option<Share> {
    let value = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let all = value("MemTotal:")?;
    let free = value("MemAvailable:")?;
    Some(Share {
        used: all.saturating_sub(free) * 1024,
        all: all * 1024,
    })
}

/// Of a control group; none when it has no limit, which is the word `max`.
fn limited(max: &str, current: &str, stat: &str) -> Option<Share> {
    let all = max.trim().parse().ok()?;
    let used: u64 = current.trim().parse().ok()?;
    let cached = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file "))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0);
    Some(Share {
        used: used.saturating_sub(cached),
        all,
    })
}

/// The disk that a folder is on, as `df` counts: what only the administrator may use is neither used nor free. With it the bytes that are free.
#[must_use]
pub fn disk(folder: &Path) -> Option<(Share, u64)> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let used = found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize;
    let free = found.f_bavail * found.f_frsize;
    let share = Share {
        used,
        all: used + free,
    };
    Some((share, free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_machine_is_what_is_not_available() {
        let text = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    250 kB\n";
        let share = machine(text).unwrap();
        assert_eq!((share.used, share.all), (750 * 1024, 1000 * 1024));
        assert!((share.percent() - 75.0).abs() < 1e-9);
        assert_eq!(machine("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn a_control_group_with_a_limit_counts_without_its_cache() {
        let stat = "anon 500\ninactive_file 300\n";
        assert_eq!(
            limited("1000\n", "900\n", stat),
            Some(Share {
                used: 600,
                all: 1000
            })
        );
        assert_eq!(limited("max\n", "900\n", stat), None);
    }

    #[test]
    fn every_machine_has_memory_and_a_disk() {
        let memory = memory().unwrap();
        assert!(memory.used > 0 && memory.used <= memory.all);
        let (disk, free) = disk(Path::new("/")).unwrap();
        assert!(disk.percent() <= 100.0 && disk.all >= free);
        assert!(super::disk(Path::new("/nothing/there")).is_none());
    }
}
