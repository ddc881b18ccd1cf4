//! `cargo xtask diagrams --compare`: the same sources drawn by Mermaid itself in a browser, timed, and laid beside ours.
//!
//! For looking at, when the renderer or a source changes. Nothing of it is kept in the repository, and CI does not run it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::look::Look;
use super::studio::Picture;
use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// The reference renderer: the newest that asks for no newer Node than Debian's.
const REFERENCE: &str = "@mermaid-js/mermaid-cli@11.17.0";

/// Debian's browser.
const BROWSER: &str = "chromium";

/// Draws every light picture again by the reference, and writes a picture of both and a table under `target`.
///
/// # Errors
/// When npm or the browser is not there, or the reference fails.
pub(super) fn run(repository: &Repository, target: &Path, pictures: &[Picture<'_>]) -> Result<(), Error> {
    let reference = Reference::install(target)?;
    let directory = target.join("compare");
    fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    let mut table = "| diagram | ours, ms | reference, ms | times |\n|---|---|---|---|\n".to_owned();
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for picture in pictures.iter().filter(|picture| picture.look == Look::Light) {
        let name = &picture.source.name;
        let took = reference
            .draw(&repository.path(&picture.source.path()), &directory.join(format!("{name}.reference.svg")))?;
        let own = directory.join(format!("{name}.ours.svg"));
        fs::write(&own, &picture.svg).map_err(Error::file("write", own))?;
        side_by_side(&directory, name)?;
        row(&mut table, name, picture.took, took);
        (ours, theirs) = (ours + picture.took, theirs + took);
    }
    row(&mut table, "all", ours, theirs);
    print!("{table}");
    let path = directory.join("table.md");
    fs::write(&path, table).map_err(Error::file("write", path))?;
    println!("side by side: {}/*.png", directory.display());
    Ok(())
}

fn row(table: &mut String, name: &str, ours: Duration, theirs: Duration) {
    let (ours, theirs) = (ours.as_secs_f64() * 1000.0, theirs.as_secs_f64() * 1000.0);
    // Writing to a String can't fail.
    let _ = writeln!(table, "| {name} | {ours:.1} | {theirs:.0} | {:.0} |", theirs / ours);
}

/// An installed reference renderer.
struct Reference {
    program: PathBuf,
    configuration: PathBuf,
    browser: PathBuf,
}

impl Reference {
    fn install(target: &Path) -> Result<Self, Error> {
        let home = target.join("reference");
        fs::create_dir_all(&home).map_err(Error::file("create", &home))?;
        let program = home.join("node_modules/.bin/mmdc");
        if !program.exists() {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(REFERENCE);
            // The browser is Debian's, not one that an installation script fetches.
            process::step(npm.env("PUPPETEER_SKIP_DOWNLOAD", "1"))?;
        }
        let (configuration, browser) = (home.join("mermaid.json"), home.join("puppeteer.json"));
        let which = json!({"executablePath": format!("/usr/bin/{BROWSER}"), "args": ["--no-sandbox"]});
        for (path, content) in [(&configuration, Look::Light.configuration()), (&browser, which)] {
            fs::write(path, content.to_string()).map_err(Error::file("write", path))?;
        }
        Ok(Self { program, configuration, browser })
    }

    /// Draws one source, and says how long that took from the start of the program to its end.
    fn draw(&self, source: &Path, svg: &Path) -> Result<Duration, Error> {
        let mut command = Command::new(&self.program);
        command.arg("--quiet").arg("--input").arg(source).arg("--output").arg(svg);
        command.arg("--configFile").arg(&self.configuration).arg("--puppeteerConfigFile").arg(&self.browser);
        let started = Instant::now();
        process::succeeds_or_tells(&mut command)?;
        Ok(started.elapsed())
    }
}

/// One picture of both, as the browser shows them.
fn side_by_side(directory: &Path, name: &str) -> Result<(), Error> {
    let page = directory.join(format!("{name}.html"));
    let half = |which: &str| {
        format!("<figure><figcaption>{which}</figcaption><img src=\"{name}.{which}.svg\" alt=\"\"></figure>")
    };
    let style = "body{margin:0;display:flex;font:16px sans-serif}figure{margin:8px;width:50%}img{max-width:100%;max-height:1000px}";
    let html = format!("<!doctype html><style>{style}</style>{}{}", half("ours"), half("reference"));
    fs::write(&page, html).map_err(Error::file("write", &page))?;
    let mut browser = Command::new(BROWSER);
    browser.args(["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1800,1080"]);
    browser.arg(format!("--screenshot={}", directory.join(format!("{name}.png")).display())).arg(&page);
    process::succeeds_or_tells(&mut browser)
}
