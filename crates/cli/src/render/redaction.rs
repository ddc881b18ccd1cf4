//! Taking the secrets of a bundle out of a text, in every form in which a configuration writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_plan::secrets::SecretBundle;

/// What stands in the place of a secret.
const REDACTED: &str = "<redacted>";

/// A line of a key's PEM that is shorter than this says nothing, and could be found elsewhere by chance.
const TELLING_LENGTH: usize = 20;

/// The text without any secret of the bundle; `None` if one is left all the same.
pub(super) fn redact(text: &str, bundle: &SecretBundle) -> Option<String> {
    let forms = forms(bundle);
    let redacted = forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), REDACTED));
    // A replacement never makes a secret whole again; this guards against a form that nobody thought of.
    let left = traces(bundle).iter().any(|trace| redacted.contains(trace.as_str()));
    (!left).then_some(redacted)
}

/// Every secret of the bundle.
fn values(bundle: &SecretBundle) -> [&str; 10] {
    [
        bundle.cluster_id.expose(),
        bundle.cluster_secret.expose(),
        bundle.bootstrap_token.expose(),
        bundle.secretbox_encryption_secret.expose(),
        bundle.trustd_token.expose(),
        bundle.os_ca.key.expose(),
        bundle.etcd_ca.key.expose(),
        bundle.kubernetes_ca.key.expose(),
        bundle.aggregator_ca.key.expose(),
        bundle.service_account_key.expose(),
    ]
}

/// The forms in which secrets are written, longest first, so that no form hides in a longer one.
fn forms(bundle: &SecretBundle) -> Vec<String> {
    let whole = values(bundle).into_iter().flat_map(|value| [value.to_owned(), STANDARD.encode(value)]);
    let mut forms: Vec<String> = whole.chain(traces(bundle)).collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

/// The parts of secrets by which they are known wherever they stand: tokens themselves, keys by each line of their PEM.
fn traces(bundle: &SecretBundle) -> Vec<String> {
    let telling = |line: &&str| line.len() >= TELLING_LENGTH && !line.starts_with("-----");
    values(bundle).into_iter().flat_map(|value| value.lines().filter(telling)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use helix_engine::secrets::{PkiMaker, SecretMaker as _};
    use helix_plan::forecast::{assumed, forecast};
    use helix_plan::observed::{CloudFacts, Observed};
    use helix_plan::render::machine_config::render_machine_config;
    use helix_plan::step::Step;
    use helix_plan::validated::ValidatedPlatform;
    use jiff::Timestamp;

    use super::*;

    const SANDBOX: &str = include_str!("../../../../manifests/examples/sandbox.yaml");

    /// Everything by which a secret could be recognised: itself, its lines, and either in base64.
    fn recognisable(bundle: &SecretBundle) -> Vec<String> {
        let raw = values(bundle).into_iter().flat_map(|value| std::iter::once(value).chain(value.lines()));
        let raw = raw.filter(|text| text.len() >= TELLING_LENGTH && !text.starts_with("-----"));
        raw.flat_map(|text| [text.trim().to_owned(), STANDARD.encode(text), STANDARD.encode(text.trim())]).collect()
    }

    #[tokio::test]
    async fn no_secret_of_the_bundle_is_left_in_any_configuration() {
        let now = Timestamp::now();
        let platform = serde_saphyr::from_str(SANDBOX).unwrap();
        let catalogue = helix_plan::catalogue::dated_table();
        let platform = ValidatedPlatform::new(&platform, &catalogue, now).unwrap();
        let bundle = PkiMaker.make_bundle(now).await.unwrap();
        let images = assumed::images(&platform);
        let nothing = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
        let mut configs = 0;
        for item in forecast(&platform, nothing, now).items() {
            let Step::ConfigureMachine { inputs, .. } = &item.step else { continue };
            let config = render_machine_config(inputs, &bundle).unwrap();
            let held = recognisable(&bundle).iter().filter(|secret| config.expose().contains(secret.as_str())).count();
            assert!(held >= 3, "a configuration that holds no secrets proves nothing");
            let redacted = redact(config.expose(), &bundle).unwrap();
            assert!(redacted.contains(REDACTED));
            for secret in recognisable(&bundle) {
                assert!(!redacted.contains(&secret), "{} holds a secret", inputs.machine);
            }
            configs += 1;
        }
        assert_eq!(configs, 5);
    }
}
