//! Mail, through a server that is spoken to by SMTP.

use super::{DEADLINE, Message, TellError};
use crate::config::Secret;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::IpAddr;
use std::path::Path;

/// Characters of a subject.
const SUBJECT_MAX: usize = 200;

fn refused(error: impl std::fmt::Display) -> TellError {
    TellError::Refused(error.to_string())
}

/// The mail of a message. The same message has the same `Message-ID`, by which programs that read mail drop the second.
fn mail(from: &str, to: &[String], message: &Message) -> Result<Mail, TellError> {
    let subject: String = message.title.chars().take(SUBJECT_MAX).collect();
    let from: Mailbox = from.parse().map_err(refused)?;
    let id = format!("<{}@{}>", message.id, from.email.domain());
    let mut mail = Mail::builder()
        .from(from)
        .subject(subject)
        .date(message.at.into())
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN)
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ));
    for one in to {
        mail = mail.to(one.parse().map_err(refused)?);
    }
    let body = format!(
        "{}\n\n{}\n{} {}\n",
        message.body, message.kind, message.source, message.at
    );
    mail.body(body).map_err(refused)
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Sends a message. `smtps://` is TLS from the beginning; `smtp://` asks for it first (STARTTLS) and does without only on this machine.
pub(super) async fn send(
    url: &Secret,
    from: &str,
    to: &[String],
    ca_file: Option<&Path>,
    message: &Message,
) -> Result<(), TellError> {
    let mail = mail(from, to, message)?;
    // Its address may hold a password, so its errors are not shown.
    let wrong = |_| TellError::Refused("the address of the mail server cannot be used".into());
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(wrong)?;
    let host = url
        .expose()
        .parse::<http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_default();
    let wrapped = url.expose().starts_with("smtps://");
    // A password and what is said never leave this machine in the clear.
    if wrapped || !is_local(&host) {
        let mut tls = TlsParameters::builder(host);
        if let Some(file) = ca_file {
            let pem = std::fs::read(file).map_err(refused)?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let der = certificate.map_err(refused)?.to_vec();
                tls = tls.add_root_certificate(Certificate::from_der(der).map_err(refused)?);
            }
        }
        let tls = tls.build().map_err(refused)?;
        transport = transport.tls(if wrapped {
            Tls::Wrapper(tls)
        } else {
            Tls::Required(tls)
        });
    }
    let transport = transport.timeout(Some(DEADLINE)).build();
    match transport.send(mail).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => Err(refused(error)),
        Err(error) if error.is_timeout() => Err(TellError::Unanswered(error.to_string())),
        Err(error) => Err(TellError::Later(error.to_string(), None)),
    }
}
