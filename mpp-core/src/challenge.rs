//! A challenge: what is asked for, by whom, until when; open as a draft, sealed once it has its id.

use std::{fmt, ops::Deref, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use crate::{
    Encoded, Method, Realm, Request,
    digest::Digest,
    error::Error,
    jcs,
    name::{CredentialHeader, IntentName, MethodId, MethodName},
    opaque::Opaque,
    text::{blank, has_control},
    time::Timestamp,
};

/// A challenge without its id: every member may still change.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// Who asks.
    pub realm: Realm,
    /// The rail.
    pub method: MethodName,
    /// The shape of the payment.
    pub intent: IntentName,
    /// What is asked for, in the method's own terms.
    pub request: Encoded,
    /// Until when. Ours always have it; a credential without it is refused.
    pub expires: Option<Timestamp>,
    /// The body this pays for.
    pub digest: Option<Digest>,
    /// Shown to people, bound by nothing: never decide a payment on it (core draft, `description`). It may hold control
    /// characters; who prints it to a terminal strips them.
    pub description: Option<Arc<str>>,
    /// The request header the credential belongs in, where that is not `Authorization`.
    pub header: Option<CredentialHeader>,
    /// What the server ties to it; echoed, never understood, by clients.
    pub opaque: Option<Opaque>,
}

/// The id of a challenge: any non-empty text without control characters, base64url of a MAC where it is ours.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ChallengeId(Arc<str>);

impl ChallengeId {
    /// Reads an id of at most 1,024 bytes.
    pub fn parse(id: &str) -> Result<Self, Error> {
        let good = !id.is_empty() && id.len() <= 1024 && !has_control(id);
        if good { Ok(Self(id.into())) } else { Err(Error::Id) }
    }

    pub(crate) fn of_mac(mac: &[u8; 32]) -> Self {
        let mut text = [0; 43];
        // 32 bytes are 43 characters of ASCII, always.
        let written = URL_SAFE_NO_PAD.encode_slice(mac, &mut text).unwrap_or_default();
        Self(
            text.get(..written)
                .and_then(|t| std::str::from_utf8(t).ok())
                .unwrap_or_default()
                .into(),
        )
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for ChallengeId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ChallengeId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parsed(d, Self::parse)
    }
}

impl fmt::Display for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A challenge with its id, and so beyond change: it reads like its [`Draft`] and cannot be written to.
///
/// To have one is to know nothing of who made it: only [`Keys::recognise`](crate::binding::Keys::recognise) tells a server its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Challenge {
    id: ChallengeId,
    body: Draft,
}

impl Challenge {
    /// Puts together what came over a wire.
    pub fn received(id: ChallengeId, body: Draft) -> Self {
        Self { id, body }
    }

    /// The id, echoed unchanged by clients.
    pub fn id(&self) -> &ChallengeId {
        &self.id
    }

    /// Which payer can answer.
    pub fn method_id(&self) -> MethodId {
        MethodId { method: self.body.method.clone(), intent: self.body.intent.clone() }
    }

    /// Opens it again, without its id.
    pub fn to_draft(&self) -> Draft {
        self.body.clone()
    }

    /// Reads the request as method `M` understands it.
    ///
    /// # Errors
    /// Another method or intent, a request of another shape, or one whose JSON names a member twice.
    pub fn read<M: Method>(&self) -> Result<Demand<'_, M>, Error> {
        jcs::refuse_duplicates(self.request.json())?;
        Ok(Demand { challenge: self, request: self.request_of::<M>()? })
    }

    /// Reads a request that is known to name no member twice, as one that we wrote ourselves.
    pub(crate) fn request_of<M: Method>(&self) -> Result<Request<M>, Error> {
        if self.method != M::NAME || self.intent != <M::Intent as crate::Intent>::NAME {
            return Err(Error::OtherMethod(self.method_id()));
        }
        let json = self.request.json();
        // Each half reads the object by itself, since flattening first builds a tree of all of it; details that only a
        // flattened read takes, such as `()`, get one.
        let halves = || {
            let terms = serde_json::from_slice(json).ok()?;
            Some(Request { terms, details: serde_json::from_slice(json).ok()? })
        };
        match halves() {
            Some(request) => Ok(request),
            None => serde_json::from_slice(json).map_err(|e| jcs::JsonError::Shape(e).into()),
        }
    }

    /// The same challenge with the request as its id was made over.
    pub(crate) fn with_request(self, request: Encoded) -> Self {
        Self { body: Draft { request, ..self.body }, ..self }
    }
}

impl Deref for Challenge {
    type Target = Draft;
    fn deref(&self) -> &Draft {
        &self.body
    }
}

/// A challenge as method `M` understands it: what a payer decides and pays on.
pub struct Demand<'a, M: Method> {
    /// The challenge that was read.
    pub challenge: &'a Challenge,
    /// Its request: shared terms and the method's details.
    pub request: Request<M>,
}

impl<M: Method> fmt::Debug for Demand<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// A challenge as credentials echo it: one flat object.
#[derive(Deserialize)]
struct Echo {
    id: ChallengeId,
    realm: Realm,
    method: MethodName,
    intent: IntentName,
    request: Encoded,
    #[serde(default, deserialize_with = "blank")]
    expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "blank")]
    digest: Option<Digest>,
    #[serde(default, deserialize_with = "blank")]
    description: Option<String>,
    #[serde(default, deserialize_with = "blank")]
    header: Option<CredentialHeader>,
    #[serde(default, deserialize_with = "blank")]
    opaque: Option<Opaque>,
}

impl<'de> Deserialize<'de> for Challenge {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Echo {
            id,
            realm,
            method,
            intent,
            request,
            expires,
            digest,
            description,
            header,
            opaque,
        } = Echo::deserialize(d)?;
        let description = description.map(Into::into);
        let body =
            Draft { realm, method, intent, request, expires, digest, description, header, opaque };
        Ok(Self { id, body })
    }
}

impl Serialize for Challenge {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("realm", &self.realm)?;
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("intent", &self.intent)?;
        map.serialize_entry("request", &self.request)?;
        if let Some(description) = &self.description {
            map.serialize_entry("description", &**description)?;
        }
        if let Some(digest) = &self.digest {
            map.serialize_entry("digest", digest)?;
        }
        if let Some(expires) = &self.expires {
            map.serialize_entry("expires", expires)?;
        }
        if let Some(header) = &self.header {
            map.serialize_entry("header", header)?;
        }
        if let Some(opaque) = &self.opaque {
            map.serialize_entry("opaque", opaque)?;
        }
        map.end()
    }
}
