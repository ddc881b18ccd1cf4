//! The faults of what runs on the machines, and of where it comes from. All but a failover are standing facts, which are
//! not counted: they hold until they are withdrawn.

use super::{Fault, Faults, is};
use crate::world::Rng;

impl Faults {
    /// Whether a chart is gone from its repository.
    pub(crate) fn is_chart_withdrawn(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::ChartWithdrawn { chart } if chart == name))
    }

    /// Whether a chart's archives are others than they were.
    pub(crate) fn is_chart_republished(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::ChartRepublished { chart } if chart == name))
    }

    /// Whether a volume of Longhorn's has lost all its copies.
    pub(crate) fn is_volume_faulted(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::VolumeFaults { volume } if is(volume.as_ref(), name)))
    }

    /// Whether a certificate is refused.
    pub(crate) fn is_certificate_refused(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::CertificateNotIssued { certificate } if is(certificate.as_ref(), name)))
    }

    /// Whether an Application of Argo CD degrades.
    pub(crate) fn is_application_degraded(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::ApplicationDegrades { application } if is(application.as_ref(), name)))
    }

    /// Whether a pod's containers end as soon as they start.
    pub(crate) fn is_pod_crashing(&self, namespace: &str, name: &str) -> bool {
        self.any(|fault| {
            matches!(fault, Fault::PodCrashes { namespace: wanted, prefix }
                if is(wanted.as_ref(), namespace) && name.starts_with(prefix))
        })
    }

    /// Whether backups of a PostgreSQL cluster fail.
    pub(crate) fn is_backup_failing(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::BackupFails { cluster } if is(cluster.as_ref(), name)))
    }

    /// Whether a model cannot be pulled.
    pub(crate) fn is_model_missing(&self, name: &str) -> bool {
        self.any(|fault| matches!(fault, Fault::ModelNotPulled { model } if model == name))
    }

    /// Whether a PostgreSQL cluster loses its primary now.
    pub(crate) fn on_database(&mut self, rng: &mut Rng, name: &str) -> bool {
        self.first(rng, |fault| {
            let Fault::DatabaseFailsOver { cluster } = fault else { return None };
            is(cluster.as_ref(), name).then_some(())
        })
        .is_some()
    }

    fn any(&self, holds: impl Fn(&Fault) -> bool) -> bool {
        self.injections.values().any(|injection| holds(&injection.fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Injection;

    #[test]
    fn what_stands_is_not_used_up_and_a_failover_is() {
        let mut faults = Faults::default();
        let crash = Fault::PodCrashes { namespace: Some("shop".to_owned()), prefix: "web-".to_owned() };
        faults.inject(Injection::standing(crash));
        faults.inject(Injection::standing(Fault::ApplicationDegrades { application: None }));
        assert!(faults.is_application_degraded("ollama"));
        faults.inject(Injection::times(Fault::DatabaseFailsOver { cluster: None }, 1));
        assert!(faults.is_pod_crashing("shop", "web-1") && faults.is_pod_crashing("shop", "web-1"));
        assert!(!faults.is_pod_crashing("bank", "web-1"));
        let mut rng = Rng::new(1);
        assert_eq!([(); 2].map(|()| faults.on_database(&mut rng, "main")), [true, false]);
    }
}
