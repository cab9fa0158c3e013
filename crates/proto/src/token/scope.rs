//! What a JWT allows.

use sluice_media::StreamKey;

use crate::Permission;

/// The `scope` claim (RFC 8693 §4.2): words like `publish:live/show`, `play:live/*`, `playback:live/show` and
/// `play:*`.
///
/// `*` stands for any stream of an application, or for every stream; it is no pattern. Words of other forms allow
/// nothing here. A layer is allowed where its stream is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    text: Box<str>,
}

impl Scope {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// Whether this may be done with this stream.
    pub fn allows(&self, permission: Permission, key: &StreamKey) -> bool {
        let verb = match permission {
            Permission::Publish => "publish:",
            Permission::Play => "play:",
            Permission::Playback => "playback:",
        };
        self.text
            .split(' ')
            .filter_map(|word| word.strip_prefix(verb))
            .any(|target| covers(target, key))
    }

    /// The claim as it was written.
    pub const fn as_str(&self) -> &str {
        &self.text
    }
}

fn covers(target: &str, key: &StreamKey) -> bool {
    match target.split_once('/') {
        None => target == "*",
        Some((app, stream)) => app == key.app() && (stream == "*" || stream == key.stream()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_allows_what_it_names() {
        let key: StreamKey = "live/show".parse().unwrap();
        let layer = key.layer("hi").unwrap();
        for (scope, publish, play) in [
            ("", false, false),
            ("publish:live/show", true, false),
            ("play:live/show publish:live/other", false, true),
            ("play:live/* publish:live/*", true, true),
            ("openid play:*", false, true),
            ("publish:*/show", false, false),
            ("publish:live", false, false),
            ("publish:live/sh*", false, false),
            ("publish", false, false),
            ("*", false, false),
        ] {
            let scope = Scope::new(scope);
            for key in [&key, &layer] {
                assert_eq!(scope.allows(Permission::Publish, key), publish, "{scope:?}");
                assert_eq!(scope.allows(Permission::Play, key), play, "{scope:?}");
            }
        }
        let scope = Scope::new("playback:live/show");
        assert!(scope.allows(Permission::Playback, &layer));
        assert!(!scope.allows(Permission::Play, &key));
        assert!(!Scope::new("play:*").allows(Permission::Playback, &key));
    }
}
