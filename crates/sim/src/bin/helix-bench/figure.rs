//! A figure, its goal, and whether it is met.

use std::time::{Duration, Instant};

/// One measured number; less is better.
pub(crate) struct Figure {
    pub(crate) name: String,
    value: f64,
    unit: &'static str,
    goal: f64,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name: name.into(), value, unit, goal }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal,
            "holds": self.value <= self.goal,
        })
        .to_string()
    }
}

/// The median of the times that `act` takes.
pub(crate) fn median<T>(runs: usize, mut act: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(act());
            began.elapsed()
        })
        .collect();
    times.sort();
    times.get(runs / 2).copied().unwrap_or_default()
}
