//! Lines to machines, and which of them are kept.
//!
//! A line to a control plane is used by every pass, so it is kept while it is used; the channel in it connects when
//! first needed and again after a break. Nothing is kept of machines in maintenance mode.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use helix_engine::seams::{TalosCredentials, TalosError};
use rustls::ClientConfig;
use sha2::{Digest as _, Sha256};
use tonic::transport::{Channel, Endpoint, Uri};

use super::failure::Breakage;
use super::link::{Dialler, Word};
use super::tls::{self, UnusableCredentials};

/// A line that was not used for so long is let go.
const IDLE: Duration = Duration::from_secs(600);
/// A connection with calls on it is probed so often, and given up when nothing comes back for [`KEEP_ALIVE_ANSWER`].
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);

/// A channel to one apid, with word of what last broke it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    address: Ipv4Addr,
    channel: Channel,
    word: Word,
}

impl Line {
    /// A line to a machine in maintenance mode.
    pub(super) fn maintenance(address: Ipv4Addr, port: u16) -> Result<Self, TalosError> {
        let tls = tls::maintenance().map_err(|error| unusable(address, error))?;
        Self::to(address, port, tls)
    }

    fn to(address: Ipv4Addr, port: u16, tls: ClientConfig) -> Result<Self, TalosError> {
        let invalid = |_| TalosError::Unreachable { address, why: "its address makes no URI".to_owned() };
        let uri = |scheme: &str| Uri::try_from(format!("{scheme}://{address}:{port}")).map_err(invalid);
        let word = Word::default();
        // `http`, because TLS is the dialler's matter; the origin is what the requests say.
        let channel = Endpoint::from(uri("http")?)
            .origin(uri("https")?)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .connect_with_connector_lazy(Dialler::new((address, port).into(), tls, word.clone()));
        Ok(Self { address, channel, word })
    }

    /// Where the line ends.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What last broke the line, if its latest connection did break.
    pub(super) fn breakage(&self) -> Option<Breakage> {
        self.word.latest()
    }
}

fn unusable(address: Ipv4Addr, error: UnusableCredentials) -> TalosError {
    TalosError::WrongAuthority { address, why: error.to_string() }
}

/// Whose line it is: private addresses repeat from platform to platform, credentials do not.
type Owner = (Ipv4Addr, [u8; 32]);

struct Kept {
    line: Line,
    used: Instant,
}

/// The lines that are kept.
#[derive(Default)]
pub(super) struct Channels(Mutex<HashMap<Owner, Kept>>);

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "Channels({count})")
    }
}

impl Channels {
    /// The line to a configured machine, as the holder of these credentials.
    pub(super) fn mutual(
        &self,
        address: Ipv4Addr,
        port: u16,
        credentials: &TalosCredentials,
    ) -> Result<Line, TalosError> {
        let owner = (address, Sha256::digest(&credentials.certificate_pem).into());
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get_mut(&owner) {
            kept.used = now;
            return Ok(kept.line.clone());
        }
        kept.retain(|_, kept| now.duration_since(kept.used) < IDLE);
        let tls = tls::mutual(credentials).map_err(|error| unusable(address, error))?;
        let line = Line::to(address, port, tls)?;
        kept.insert(owner, Kept { line: line.clone(), used: now });
        Ok(line)
    }
}
