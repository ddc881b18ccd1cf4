//! One connection to apid: dialled within a bound, and able to say why it broke.
//!
//! HTTP/2 turns an I/O error into a text on its way up. But a machine says by a TLS alert that it is configured, or that
//! it does not know our authority, and that arrives after the handshake, as a read error. So the connection itself
//! keeps the error, typed, where the caller finds it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Uri;
use tower::Service;

use super::failure::Breakage;

/// How long TCP and TLS may take until a connection stands.
const DIAL: Duration = Duration::from_secs(5);

/// Where a line's connections leave word of what broke them; the latest counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Word(Arc<Mutex<Option<Breakage>>>);

impl Word {
    pub(super) fn latest(&self) -> Option<Breakage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leave(&self, word: Option<Breakage>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = word;
    }

    /// Takes note of an I/O error; TLS errors travel inside of those.
    fn note(&self, error: &io::Error) {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        self.leave(Some(inner.map_or_else(|| Breakage::Io(error.kind()), |tls| Breakage::Tls(tls.clone()))));
    }
}

/// Dials one address with one TLS configuration, as often as the channel asks for it.
#[derive(Clone)]
pub(super) struct Dialler {
    address: SocketAddr,
    tls: TlsConnector,
    word: Word,
}

impl Dialler {
    pub(super) fn new(address: SocketAddr, tls: ClientConfig, word: Word) -> Self {
        Self { address, tls: TlsConnector::from(Arc::new(tls)), word }
    }

    async fn dial(self) -> io::Result<TokioIo<Link>> {
        let handshake = async {
            let tcp = TcpStream::connect(self.address).await?;
            tcp.set_nodelay(true)?;
            self.tls.connect(ServerName::IpAddress(self.address.ip().into()), tcp).await
        };
        match tokio::time::timeout(DIAL, handshake).await {
            Ok(Ok(stream)) => {
                self.word.leave(None);
                Ok(TokioIo::new(Link { stream, word: self.word }))
            }
            Ok(Err(error)) => {
                self.word.note(&error);
                Err(error)
            }
            Err(_) => {
                self.word.leave(Some(Breakage::TimedOut(DIAL)));
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Link>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.clone().dial().boxed()
    }
}

/// A connection that leaves word when it breaks.
pub(super) struct Link {
    stream: TlsStream<TcpStream>,
    word: Word,
}

impl Link {
    /// After a failed write: the peer has closed, and its reason may lie unread.
    fn note_after_write(&mut self, cx: &mut Context<'_>, error: &io::Error) {
        let mut scrap = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(Err(reason)) => return self.word.note(&reason),
                Poll::Ready(Ok(())) | Poll::Pending => return self.word.note(error),
            }
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Err(error) = &outcome {
            self.word.note(error);
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        if let Err(error) = &outcome {
            self.note_after_write(cx, error);
        }
        Poll::Ready(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        if let Err(error) = &outcome {
            self.note_after_write(cx, error);
        }
        Poll::Ready(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
