//! The layer a viewer asks for (WHEP events, extension `core:layer`).

use std::fmt;

use serde_json::{Map, Value};

/// Which layer a viewer wants; what is absent the server chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSelection {
    /// The index of the m-line; absent: the first video.
    pub media_id: Option<u8>,
    /// The RID of the simulcast encoding (RFC 8852); `encodingId` of older clients is the same.
    pub rid: Option<Box<str>>,
    /// The spatial layer to send.
    pub spatial_layer: Option<u8>,
    /// The temporal layer to send.
    pub temporal_layer: Option<u8>,
    /// The spatial layer not to go above.
    pub max_spatial_layer: Option<u8>,
    /// The temporal layer not to go above.
    pub max_temporal_layer: Option<u8>,
    /// Pixels not to go above.
    pub max_width: Option<u32>,
    /// Pixels not to go above.
    pub max_height: Option<u32>,
}

impl LayerSelection {
    /// Reads the JSON object of a request. Unknown members are ignored; `{}` goes back to the server's choice.
    ///
    /// # Errors
    /// When it is no JSON object of at most 4 KiB, or a member has another type or range.
    pub fn parse(body: &[u8]) -> Result<Self, LayerSelectionError> {
        if body.len() > MAX_BYTES {
            return Err(LayerSelectionError::TooLong);
        }
        let object: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| LayerSelectionError::NotAnObject)?;
        let small = |name| number(&object, name).and_then(fit);
        let wide = |name| number(&object, name).and_then(fit);
        Ok(Self {
            media_id: media_id(&object)?,
            rid: rid(&object)?,
            spatial_layer: small("spatialLayerId")?,
            temporal_layer: small("temporalLayerId")?,
            max_spatial_layer: small("maxSpatialLayerId")?,
            max_temporal_layer: small("maxTemporalLayerId")?,
            max_width: wide("maxWidth")?,
            max_height: wide("maxHeight")?,
        })
    }
}

fn number(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, LayerSelectionError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(LayerSelectionError::Member),
    }
}

fn fit<T: TryFrom<u64>>(number: Option<u64>) -> Result<Option<T>, LayerSelectionError> {
    number
        .map(|number| T::try_from(number).map_err(|_| LayerSelectionError::Member))
        .transpose()
}

/// The draft has a string of digits; a number is as clear.
fn media_id(object: &Map<String, Value>) -> Result<Option<u8>, LayerSelectionError> {
    match object.get("mediaId") {
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|_| LayerSelectionError::Member),
        _ => number(object, "mediaId").and_then(fit),
    }
}

fn rid(object: &Map<String, Value>) -> Result<Option<Box<str>>, LayerSelectionError> {
    let value = object
        .get("rid")
        .or_else(|| object.get("encodingId"))
        .unwrap_or(&Value::Null);
    match value {
        Value::Null => Ok(None),
        Value::String(rid) if is_rid(rid) => Ok(Some(rid.as_str().into())),
        _ => Err(LayerSelectionError::Member),
    }
}

/// RFC 8851 §10, as amended by RFC 8852 §3.1; a byte's length is the cap on the wire.
fn is_rid(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Why bytes are no [`LayerSelection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerSelectionError {
    /// More than 4 KiB.
    TooLong,
    /// No JSON object.
    NotAnObject,
    /// A member has a type or range of its own.
    Member,
}

impl LayerSelectionError {
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::TooLong => "the layer selection is too long",
            Self::NotAnObject => "the layer selection is no JSON object",
            Self::Member => "a member of the layer selection has a wrong type or range",
        }
    }
}

impl fmt::Display for LayerSelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for LayerSelectionError {}

const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_is_read() {
        let json =
            br#"{"mediaId":"1","rid":"hd","maxTemporalLayerId":1,"maxWidth":1280,"future":[{}]}"#;
        let expected = LayerSelection {
            media_id: Some(1),
            rid: Some("hd".into()),
            max_temporal_layer: Some(1),
            max_width: Some(1280),
            ..LayerSelection::default()
        };
        assert_eq!(LayerSelection::parse(json), Ok(expected));
        let older = LayerSelection::parse(br#"{"mediaId":"0","encodingId":"2"}"#).unwrap();
        assert_eq!(older.rid.as_deref(), Some("2"));
        assert_eq!(LayerSelection::parse(b"{}"), Ok(LayerSelection::default()));
    }

    #[test]
    fn what_is_no_selection_is_refused() {
        let deep = "[".repeat(4000);
        for (json, error) in [
            ("", LayerSelectionError::NotAnObject),
            ("[]", LayerSelectionError::NotAnObject),
            (&deep, LayerSelectionError::NotAnObject),
            (r#"{"mediaId":"0"} x"#, LayerSelectionError::NotAnObject),
            (r#"{"mediaId":"-1"}"#, LayerSelectionError::Member),
            (r#"{"mediaId":256}"#, LayerSelectionError::Member),
            (r#"{"rid":""}"#, LayerSelectionError::Member),
            (r#"{"rid":"a\nb"}"#, LayerSelectionError::Member),
            (r#"{"maxWidth":1.5}"#, LayerSelectionError::Member),
            (r#"{"maxWidth":4294967296}"#, LayerSelectionError::Member),
            (&" ".repeat(4097), LayerSelectionError::TooLong),
        ] {
            assert_eq!(LayerSelection::parse(json.as_bytes()), Err(error), "{json}");
        }
    }
}
