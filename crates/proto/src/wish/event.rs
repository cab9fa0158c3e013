//! What a viewer is told over server-sent events (WHEP events, extension `core:server-sent-events`).

use serde_json::{Map, Value, json};

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is a publisher.
    Active,
    /// There is none any more.
    Inactive,
    /// The video layers there are.
    Layers(Vec<MediaLayers>),
    /// Play again, from this URL where one is given; then end this session.
    Reconnect(Option<String>),
    /// How many watch.
    ViewerCount(u64),
}

impl Event {
    /// Which kind.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Active => EventKind::Active,
            Self::Inactive => EventKind::Inactive,
            Self::Layers(_) => EventKind::Layers,
            Self::Reconnect(_) => EventKind::Reconnect,
            Self::ViewerCount(_) => EventKind::ViewerCount,
        }
    }

    /// The event as lines, with its data in one (WHATWG HTML §9.2.6).
    pub(crate) fn render(&self) -> String {
        let data = match self {
            Self::Active | Self::Inactive | Self::Reconnect(None) => json!({}),
            Self::Layers(media) => media.iter().map(MediaLayers::member).collect(),
            Self::Reconnect(Some(url)) => json!({ "url": url }),
            Self::ViewerCount(count) => json!({ "viewercount": count }),
        };
        format!("event: {}\ndata: {data}\n\n", self.kind().as_str())
    }
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Active`].
    Active,
    /// [`Event::Inactive`].
    Inactive,
    /// [`Event::Layers`].
    Layers,
    /// [`Event::Reconnect`].
    Reconnect,
    /// [`Event::ViewerCount`].
    ViewerCount,
}

impl EventKind {
    /// All kinds, in the order in which they are advertised.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Inactive,
        Self::Layers,
        Self::Reconnect,
        Self::ViewerCount,
    ];

    /// Its name in `event:` and in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Layers => "layers",
            Self::Reconnect => "reconnect",
            Self::ViewerCount => "viewercount",
        }
    }

    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Inactive => 2,
            Self::Layers => 4,
            Self::Reconnect => 8,
            Self::ViewerCount => 16,
        }
    }

    /// Kinds of which the newer says all that the older said.
    pub(crate) const fn lane(self) -> u8 {
        match self {
            Self::Active | Self::Inactive => 0,
            Self::Layers => 1,
            Self::Reconnect => 2,
            Self::ViewerCount => 3,
        }
    }
}

/// The kinds a client asks for: all without a body, else those of a JSON array, which must all be known.
pub(crate) fn requested(body: &[u8]) -> Option<u8> {
    if body.is_empty() {
        return Some(EventKind::ALL.iter().fold(0, |set, kind| set | kind.bit()));
    }
    let names: Vec<String> = serde_json::from_slice(body).ok()?;
    names.iter().try_fold(0, |set, name| {
        let kind = EventKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)?;
        Some(set | kind.bit())
    })
}

/// The layers of one m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLayers {
    /// The index of the m-line.
    pub media_id: u8,
    /// Its layers, best first.
    pub layers: Vec<Layer>,
}

impl MediaLayers {
    fn member(&self) -> (String, Value) {
        let layers = self.layers.iter().map(Layer::value).collect();
        (self.media_id.to_string(), layers)
    }
}

/// One video layer. At least one of `rid`, `spatial_layer` and `temporal_layer` is present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    /// The RID of the simulcast encoding.
    pub rid: Option<Box<str>>,
    /// The spatial layer.
    pub spatial_layer: Option<u8>,
    /// The temporal layer.
    pub temporal_layer: Option<u8>,
    /// Bits per second now; absent or 0: the layer is not sent.
    pub bitrate: Option<u64>,
    /// Bits per second the encoder aims at.
    pub target_bitrate: Option<u64>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
}

impl Layer {
    fn value(&self) -> Value {
        let members = [
            ("rid", self.rid.as_deref().map(Value::from)),
            ("spatialLayerId", self.spatial_layer.map(Value::from)),
            ("temporalLayerId", self.temporal_layer.map(Value::from)),
            ("bitrate", self.bitrate.map(Value::from)),
            ("targetBitrate", self.target_bitrate.map(Value::from)),
            ("width", self.width.map(Value::from)),
            // The draft's list says `heigth`, its examples `height`.
            ("height", self.height.map(Value::from)),
        ];
        let present = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(present.collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_single_data_lines() {
        let layers = Event::Layers(vec![MediaLayers {
            media_id: 0,
            layers: vec![Layer {
                rid: Some("hd".into()),
                bitrate: Some(557_112),
                height: Some(360),
                ..Layer::default()
            }],
        }]);
        for (event, expected) in [
            (Event::Active, "event: active\ndata: {}\n\n"),
            (Event::Inactive, "event: inactive\ndata: {}\n\n"),
            (
                Event::ViewerCount(3),
                "event: viewercount\ndata: {\"viewercount\":3}\n\n",
            ),
            (Event::Reconnect(None), "event: reconnect\ndata: {}\n\n"),
            (
                Event::Reconnect(Some("https://b/\n\ndata: x".to_owned())),
                "event: reconnect\ndata: {\"url\":\"https://b/\\n\\ndata: x\"}\n\n",
            ),
            (
                layers,
                "event: layers\ndata: {\"0\":[{\"bitrate\":557112,\"height\":360,\"rid\":\"hd\"}]}\n\n",
            ),
        ] {
            assert_eq!(event.render(), expected);
        }
    }

    #[test]
    fn one_unknown_kind_refuses_the_whole_list() {
        assert_eq!(requested(b""), Some(31));
        assert_eq!(requested(br#"["layers","viewercount"]"#), Some(4 | 16));
        assert_eq!(requested(b"[]"), Some(0));
        assert_eq!(requested(br#"["layers","scte35"]"#), None);
        assert_eq!(requested(br#"{"layers":1}"#), None);
        assert_eq!(requested(b"layers"), None);
    }
}
