//! CPU time by process, from /proc.

use std::fs;

/// Linux counts in ticks of 10 ms whatever the kernel's own rate is.
const MICROS_PER_TICK: u64 = 10_000;

/// Where the time of a measurement goes; 0 is no such process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes {
    /// Front door; with `--split` Turnstile's worker is another process.
    pub front: u32,
    pub worker: u32,
    pub broker: u32,
    /// The postmaster: its children count too, those that ended as well.
    pub database: u32,
    pub redis: u32,
}

/// CPU time in µs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub front: u64,
    pub worker: u64,
    pub broker: u64,
    pub database: u64,
    pub redis: u64,
    pub generator: u64,
    /// Of all processes of the machine, these included.
    pub machine: u64,
}

struct Stat {
    parent: u32,
    own: u64,
    of_ended_children: u64,
}

impl Stat {
    fn read(pid: &str) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may have spaces; what follows it has none.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            of_ended_children: ticks(13)? + ticks(14)?,
        })
    }
}

fn ticks_of(pid: u32) -> u64 {
    if pid == 0 { 0 } else { Stat::read(&pid.to_string()).map_or(0, |stat| stat.own) }
}

fn ticks_of_family(pid: u32) -> u64 {
    let Some(parent) = (pid != 0).then(|| Stat::read(&pid.to_string())).flatten() else { return 0 };
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.into_string().ok()).filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let children = pids.filter_map(|pid| Stat::read(&pid)).filter(|stat| stat.parent == pid);
    parent.own + parent.of_ended_children + children.map(|stat| stat.own).sum::<u64>()
}

/// Busy time of all cores; what a hypervisor took counts as taken by others.
fn ticks_of_machine() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|at| ticks.get(*at)).sum()
}

impl Processes {
    pub fn usage(&self) -> Usage {
        let micros = |ticks: u64| ticks * MICROS_PER_TICK;
        Usage {
            front: micros(ticks_of(self.front)),
            worker: micros(ticks_of(self.worker)),
            broker: micros(ticks_of(self.broker)),
            database: micros(ticks_of_family(self.database)),
            redis: micros(ticks_of(self.redis)),
            generator: micros(Stat::read("self").map_or(0, |stat| stat.own)),
            machine: micros(ticks_of_machine()),
        }
    }
}

impl Usage {
    /// CPU time of what belongs to the measurement.
    pub fn known(&self) -> u64 {
        self.front + self.worker + self.broker + self.database + self.redis + self.generator
    }

    pub fn others(&self) -> u64 {
        self.machine.saturating_sub(self.known())
    }

    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            front: self.front.saturating_sub(before.front),
            worker: self.worker.saturating_sub(before.worker),
            broker: self.broker.saturating_sub(before.broker),
            database: self.database.saturating_sub(before.database),
            redis: self.redis.saturating_sub(before.redis),
            generator: self.generator.saturating_sub(before.generator),
            machine: self.machine.saturating_sub(before.machine),
        }
    }
}
