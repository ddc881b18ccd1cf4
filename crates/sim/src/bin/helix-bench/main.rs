//! `helix-bench`: figures of the engine, measured on the in-process world and on this machine. Run by
//! `cargo xtask bench`, which adds what only a running sandbox can show.
//!
//! Prints one JSON object a line: `{"name", "value", "unit", "goal", "holds"}`. A goal that is missed is told, not
//! punished, and a figure that can't be measured is left out with its reason on standard error: the exit code is 0 all
//! the same.

mod figure;
mod lives;
mod pure;

use clap::Parser;

use figure::Figure;

/// Figures of the engine, one JSON object a line.
#[derive(Parser)]
#[command(name = "helix-bench", version)]
struct Arguments {
    /// Measures only the figures whose name begins with this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// What measures one or more figures whose names begin alike.
type Measure = fn() -> Result<Vec<Figure>, String>;

/// Every measurement, by the beginning of its figures' names. The one that looks at memory comes before others have left
/// theirs.
const MEASUREMENTS: [(&str, Measure); 11] = [
    ("operator-100x50", lives::a_hundred_on_one_operator),
    ("lives-10000", lives::ten_thousand_lives),
    ("engine-overhead", lives::overhead),
    ("hetzner-calls-per-further-server", lives::calls_per_server),
    ("hetzner-calls-of-a-steady-sweep", lives::steady_sweep),
    ("one-token-5x99", lives::five_on_one_token),
    ("steady-hour-1000-machines", lives::steady_hour),
    ("rolling-talos-upgrade", lives::rolling_upgrade),
    ("plan-1000-machines", pure::plan_of_a_thousand),
    ("machine-config", pure::machine_config),
    ("secret-bundle", pure::secret_bundle),
];

fn main() {
    let only = Arguments::parse().only.unwrap_or_default();
    let chosen = MEASUREMENTS.iter().filter(|(name, _)| name.starts_with(&only) || only.starts_with(name));
    for (name, measure) in chosen {
        match measure() {
            Ok(figures) => {
                for figure in figures.iter().filter(|figure| figure.name.starts_with(&only)) {
                    println!("{}", figure.to_json());
                }
            }
            Err(why) => eprintln!("{name} is not measured: {why}"),
        }
    }
}
