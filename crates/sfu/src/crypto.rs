//! The process's DTLS identity, and a look at what each handshake agreed on.
//!
//! str0m does not tell the SRTP profile. A wrapper around its DTLS provider sees the keying
//! material pass and notes the profile; the same place will hand keys to `Egress::Fast`.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use str0m::config::{DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion,
    SrtpProfile as Str0mProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};

use crate::propagated::SrtpProfile;

/// Where a handshake leaves its profile.
pub(crate) type AgreedProfile = Arc<OnceLock<SrtpProfile>>;

/// The provider every `Rtc` of this process uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        static TAP: OnceLock<Tap> = OnceLock::new();
        let base = from_feature_flags();
        let dtls_provider = TAP.get_or_init(|| Tap(base.dtls_provider));
        Arc::new(CryptoProvider {
            dtls_provider,
            ..base
        })
    });
    Arc::clone(&PROVIDER)
}

/// One certificate per process: making a key pair per peer would cost a join milliseconds.
pub(crate) fn certificate() -> Option<DtlsCert> {
    static CERTIFICATE: LazyLock<Option<DtlsCert>> =
        LazyLock::new(|| provider().dtls_provider.generate_certificate());
    CERTIFICATE.clone()
}

/// Runs `build`, which makes exactly one DTLS instance, and returns where that one notes its
/// profile.
pub(crate) fn observed<T>(build: impl FnOnce() -> T) -> (T, AgreedProfile) {
    LAST.take();
    let made = build();
    (made, LAST.take().unwrap_or_default())
}

thread_local! {
    static LAST: RefCell<Option<AgreedProfile>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Tap(&'static dyn DtlsProvider);

impl DtlsProvider for Tap {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.0.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let agreed = AgreedProfile::default();
        let inner = self.0.new_dtls(cert, now, version, mtu)?;
        LAST.set(Some(Arc::clone(&agreed)));
        Ok(Box::new(Observed { inner, agreed }))
    }
}

struct Observed {
    inner: Box<dyn DtlsInstance>,
    agreed: AgreedProfile,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("agreed", &self.agreed)
            .finish_non_exhaustive()
    }
}

impl DtlsInstance for Observed {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.inner.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(_, profile) = &output
            && let Some(profile) = known(*profile)
        {
            // A second handshake of the same instance agrees on the same profile.
            let _ = self.agreed.set(profile);
        }
        output
    }

    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.inner.handle_timeout(now)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.inner.send_application_data(data)
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }

    // The trait's defaults say false for ever, which would leave `Rtc::close` hanging.
    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

fn known(profile: Str0mProfile) -> Option<SrtpProfile> {
    match profile {
        Str0mProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1_80),
        Str0mProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        Str0mProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        _ => None,
    }
}
