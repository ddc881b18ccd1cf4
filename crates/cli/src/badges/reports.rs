//! What continuous integration left in a directory: the result of its newest run, scan, bill of materials and signatures.
//!
//! Of several files of a kind the newest one counts. What cannot be read makes only its own badge unknown.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use helix_plan::badges::{Measured, Reading};
use jiff::Timestamp;
use serde_json::Value;

/// A scan of a large image has some megabytes.
const LARGEST_BYTES: u64 = 64 * 1024 * 1024;

/// What is read of a kind of file.
struct Report {
    slug: &'static str,
    prefix: &'static str,
    /// How the file comes to be.
    made_by: &'static str,
    /// What it says, given when it was written.
    read: fn(&Value, Timestamp) -> Option<Reading>,
}

const REPORTS: [Report; 4] = [
    Report { slug: "build", prefix: "build", made_by: "the pipeline, as {result, commit, at}", read: build },
    Report { slug: "trivy", prefix: "trivy", made_by: "`trivy image --format json`", read: trivy },
    Report { slug: "sbom", prefix: "sbom", made_by: "`trivy image --format cyclonedx`", read: sbom },
    Report { slug: "cosign", prefix: "cosign", made_by: "`cosign verify --output json`", read: cosign },
];

/// The readings of all kinds.
pub(super) fn readings(directory: &Path) -> Vec<(&'static str, Reading)> {
    REPORTS.iter().map(|report| (report.slug, reading(report, directory))).collect()
}

/// Slugs of what would be read.
pub(super) fn slugs() -> impl Iterator<Item = &'static str> {
    REPORTS.iter().map(|report| report.slug)
}

fn reading(report: &Report, directory: &Path) -> Reading {
    let failed = |path: &Path, why: &dyn std::fmt::Display| Reading::failed(format!("{}: {why}", path.display()));
    let newest = match newest(directory, report.prefix) {
        Err(error) => return failed(directory, &error),
        Ok(None) => {
            let remedy = format!("no {}*.json among the reports; it is written by {}", report.prefix, report.made_by);
            return Reading::NotAsked { remedy };
        }
        Ok(Some(newest)) => newest,
    };
    let (path, length, written) = newest;
    if length > LARGEST_BYTES {
        return failed(&path, &format!("it has more than {LARGEST_BYTES} bytes"));
    }
    let json = match fs::read(&path).map(|bytes| serde_json::from_slice::<Value>(&bytes)) {
        Err(error) => return failed(&path, &error),
        Ok(Err(_)) => return failed(&path, &"it is no JSON"),
        Ok(Ok(json)) => json,
    };
    let written = Timestamp::try_from(written).unwrap_or(Timestamp::UNIX_EPOCH);
    let not_it = format!("it is not what {} writes", report.made_by);
    (report.read)(&json, written).unwrap_or_else(|| failed(&path, &not_it))
}

type Newest = Option<(PathBuf, u64, SystemTime)>;

fn newest(directory: &Path, prefix: &str) -> std::io::Result<Newest> {
    let mut newest: Newest = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(prefix) || !name.ends_with(".json") {
            continue;
        }
        let metadata = fs::metadata(&path)?;
        let written = metadata.modified()?;
        // Of two of one time, the later name.
        if newest.as_ref().is_none_or(|(before, _, at)| (*at, before) < (written, &path)) {
            newest = Some((path, metadata.len(), written));
        }
    }
    Ok(newest)
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn build(json: &Value, _: Timestamp) -> Option<Reading> {
    let good = match json["result"].as_str()? {
        "passed" => true,
        "failed" => false,
        _ => return None,
    };
    let commit = json["commit"].as_str().filter(|commit| commit.chars().all(|c| c.is_ascii_hexdigit()))?;
    let of = commit.get(..7)?.to_owned();
    Some(Reading::Observed { measured: Measured::Verdict { good, of }, at: time(&json["at"])? })
}

fn trivy(json: &Value, _: Timestamp) -> Option<Reading> {
    json["SchemaVersion"].as_u64()?;
    let results = json["Results"].as_array().into_iter().flatten();
    let found = results.flat_map(|result| result["Vulnerabilities"].as_array().into_iter().flatten());
    let (mut critical, mut high, mut all) = (0, 0, 0);
    for weakness in found {
        all += 1;
        match weakness["Severity"].as_str() {
            Some("CRITICAL") => critical += 1,
            Some("HIGH") => high += 1,
            _ => {}
        }
    }
    Some(Reading::Observed { measured: Measured::Findings { critical, high, all }, at: time(&json["CreatedAt"])? })
}

fn sbom(json: &Value, _: Timestamp) -> Option<Reading> {
    json["bomFormat"].as_str().filter(|format| *format == "CycloneDX")?;
    let components = json["components"].as_array().map_or(0, Vec::len);
    let components = f64::from(u32::try_from(components).ok()?);
    Some(Reading::number(components, time(json.pointer("/metadata/timestamp")?)?))
}

/// Cosign says nothing of when it has verified: that is when its answer was written.
fn cosign(json: &Value, written: Timestamp) -> Option<Reading> {
    let signatures = json.as_array()?;
    let digest = |signature: &Value| {
        let digest = signature.pointer("/critical/image/docker-manifest-digest").and_then(Value::as_str);
        digest.is_some_and(|digest| digest.starts_with("sha256:"))
    };
    if !signatures.iter().all(digest) {
        return None;
    }
    Some(Reading::number(f64::from(u32::try_from(signatures.len()).ok()?), written))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The reading of a badge where a directory holds these files.
    fn of(slug: &str, files: &[(&str, &str)]) -> Reading {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        readings(directory.path()).into_iter().find(|(found, _)| *found == slug).unwrap().1
    }

    fn measured(reading: Reading) -> Measured {
        match reading {
            Reading::Observed { measured, .. } => measured,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_report_is_read_and_changes_with_what_it_says() {
        let build = |result: &str| {
            let commit = "25b143f0a1b2c3d4e5f60718293a4b5c6d7e8f90";
            let text = json!({"result": result, "commit": commit, "at": "2026-11-21T00:00:00Z"}).to_string();
            measured(of("build", &[("build.json", &text)]))
        };
        assert_eq!(build("passed"), Measured::Verdict { good: true, of: "25b143f".to_owned() });
        assert_eq!(build("failed"), Measured::Verdict { good: false, of: "25b143f".to_owned() });

        let scan = |severities: &[&str]| {
            let found: Vec<Value> = severities.iter().map(|it| json!({"Severity": it})).collect();
            let text = json!({"SchemaVersion": 2, "CreatedAt": "2026-11-21T10:11:12.123456789Z",
                "Results": [{"Target": "image"}, {"Vulnerabilities": found}]});
            measured(of("trivy", &[("trivy-operator.json", &text.to_string())]))
        };
        assert_eq!(scan(&[]), Measured::Findings { critical: 0, high: 0, all: 0 });
        assert_eq!(scan(&["CRITICAL", "HIGH", "LOW", "HIGH"]), Measured::Findings { critical: 1, high: 2, all: 4 });

        let bill = json!({"bomFormat": "CycloneDX", "metadata": {"timestamp": "2026-11-21T00:00:00+00:00"},
            "components": [{}, {}, {}]});
        assert_eq!(measured(of("sbom", &[("sbom.cdx.json", &bill.to_string())])), Measured::Number(3.0));

        let signature = json!({"critical": {"image": {"docker-manifest-digest": "sha256:ab"}}});
        let verified = |all: &[&Value]| measured(of("cosign", &[("cosign.json", &json!(all).to_string())]));
        assert_eq!(verified(&[]), Measured::Number(0.0));
        assert_eq!(verified(&[&signature, &signature]), Measured::Number(2.0));
    }

    #[test]
    fn what_is_absent_or_nonsense_is_told_apart() {
        assert!(matches!(of("build", &[]), Reading::NotAsked { .. }));
        for text in ["", "{", "null", "[]", r#"{"result": "great"}"#, r#"{"result":"passed","commit":"zz","at":"now"}"#]
        {
            assert!(matches!(of("build", &[("build.json", text)]), Reading::Failed { .. }), "{text}");
        }
        for (slug, name) in [("trivy", "trivy.json"), ("sbom", "sbom.json"), ("cosign", "cosign.json")] {
            assert!(matches!(of(slug, &[(name, r#"{"x": [1]}"#)]), Reading::Failed { .. }), "{slug}");
        }
        assert!(matches!(of("cosign", &[("cosign.json", "[{}]")]), Reading::Failed { .. }));
        let nowhere = readings(Path::new("/nonexistent"));
        assert!(nowhere.iter().all(|(_, reading)| matches!(reading, Reading::Failed { .. })));
    }

    #[test]
    fn of_several_the_newest_counts() {
        let directory = tempfile::tempdir().unwrap();
        let bill = |components: usize| {
            json!({"bomFormat": "CycloneDX", "metadata": {"timestamp": "2026-11-21T00:00:00Z"},
                "components": vec![json!({}); components]})
        };
        for (name, components, second) in [("sbom-z.json", 1, 100), ("sbom-a.json", 2, 200)] {
            let path = directory.path().join(name);
            fs::write(&path, bill(components).to_string()).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        let found = readings(directory.path()).into_iter().find(|(slug, _)| *slug == "sbom").unwrap().1;
        assert_eq!(measured(found), Measured::Number(2.0));
    }
}
